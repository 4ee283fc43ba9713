"""The composition root: builds the parts, runs them side by side, and stops them in order. It alone knows everybody."""

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monitor.blindness import Sight, decide_blindness, until_blind_s
from monitor.clock import Clock, SystemClock
from monitor.config.problems import ConfigError
from monitor.config.settings import Settings
from monitor.config.watch import fingerprint, saves
from monitor.domain.alert import Alert, after_downtime
from monitor.domain.notification import notice_key, notices
from monitor.domain.reading import Severity
from monitor.exchange.registry import Exchanges
from monitor.health import Health, Heartbeat, LoopLag, Watchdog, http_get, max_read_age_s
from monitor.keys import refuse_withdrawing
from monitor.log import get_logger, redact
from monitor.notify.channels import Channel, open_channels
from monitor.notify.delivery import Delivery
from monitor.notify.escalation import Audience
from monitor.notify.text import duration
from monitor.portfolio import run_portfolio_cycle
from monitor.rules.base import Rule
from monitor.rules.liquidation_distance import LiquidationDistance
from monitor.state_news import StateNews
from monitor.status import server as status
from monitor.store.records import Changes
from monitor.store.store import Store
from monitor.watching import Watching, access_of, allowed_to_withdraw

ALIVE_EVERY_S = 30.0
# The started message waits this long for first reads, so that it can say what it sees.
FIRST_READS_S = 20.0
# And the very first start this long for what the keys may do.
FIRST_KEYS_S = 10.0
# However rarely accounts are read: an edit may have them read more often.
JUDGE_TOGETHER_WITHIN_S = 10.0
DRAIN_S = 5.0
DOWNTIME_TOLD_S = 600.0
# Keys of the YAML that a running monitor cannot change.
NEEDS_RESTART = ("database", "health", "log", "heartbeat_url")
MAX_PROBLEMS_TOLD = 5

_log = get_logger(__name__)

Load = Callable[[], Settings]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What lies outside the process: venues, channels, disk, the machine's own time. The simulation brings its own.

    Without `watches_itself` nothing measures the event loop, and no watchdog ends a process whose loop hangs.
    """

    exchanges: Callable[[Clock], Exchanges] = Exchanges
    channels: Callable[..., dict[str, Channel]] = open_channels
    store: Callable[[Path | None, Clock, Clock], Awaitable[Store]] = Store.open
    machine_clock: Clock = field(default_factory=SystemClock)
    rng: random.Random = field(default_factory=random.Random)
    watches_itself: bool = True


class Daemon:
    """One monitor. After `started` is set, its parts may be looked at while it runs."""

    store: Store
    delivery: Delivery
    watching: Watching
    health: Health

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        *,
        database: Path | None,
        config: tuple[Path, Load] | None = None,
        loaded: str | None = None,
        prefix: str = "",
        serve: bool = False,
        surroundings: Surroundings | None = None,
    ) -> None:
        """`config` is the file to watch for edits and how to load it; `prefix` marks every line sent (DEMO).

        `loaded` is the file's fingerprint from before it was loaded, so that an edit made since counts as one.
        With `serve` the health page is served on the settings' port.
        """
        self.settings = settings
        self.stop = asyncio.Event()
        self.started = asyncio.Event()
        self._read = asyncio.Event()
        self.interrupted = False
        self._clock = clock
        self._database = database
        self._config = config
        self._prefix = prefix
        self._serve = serve
        self._edit_was_bad = False
        self._outside = surroundings or Surroundings()
        self._lag = LoopLag(self._outside.machine_clock)
        self._channels = self._outside.channels(_urls(settings), clock)
        self._loaded = loaded or (fingerprint(config[0]) if config else None)

    async def run(self) -> None:
        """Until `stop` is set. Raises what a part raises: a bug in one part must not leave a half-dead monitor."""
        self.store = await self._outside.store(self._database, self._clock, self._outside.machine_clock)
        exchanges = self._outside.exchanges(self._clock)
        try:
            if self.store.last_alive_at is None:
                await self._refuse_withdrawing(exchanges)
            was_down_s = await self._take_up()
            self.delivery = Delivery(
                self.store,
                self._channels,
                self._clock,
                audience=Audience.of(self.settings),
                rng=self._outside.rng,
                prefix=self._prefix,
            )
            async with asyncio.TaskGroup() as tasks:
                self.health = self._new_health()
                self.watching = Watching(self.store, exchanges, self._clock, tasks, on_read=self._good_read)
                await self._watch(self.settings)
                delivering = tasks.create_task(self.delivery.run(), name="delivery")
                parts = [tasks.create_task(part) for part in self._parts(was_down_s)]
                self.started.set()
                await self.stop.wait()
                _log.info("stopping")
                # An edit being taken must not open accounts behind `leave_all`.
                for task in parts:
                    task.cancel()
                await self.watching.leave_all()
                await self.delivery.drain(DRAIN_S)
                delivering.cancel()
        finally:
            await exchanges.close()
            await self.store.close()

    def _parts(self, was_down_s: float | None) -> Iterator[Coroutine[Any, Any, None]]:
        if self._outside.watches_itself:
            yield self._beat()
        yield self._judge_blindness()
        yield self._judge_portfolio()
        yield self._note_alive()
        yield self._tell_started(was_down_s)
        if self._config is not None:
            yield self._follow_config(*self._config)
        if self._serve:
            yield self._serve_status()
        if self.settings.heartbeat_url is not None:
            url = self.settings.heartbeat_url.get_secret_value()
            yield Heartbeat(url, http_get, self._clock, self.health).run()

    def _new_health(self) -> Health:
        return Health(
            self._clock,
            self._lag,
            failing_since=lambda: self.store.failing_since,
            undelivered=self.store.undelivered.values,
            channels=lambda: {s.name: None if s.ok else s.detail for s in self.delivery.channel_states()},
        )

    async def _watch(self, settings: Settings) -> None:
        self.health.watch({name: max_read_age_s(settings.poll_interval_of(name)) for name in settings.accounts})
        await self.watching.take(settings)

    async def _beat(self) -> None:
        """The loop shows the watchdog that it lives; on real time, whatever clock the monitor lives by."""
        watchdog = Watchdog(self._outside.machine_clock.monotonic)
        watchdog.start()
        try:
            await self._lag.run(watchdog.beat)
        finally:
            watchdog.stop()

    async def _serve_status(self) -> None:
        runner = await status.start(self.settings.health.host, self.settings.health.port, self.health)
        _log.info("health page", host=self.settings.health.host, port=status.port_of(runner))
        try:
            await self.stop.wait()
        finally:
            await status.stop(runner)

    def stop_on_signals(self) -> None:
        """SIGTERM and Ctrl-C stop it in order."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.stop.set)
        loop.add_signal_handler(signal.SIGINT, self._interrupt)

    def _interrupt(self) -> None:
        self.interrupted = True
        self.stop.set()

    async def _refuse_withdrawing(self, exchanges: Exchanges) -> None:
        """At the very first start somebody is at hand to make a better key. A venue slow to say is not waited for."""
        sources = {name: exchanges.open_account(access_of(self.settings, name)) for name in self.settings.accounts}
        asking = asyncio.create_task(refuse_withdrawing(sources, allowed_to_withdraw(self.settings)))
        stopping = asyncio.create_task(self.stop.wait())
        try:
            async with self._clock.deadline(FIRST_KEYS_S):
                await asyncio.wait((asking, stopping), return_when=asyncio.FIRST_COMPLETED)
            if asking.done():
                asking.result()
        except TimeoutError:
            _log.warning("not every venue told in time what its key may do")
        finally:
            for task in (asking, stopping):
                task.cancel()
            await asyncio.wait((asking, stopping))
            for source in sources.values():
                await exchanges.close_account(source)

    async def _take_up(self) -> float | None:
        """Alerts as the last run left them, less what nobody saw meanwhile; how long that was, if at all."""
        now, last = self._clock.now(), self.store.last_alive_at
        if last is None:
            await self.store.apply(Changes(alive_at=now))
            return None
        taken_up = ((alert, after_downtime(alert, last, now)) for alert in self.store.alerts.values())
        changed = tuple(after for before, after in taken_up if after != before)
        await self.store.apply(Changes(alerts=changed, alive_at=now))
        return (now - last).total_seconds()

    async def _judge_blindness(self) -> None:
        while True:
            plans, sights = self.watching.plans, self.watching.sights
            await self._clock.sleep(until_blind_s(plans, sights, self.store, self._clock.now()))
            changes = decide_blindness(self.watching.plans, self.watching.sights, self.store, self._clock.now())
            if not changes.is_empty:
                await self.store.apply(changes)

    def _good_read(self, name: str) -> None:
        self.health.good_read(name)
        self._read.set()

    async def _judge_portfolio(self) -> None:
        """After reads, and not more often than the account that is read most often."""
        while True:
            await self._read.wait()
            self._read.clear()
            plan = self.watching.portfolio
            if plan is not None:
                await run_portfolio_cycle(plan, self.watching.plans, self.watching.sights, self.store, self._clock)
                await self._clock.sleep(min(plan.poll_interval_s, JUDGE_TOGETHER_WITHIN_S))

    async def _note_alive(self) -> None:
        news = StateNews(self.store)
        while True:
            await self._clock.sleep(ALIVE_EVERY_S)
            await self.store.apply(Changes(alive_at=self._clock.now()))
            for title, lines in news.due(self._clock.now()):
                await self.tell("state", title, lines, Severity.WARNING)

    async def _follow_config(self, path: Path, load: Load) -> None:
        async with aclosing(saves(path, self._clock, self.stop, self._loaded)) as edits:
            async for _ in edits:
                await self.reload(load)

    async def reload(self, load: Load) -> None:
        """A good edit takes effect at once; a bad one leaves everything as it is, and its owner is told where."""
        try:
            settings = await asyncio.to_thread(load)
        except ConfigError as error:
            self._edit_was_bad = True
            await self._tell_bad_edit(error)
            return
        await self._take(settings)
        if self._edit_was_bad:
            await self.tell("config", "configuration taken", ["The new rules are in force."], Severity.WARNING)
        self._edit_was_bad = False

    async def _tell_bad_edit(self, error: ConfigError) -> None:
        problems = [str(problem) for problem in error.errors]
        _log.error("edit of the configuration not taken", problems=problems)
        more = [f"+{len(problems) - MAX_PROBLEMS_TOLD} more"] if len(problems) > MAX_PROBLEMS_TOLD else []
        lines = ["The old rules go on.", *problems[:MAX_PROBLEMS_TOLD], *more]
        await self.tell("config", "configuration not taken", lines, Severity.WARNING)

    async def _take(self, settings: Settings) -> None:
        """Channels and accounts that did not change are not disturbed."""
        old = self.settings
        self.settings = settings
        self._channels = self._outside.channels(_urls(settings), self._clock, kept=self._channels)
        self.delivery.replace_channels(self._channels, Audience.of(settings))
        await self._watch(settings)
        for key in NEEDS_RESTART:
            if getattr(old, key) != getattr(settings, key):
                _log.warning("this key takes effect with the next start", key=key)
        _log.info("configuration taken", accounts=len(settings.accounts), rules=len(settings.rules))

    async def tell(self, subject: str, title: str, lines: Iterable[str], severity: Severity) -> None:
        """A message of the monitor's own life to every channel that hears warnings or that severity, or else to all."""
        channels, wanted = self.settings.channels, {severity, Severity.WARNING}
        hearing = [name for name, channel in channels.items() if wanted & channel.severities and not channel.fallback]
        targets = hearing or list(channels)
        key = notice_key(subject)
        episode = self.store.alert(key).episode + 1
        # A secret in the wrong place of a bad edit is quoted by its problem.
        told = [redact(line) for line in lines]
        rows = notices(targets, key, episode, title, told, severity, self._clock.now())
        await self.store.apply(Changes(enqueue=rows))

    async def _tell_started(self, was_down_s: float | None) -> None:
        """Once the accounts were read, or could not be for a while: what is watched and what cannot be seen."""
        for _ in range(int(FIRST_READS_S)):
            if all(sight.snapshot or sight.failure for sight in self.watching.sights.values()):
                break
            await self._clock.sleep(1.0)
        lines = list(started_lines(self.watching.sights, self.store.alerts.values(), self.settings.rules))
        if self.store.set_aside is not None:
            lines.append(self.store.set_aside)
        down = was_down_s is not None and was_down_s > DOWNTIME_TOLD_S
        title = (
            f"perpwatch started, was blind for {duration(was_down_s)}" if down and was_down_s else "perpwatch started"
        )
        _log.info("started", accounts=len(self.settings.accounts), was_down_s=was_down_s)
        await self.tell("started", title, lines, Severity.INFO)


def started_lines(sights: Mapping[str, Sight], alerts: Iterable[Alert], rules: Mapping[str, Rule]) -> Iterator[str]:
    """N accounts, M positions, the nearest liquidation, what fires, and what cannot be seen."""
    snapshots = [sight.snapshot for sight in sights.values() if sight.snapshot is not None]
    positions = sum(len(snapshot.positions) for snapshot in snapshots)
    yield f"{counted(len(sights), 'account')}, {counted(positions, 'open position')}"
    nearest = _nearest(sights, rules)
    if nearest is not None:
        yield nearest
    firing = sum(alert.is_firing for alert in alerts)
    if firing:
        yield f"{counted(firing, 'alert')} firing"
    for name, sight in sights.items():
        if sight.failure is not None:
            yield f"cannot see {name}: {sight.failure.kind}: {sight.failure.detail}"
        elif sight.snapshot is None:
            yield f"cannot see {name}: no answer yet"
        else:
            yield from (f"{name}: {caveat}" for caveat in sight.snapshot.caveats)


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _nearest(sights: Mapping[str, Sight], rules: Mapping[str, Rule]) -> str | None:
    distances = [
        (reading.value, reading.key)
        for sight in sights.values()
        for reading in sight.readings
        if reading.value is not None and isinstance(rules.get(reading.key.rule), LiquidationDistance)
    ]
    value, key = min(distances, default=(None, None), key=lambda pair: pair[0])
    return (
        None if value is None or key is None else f"nearest liquidation: {key.account} {key.subject}, {value:.1%} away"
    )


def _urls(settings: Settings) -> dict[str, str]:
    return {name: channel.url.get_secret_value() for name, channel in settings.channels.items()}
