"""The replay itself: recorded prices move the paper exchanges, and the production path watches them over HTTP.

What is real: the exchanges' HTTP, ccxt, the account sources, the pipeline, the store, delivery, Apprise and the service
it posts to. What is not: time, which moves second by second and stands still while requests are under way.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from aiohttp import web

from benchmarks.crash_cases import LEVELS, RULES, Case, Threshold, Truth, new_exchange, secret_of
from benchmarks.oracle_cases import BracketsBySymbol
from benchmarks.stepped_clock import SteppedClock
from monitor.blindness import Sight
from monitor.config.loader import load_text
from monitor.config.settings import Settings
from monitor.domain.account import PollFailure
from monitor.domain.alert import Reason
from monitor.domain.notification import DeliveryState, Notification
from monitor.domain.reading import Severity
from monitor.exchange.modes import mode_error
from monitor.exchange.registry import Exchanges, is_venue
from monitor.notify import schedule
from monitor.notify.channels import Channel, channel_error
from monitor.notify.delivery import Delivery
from monitor.notify.escalation import Audience
from monitor.notify.message import Rendered
from monitor.notify.results import SendResult
from monitor.paper.engine import Engine
from monitor.paper.server import PaperServer
from monitor.pipeline import Source, run_cycle
from monitor.plan import AccountPlan
from monitor.store.store import Store
from monitor.watching import access_of
from tests.reading import spend_at_will

# In real time: nothing here takes this long, unless it hangs.
STEP_DEADLINE_S = 30.0


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that a service took, and the rows it told of."""

    at: datetime
    rows: tuple[Notification, ...]


class ObservedChannel(Channel):
    """The production channel, with a note of what it sent and when it will send again."""

    def __init__(self, name: str, url: str, clock: SteppedClock) -> None:
        super().__init__(name, url, clock)
        self.sent: list[Sent] = []
        self._now = clock.now
        self._window_until: datetime | None = None

    async def send(self, rendered: Rendered) -> SendResult:
        self._window_until = self._now() + schedule.WINDOW
        result = await super().send(rendered)
        if result.is_accepted:
            self.sent.append(Sent(self._now(), rendered.named))
        return result

    def has_work(self, rows: Sequence[Notification]) -> bool:
        """Delivery is sending some of these rows, or is about to."""
        if any(row.state is DeliveryState.SENDING for row in rows):
            return True
        ready = schedule.due(rows, self._now())
        held = self._window_until is not None and self._now() < self._window_until
        return bool(ready) and not held and self.budget.wait_s(critical=schedule.is_critical(ready)) <= 0


class Service:
    """A web hook on 127.0.0.1 that takes every message; `taken` counts them by account."""

    def __init__(self) -> None:
        self.taken: dict[str, int] = defaultdict(int)
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def __aenter__(self) -> "Service":
        app = web.Application()
        app.router.add_post("/{account}", self._take)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        await request.json()
        self.taken[request.match_info["account"]] += 1
        return web.Response()


@dataclass(slots=True)
class Watched:
    """One case under watch: its account as the daemon holds it, its channel, and what was true of it."""

    case: Case
    plan: AccountPlan
    source: Source
    sight: Sight
    channel: ObservedChannel
    truth: Truth
    reads: int = 0
    failures: list[PollFailure] = field(default_factory=list)

    def told_at(self, rule: str, severity: Severity) -> datetime | None:
        """When the owner first heard of it, or of worse: before liquidation, and in the episode that ended in it.

        None where they did not; of a survivor any episode counts.
        """
        liquidation = self.truth.liquidation
        told: datetime | None = None
        for sent in self.channel.sent:
            if liquidation is not None and sent.at >= liquidation.time:
                break
            for row in sent.rows:
                if row.key.rule != rule:
                    continue
                if row.reason is Reason.RESOLVED:
                    told = told if liquidation is None else None
                elif row.severity >= severity and told is None:
                    told = sent.at
        return told


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """`needed` is how long a value must be past a threshold before the owner is certain to be told."""

    settings: Settings
    watched: tuple[Watched, ...]
    needed: Mapping[Threshold, timedelta]
    messages: int


async def replay(
    cases: Sequence[Case], prices: Mapping[str, Sequence[float]], start: datetime, brackets: BracketsBySymbol
) -> Outcome:
    """Every case through `prices` (by coin, one a second from `start`), with the settings a fresh installation has."""
    clock = SteppedClock(start)
    engines = {
        coin: new_exchange(coin, [case for case in cases if case.coin == coin], path[0], start, brackets)
        for coin, path in prices.items()
    }
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(Service())
        base_urls = {}
        for coin, engine in engines.items():
            base_urls[coin] = (await stack.enter_async_context(PaperServer(engine, clock))).base_url
        settings = shipped_settings(cases, base_urls, service.port)
        store = await Store.open(None, clock)
        stack.push_async_callback(store.close)
        exchanges = Exchanges(clock)
        stack.push_async_callback(exchanges.close)
        watched = tuple(_watched(case, settings, exchanges, engines[case.coin], clock) for case in cases)
        channels = {one.case.name: one.channel for one in watched}
        delivery = Delivery(store, channels, clock, audience=Audience.of(settings), rng=random.Random(1))
        running = asyncio.create_task(delivery.run())
        try:
            await _Player(clock, engines, prices, watched, store, start).play()
            await delivery.drain(1.0)
        finally:
            running.cancel()
            await asyncio.wait([running])
        taken = {name: count for name, count in service.taken.items() if count}
        assert taken == {name: len(c.sent) for name, c in channels.items() if c.sent}, "every message arrived once"
        return Outcome(
            settings=settings, watched=watched, needed=_needed(settings), messages=sum(service.taken.values())
        )


def shipped_settings(cases: Sequence[Case], base_urls: Mapping[str, str], service_port: int) -> Settings:
    """A YAML that says nothing but who is watched and who is told; each account has a channel to itself."""
    lines = ["accounts:"]
    for case in cases:
        access = f"venue: {case.venue}, api_key: key-of-{case.name}, secret: {secret_of(case)}"
        lines.append(f"  {case.name}: {{{access}, base_url: '{base_urls[case.coin]}', channels: [{case.name}]}}")
    lines.append("channels:")
    lines += [f"  {case.name}: {{url: 'json://127.0.0.1:{service_port}/{case.name}'}}" for case in cases]
    return load_text(
        "\n".join(lines) + "\n", is_venue=is_venue, channel_error=channel_error, mode_error=mode_error, env={}
    )


def limits_of(settings: Settings) -> dict[Threshold, float]:
    """The thresholds in force."""
    limits: dict[Threshold, float] = {}
    for rule in RULES:
        for severity in LEVELS:
            limit = getattr(settings.rules[rule], str(severity))
            if limit is not None:
                limits[rule, severity] = limit
    return limits


def _needed(settings: Settings) -> dict[Threshold, timedelta]:
    needed: dict[Threshold, timedelta] = {}
    for rule, severity in limits_of(settings):
        level = settings.alerts.policy_for(settings.rules[rule]).of(severity)
        waits_s = settings.poll_interval + settings.read_deadline + level.for_s + level.group_wait_s
        needed[rule, severity] = timedelta(seconds=waits_s)
    return needed


def _watched(case: Case, settings: Settings, exchanges: Exchanges, engine: Engine, clock: SteppedClock) -> Watched:
    url = settings.channels[case.name].url.get_secret_value()
    source = exchanges.open_account(access_of(settings, case.name))
    # Within a step no time passes, so whoever waited for his turn would wait for ever.
    spend_at_will(source._client.shared.budget)
    return Watched(
        case=case,
        plan=AccountPlan.of(settings, case.name),
        source=source,
        sight=Sight(since=clock.now()),
        channel=ObservedChannel(case.name, url, clock),
        truth=Truth(case, engine, limits_of(settings)),
    )


@dataclass(slots=True)
class _Player:
    """Plays the seconds in order: time and prices move, what is due is delivered, whose turn it is reads."""

    clock: SteppedClock
    engines: Mapping[str, Engine]
    prices: Mapping[str, Sequence[float]]
    watched: Sequence[Watched]
    store: Store
    start: datetime

    async def play(self) -> None:
        for second in range(min(len(path) for path in self.prices.values())):
            now = self.start + timedelta(seconds=second)
            self.clock.advance_to(now)
            for coin, engine in self.engines.items():
                price = self.prices[coin][second]
                engine.set_marks({contract.symbol: price for contract in engine.contracts}, now)
            for one in self.watched:
                one.truth.note(now)
            async with asyncio.timeout(STEP_DEADLINE_S):
                await self._delivered()
                await asyncio.gather(*(self._read(one) for one in self._whose_turn(second)))
                await self._delivered()

    def _whose_turn(self, second: int) -> list[Watched]:
        """Reads are spread over the interval, as the daemon does it; a liquidated account has nothing to lose."""
        return [
            one
            for index, one in enumerate(self.watched)
            if one.truth.liquidation is None and (second - index) % round(one.plan.poll_interval_s) == 0
        ]

    async def _read(self, one: Watched) -> None:
        one.reads += 1
        observation = await run_cycle(lambda: one.plan, one.source, one.sight, self.store, self.clock)
        if isinstance(observation, PollFailure):
            one.failures.append(observation)

    async def _delivered(self) -> None:
        """Until delivery has sent all that may be sent at this second."""
        while self.store.undelivered:
            by_target: dict[str, list[Notification]] = defaultdict(list)
            for row in self.store.undelivered.values():
                by_target[row.target].append(row)
            if not any(one.channel.has_work(by_target[one.case.name]) for one in self.watched):
                return
            await asyncio.sleep(0.001)
