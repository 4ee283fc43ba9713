"""One world and the monitor that lives in it: started, killed at any callback, stopped, edited, and looked after."""

import asyncio
import gc
import logging
import random
import sqlite3
import traceback
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import structlog
from sqlalchemy.exc import OperationalError

import monitor.daemon
import monitor.watching
from monitor.blindness import Sight, decide_blindness
from monitor.clock import Clock, SystemClock
from monitor.config.loader import load_text
from monitor.config.settings import Settings
from monitor.daemon import Daemon, Surroundings
from monitor.domain.account import Observation
from monitor.domain.alert import Reason
from monitor.domain.notification import DeliveryState
from monitor.domain.reading import AlertKey, Scope
from monitor.exchange.ends import GRACE_S
from monitor.exchange.registry import Exchanges
from monitor.notify.message import Rendered
from monitor.notify.results import SendResult
from monitor.pipeline import decide_removals
from monitor.plan import AccountPlan
from monitor.store.database import Database
from monitor.store.records import Batch, Changes
from monitor.store.store import Store
from tests.simulation.channel import PaperChannel, open_paper_channels
from tests.simulation.ledger import Identity, Ledger
from tests.simulation.loop import VirtualLoop
from tests.simulation.plan import CALM_END_S, CHANNELS, Blow, Plan
from tests.simulation.referee import Referee
from tests.simulation.venue import PaperExchanges
from tests.simulation.world import START, World
from tests.simulation.yaml import POLL_INTERVAL_S, READ_DEADLINE_S, yaml_of

# SIGTERM to the end of the process, at most.
STOP_WITHIN_S = 8.0
# One poll interval, one read deadline, and what a read waits for records.
DETECTED_WITHIN_S = POLL_INTERVAL_S + READ_DEADLINE_S + GRACE_S
STEPS_TO_DEATH = (4, 15, 60, 400)


class ToldStore(Store):
    """The real store; the referee hears what is handed to it, and the disk is full when the plan says so."""

    house: "House"

    async def apply(self, changes: Changes) -> None:
        self.house.referee.applies(changes)
        await super().apply(changes)


@dataclass(frozen=True, slots=True)
class Report:
    """One world's figures. `digest` is of every message with its time: the same seed gives the same, to the byte."""

    seed: int
    account_days: float
    reads: int
    failed_reads: int
    transitions: int
    messages: int
    fired: int
    resolved: int
    marked_repeats: int
    untraceable_repeats: int
    kills: int
    slowest_read_s: float
    digest: str
    problems: tuple[str, ...]


class House:
    def __init__(self, seed: int, length_s: float, folder: Path) -> None:
        self.plan = Plan.of(seed, length_s)
        self.loop = VirtualLoop()
        self.world = World(self.plan)
        self.ledger = Ledger()
        self.referee = Referee(self.plan, self.ledger, self.world.records, self.loop.time, self._owes_the_disk)
        self._database = folder / f"{seed}.db"
        self._yaml = yaml_of(random.Random(f"{seed}:yaml"))
        self._digest = sha256()
        self._problems: list[str] = []
        self._daemon: Daemon | None = None
        self._task: asyncio.Task[None] | None = None
        self._stores: list[Store] = []
        self._alive_at: datetime | None = None
        self._wall_offset_s = 0.0
        self._lives = 0
        self._reads = self._failed_reads = self._kills = self._tries = 0
        self.read_at: dict[str, float] = {}
        self._slowest_read_s = 0.0

    # --- the run ---

    def run(self) -> Report:
        with _taps(self), _listening(self._problems), _what_stands_is_left_alone():
            self._start()
            for time, blow, dice in self.plan.blows:
                self._until(time)
                self._strike(blow, random.Random(dice))
            self._until(self.plan.length_s)
            self._stop()
        self.loop.close()
        self.referee.takings.settle()
        self.ledger.settle(self.referee.open_episodes())
        arrived = [row.reason for row in self.ledger.arrived]
        return Report(
            seed=self.plan.seed,
            account_days=len(self.world.engine.accounts) * self.plan.length_s / 86_400,
            reads=self._reads,
            failed_reads=self._failed_reads,
            transitions=self.referee.transitions,
            messages=self.ledger.messages,
            fired=arrived.count(Reason.FIRST),
            resolved=arrived.count(Reason.RESOLVED),
            marked_repeats=self.ledger.marked_repeats,
            untraceable_repeats=self.ledger.untraceable_repeats,
            kills=self._kills,
            slowest_read_s=self._slowest_read_s,
            digest=self._digest.hexdigest(),
            problems=(*self._problems, *self.referee.problems, *self.ledger.problems, *self.loop.problems),
        )

    def _strike(self, blow: Blow, dice: random.Random) -> None:
        match blow:
            case Blow.KILL:
                if dice.random() < 0.7:
                    self._until_news()
                self._until(self.loop.time() + 30, max_steps=dice.randrange(dice.choice(STEPS_TO_DEATH)))
                self._kill()
                self._stay_down(dice)
            case Blow.STOP:
                self._stop()
                self._stay_down(dice)
            case Blow.EDIT:
                self._yaml = yaml_of(dice)
                for gone in set(CHANNELS) - set(self._load().channels):
                    self.ledger.remove_channel(gone, self.loop.time())
                self._reload(self._yaml)
            case Blow.JUMP:
                self._wall_offset_s += dice.choice((-1, 1)) * dice.choice((0.5, 5, 60, 3600)) * dice.uniform(0.5, 2)
            case Blow.BAD_EDIT:
                self._reload(self._yaml.replace("poll_interval: 10s", "poll_interval: soon"))

    def _until_news(self) -> None:
        """A message is about to leave, or an hour has passed: most of what a death can spoil is spoilt then."""
        latest, known = min(self.loop.time() + 3600.0, self.plan.length_s - CALM_END_S), self._tries
        while self._tries == known and self.loop.time() < latest:
            self._until(self.loop.time() + 0.5)

    def _stay_down(self, dice: random.Random) -> None:
        self._until(min(self.loop.time() + dice.choice((0, 1, 20, 300, 900)), self.plan.length_s - CALM_END_S))
        if dice.random() < 0.25:
            # A machine comes up with the time of its battery.
            self._wall_offset_s -= dice.choice((60, 3600)) * dice.uniform(0.5, 2)
        self._start()

    def _start(self) -> None:
        self._lives += 1
        self.read_at.clear()
        clock = SystemClock(self._wall, self.loop.time)
        surroundings = Surroundings(
            exchanges=self._new_exchanges,
            channels=open_paper_channels(self._new_channel),
            store=self._open_store,
            machine_clock=clock,
            rng=random.Random(f"{self.plan.seed}:{self._lives}"),
            watches_itself=False,
        )
        self._daemon = Daemon(self._load(), clock, database=self._database, surroundings=surroundings)
        self._task = self.loop.create_task(self._daemon.run())

    def _stop(self) -> None:
        assert self._daemon is not None
        assert self._task is not None
        self._daemon.stop.set()
        asked_at = self.loop.time()
        while not self._task.done() and self.loop.time() < asked_at + STOP_WITHIN_S:
            self._until(self.loop.time() + 0.25)
        if not self._task.done():
            self._problems.append(f"{asked_at:.1f}: not stopped within {STOP_WITHIN_S:g} s")
        self._kill()

    def _kill(self) -> None:
        """The process ends, by itself or not."""
        self._kills += 1
        self.loop.kill()
        self.ledger.kill(disk_fails=self._owes_the_disk())
        self.referee.process_ends()
        for store in self._stores:
            with suppress(Exception):
                store._database.close()
        self._stores.clear()
        self._daemon = self._task = None

    def _reload(self, text: str) -> None:
        assert self._daemon is not None
        self.loop.create_task(self._daemon.reload(partial(_settings, text)))

    def _until(self, time: float, max_steps: int | None = None) -> None:
        self.loop.run_until(time, max_steps=max_steps)
        if self._task is not None and self._task.done() and (error := self._task.exception()) is not None:
            raise error

    # --- what the monitor is surrounded by ---

    def _wall(self) -> datetime:
        return START + timedelta(seconds=self.loop.time() + self._wall_offset_s)

    def _load(self) -> Settings:
        return _settings(self._yaml)

    def _disk_is_full(self) -> bool:
        return self.plan.disk.at(self.loop.time()) is not None

    def _owes_the_disk(self) -> bool:
        """It is full, or the store has not written yet what it owes since it was."""
        return self._disk_is_full() or any(store.failing_since is not None for store in self._stores)

    def _new_exchanges(self, clock: Clock) -> Exchanges:
        return cast(
            Exchanges, PaperExchanges(self.world, clock, self.loop.time, self._on_read, self.referee.takings.shown)
        )

    def _new_channel(self, name: str, clock: Clock) -> PaperChannel:
        return PaperChannel(name, clock, self.plan, self.loop.time, self)

    async def _open_store(self, path: Path | None, clock: Clock, disk_clock: Clock) -> Store:
        ToldStore.house = self
        if self._alive_at is not None:
            self.referee.takes_up(self._alive_at, clock.now())
        store = await ToldStore.open(path, clock, disk_clock)
        self._stores.append(store)
        return store

    def write(self, write: Callable[[Batch], frozenset[int]], batch: Batch) -> frozenset[int]:
        if self._disk_is_full():
            raise OperationalError("INSERT", None, sqlite3.OperationalError("database or disk is full"))
        known = write(batch)
        self._alive_at = batch.alive_at or self._alive_at
        self.referee.on_disk(batch.alerts)
        self.ledger.on_disk(_rows(batch))
        return known

    # --- what is heard ---

    def _on_read(self, account: str, observation: Observation | None) -> None:
        assert self._daemon is not None
        if observation is None:
            self.referee.starts_read(account)
            return
        now = self.loop.time()
        waited_s = now - self.read_at.get(account, now)
        self._slowest_read_s = max(self._slowest_read_s, waited_s)
        if waited_s > DETECTED_WITHIN_S + 0.001:
            self._problems.append(f"{now:.1f}: {account} was not judged for {waited_s:.1f} s")
        self.read_at[account] = now
        self._reads += 1
        self._failed_reads += not hasattr(observation, "positions")
        watching = self._daemon.watching
        source = watching._running[account][0]
        self.referee.reads(watching.plans[account], observation, source.markets(), self._daemon._clock.now())

    def on_try(self, rendered: Rendered) -> None:
        self._tries += 1
        self.ledger.try_(rendered)

    def on_result(self, rendered: Rendered, result: SendResult) -> None:
        self.ledger.result(rendered, result)

    def on_arrival(self, name: str, rendered: Rendered) -> None:
        self._digest.update(f"{self.loop.time():.6f} {name} {rendered.title}\n{rendered.body}\n".encode())
        self.ledger.arrive(rendered, self.loop.time())


def _settings(text: str) -> Settings:
    return load_text(text, is_venue=lambda _: True, channel_error=lambda _: None, mode_error=lambda *_: None, env={})


def _rows(batch: Batch) -> Iterator[tuple[Identity, DeliveryState]]:
    for row in batch.outbox.values():
        key = AlertKey(row["rule"], row["account"], Scope(row["scope"]), row["subject"])
        known = Identity(key, row["episode"], row["sequence"], Reason(row["reason"]), row["target"])
        yield known, DeliveryState(row["state"])


@contextmanager
def _taps(house: House) -> Iterator[None]:
    """The two judgements that follow no read are heard of as well, and what reaches the disk."""

    def told_blindness(
        plans: Mapping[str, AccountPlan], sights: Mapping[str, Sight], store: Store, now: datetime
    ) -> Changes:
        house.referee.judges_ages(plans, sights, now)
        return decide_blindness(plans, sights, store, now)

    def told_removals(
        old: Mapping[str, AccountPlan], new: Mapping[str, AccountPlan], store: Store, now: datetime
    ) -> Changes:
        house.referee.removes(new, now)
        for account in house.read_at.keys() - new.keys():
            del house.read_at[account]
        return decide_removals(old, new, store, now)

    write = Database.write

    def told_write(database: Database, batch: Batch) -> frozenset[int]:
        return house.write(partial(write, database), batch)

    with (
        patch.object(Database, "write", told_write),
        patch.object(monitor.daemon, "decide_blindness", told_blindness),
        patch.object(monitor.watching, "decide_removals", told_removals),
    ):
        yield


@contextmanager
def _what_stands_is_left_alone() -> Iterator[None]:
    """Garbage is looked for at each death, and not among all that was imported before."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def _listening(problems: list[str]) -> Iterator[None]:
    """Logs go nowhere, but a trace in one is a bug."""

    def note(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Any:
        if event.get("exc_info"):
            problems.append(f"logged with a trace: {event}: {traceback.format_exc(limit=-3)}")
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[note], wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    try:
        yield
    finally:
        structlog.configure(**before)
