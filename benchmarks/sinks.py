"""How a healthy channel fares beside sick ones, and what the sick ones owe: `python -m benchmarks.sinks --alerts 300`.

The production delivery with its state on disk, real time, Apprise's own Telegram, Discord and webhook plugins. For each
sickness, and at last for all at once, a healthy webhook stands beside channels of all three kinds that have it. Alerts
are enqueued for all of them at random intervals; then the sick heal, time is skipped past what they had to wait for,
and all that was owed must arrive.

The delay is from when a message may go to when the healthy service has taken it. The contract holds a row back on
purpose: in the five seconds after a message, which make one digest, and where the channel's budget is spent. So it is
counted from the commit of the row, or the end of the window after the channel's last acceptance, whichever is later;
no budget is spent at the pace kept here.

Lost is an alert that a channel was not told of, a duplicate one it was told of twice by accepted messages without a
mark. Exits 1 where p99 is not below 1 s, or anything is lost, told twice unmarked, or left in memory or threads.
"""

import argparse
import asyncio
import random
import re
import resource
import statistics
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.rig import Bound, measured_on, print_table, verdict
from monitor.log import configure
from monitor.notify.schedule import DISABLED_RETRY, WINDOW
from monitor.notify.wire import MAX_STUCK_THREADS
from monitor.store.store import Store
from tests.daemon_kit import SkippingClock
from tests.outbox import NOON, a_notice, a_row, delivering, enqueue, key, now_of, until
from tests.services import (
    KINDS,
    WEBHOOK,
    Ailment,
    Answer,
    Service,
    babbles,
    breaks_off,
    drips,
    drips_headers,
    floods,
    hangs,
    hangs_up,
    slams,
    slams_midway,
    webhook_says,
)

HEALTHY = "healthy"
ALERTS_PER_S = 5.0
HEAL_WITHIN_S = 60.0
MAX_DELAY_S = 1.0
MAX_GROWTH_MB = 100.0
TOLD = re.compile(r"CRITICAL (fund-\d+):")
MARK = "possible repeat"


@dataclass(frozen=True, slots=True)
class Sickness:
    """`takes`: what it was sent while sick may well have arrived."""

    name: str
    answer: Answer | None = None
    ailment: Ailment | None = None
    takes: bool = False


SICKNESSES = (
    Sickness("none", takes=True),
    Sickness("hangs", hangs, takes=True),
    Sickness("drips", drips, takes=True),
    Sickness("drips headers", ailment=drips_headers),
    Sickness("400", webhook_says(400)),
    Sickness("401", webhook_says(401)),
    Sickness("404", webhook_says(404)),
    Sickness("429", webhook_says(429, Retry_After="7")),
    Sickness("500", webhook_says(500)),
    Sickness("502", webhook_says(502), takes=True),
    Sickness("closes unread", ailment=slams),
    Sickness("closes midway", ailment=slams_midway),
    Sickness("closes after", hangs_up, takes=True),
    Sickness("breaks off", breaks_off, takes=True),
    Sickness("garbage", ailment=babbles),
    Sickness("redirects", webhook_says(302, Location="/login")),
    Sickness("200 without end", floods(200, []), takes=True),
    Sickness("500 without end", floods(500, [])),
)


@dataclass(slots=True)
class Figures:
    delays_s: list[float] = field(default_factory=list)
    lost: int = 0
    repeated: int = 0
    marked: int = 0
    threads: int = 0

    @property
    def p99_s(self) -> float:
        return statistics.quantiles(self.delays_s, n=100, method="inclusive")[98]


class Sick:
    """One sick target: its double, and from which of its messages on it was well."""

    def __init__(self, sickness: Sickness, service: Service) -> None:
        self._sickness = sickness
        self._service = service
        self._well_from = 0
        service.always, service.ailing = sickness.answer, sickness.ailment

    def heal(self) -> None:
        self._well_from = 0 if self._sickness.takes else len(self._service.messages)
        self._service.always = self._service.ailing = None

    def taken(self) -> list[str]:
        return self._service.texts[self._well_from :]


def told(texts: Sequence[str]) -> tuple[Counter[str], Counter[str]]:
    """How often each alert was told without a mark, and with one; a digest is marked line by line."""
    plain, marked = Counter[str](), Counter[str]()
    for text in texts:
        first, *rest = text.splitlines()
        is_full = TOLD.search(first) is not None
        for line in [first] if is_full else rest:
            if (found := TOLD.search(line)) is not None:
                (marked if MARK in (text if is_full else line) else plain)[found[1]] += 1
    return plain, marked


async def beside(sicknesses: Sequence[Sickness], alerts: int, seed: int) -> Figures:
    """One healthy target beside three of each sickness."""
    clock, figures = SkippingClock(NOON, 1.0), Figures()
    async with AsyncExitStack() as stack:
        well = await stack.enter_async_context(WEBHOOK.double())
        channels, sick = {HEALTHY: WEBHOOK.channel(HEALTHY, well, clock)}, dict[str, Sick]()
        for sickness in sicknesses:
            for kind in KINDS:
                name = f"{kind.name} {sickness.name}"
                service = await stack.enter_async_context(kind.double())
                channels[name] = kind.channel(name, service, clock)
                sick[name] = Sick(sickness, service)
        folder = Path(stack.enter_context(TemporaryDirectory()))
        store, _ = await stack.enter_async_context(delivering(clock, channels, path=folder / "perpwatch.db"))
        names = [f"fund-{number:04}" for number in range(alerts)]
        committed_s = await _fire(store, names, tuple(channels), clock, random.Random(seed), figures)
        await until(lambda: not any(row.target == HEALTHY for row in store.undelivered.values()), HEAL_WITHIN_S)
        figures.delays_s = list(_delays_s(well, committed_s))
        for one in sick.values():
            one.heal()
        figures.threads = max(figures.threads, _threads())
        await _settle(store, clock)
        for texts in (well.texts, *(one.taken() for one in sick.values())):
            plain, marked = told(texts)
            figures.lost += sum(not plain[name] and not marked[name] for name in names)
            figures.repeated += sum(max(0, plain[name] - 1) for name in names)
            figures.marked += sum(marked.values())
    await until(lambda: _threads() == 0)
    return figures


async def _fire(
    store: Store, names: Sequence[str], targets: Sequence[str], clock: SkippingClock, dice: random.Random, into: Figures
) -> dict[str, float]:
    """Alerts at random intervals; when each was committed, on the loop's clock."""
    committed_s = {}
    for name in names:
        await enqueue(store, *(now_of(a_row(key=key(name), target=target), clock) for target in targets))
        committed_s[name] = asyncio.get_running_loop().time()
        into.threads = max(into.threads, _threads())
        await asyncio.sleep(dice.expovariate(ALERTS_PER_S))
    return committed_s


def _delays_s(well: Service, committed_s: dict[str, float]) -> list[float]:
    """From when each alert may go to the message that tells it."""
    delays, window_until_s = [], 0.0
    for text, at in zip(well.texts, well.times, strict=True):
        named = dict.fromkeys(TOLD.findall(text))
        delays += [at - max(committed_s.pop(name), window_until_s) for name in named if name in committed_s]
        window_until_s = at + WINDOW.total_seconds()
    return delays


async def _settle(store: Store, clock: SkippingClock) -> None:
    """Skip what the healed wait for; a new row is what wakes their lanes."""
    clock.skip(DISABLED_RETRY.total_seconds())
    async with asyncio.timeout(HEAL_WITHIN_S):
        nudge = 0
        while any(row.target != HEALTHY for row in store.undelivered.values()):
            clock.skip(WINDOW.total_seconds())
            nudge += 1
            await enqueue(store, now_of(a_notice("go on", target=HEALTHY, episode=nudge), clock))
            await asyncio.sleep(0.2)


def _threads() -> int:
    return sum(thread.name.startswith("notify-") for thread in threading.enumerate())


async def measure(alerts: int, seed: int) -> int:
    before_mb = _peak_mb()
    runs = [(sickness.name, (sickness,)) for sickness in SICKNESSES] + [("all at once", SICKNESSES[1:])]
    found = {}
    for name, sicknesses in runs:
        found[name] = await beside(sicknesses, alerts, seed)
        print(f"{name}: done", file=sys.stderr, flush=True)
    rows = [
        (
            name,
            *(f"{figure * 1000:.0f} ms" for figure in (statistics.median(f.delays_s), f.p99_s, max(f.delays_s))),
            *(str(figure) for figure in (f.lost, f.repeated, f.marked, f.threads)),
        )
        for name, f in found.items()
    ]
    headings = ("sick beside it", "p50", "p99", "max", "lost", "repeated unmarked", "repeated marked", "threads")
    print_table(headings, rows)
    grown_mb = _peak_mb() - before_mb
    channels = 1 + len(KINDS) * (len(SICKNESSES) - 1)
    return verdict(
        [
            Bound(what="p99 beside any", value=max(f.p99_s for f in found.values()), at_most=MAX_DELAY_S, unit="s"),
            Bound(what="alerts lost", value=sum(f.lost for f in found.values()), at_most=0, unit=""),
            Bound(what="repeated unmarked", value=sum(f.repeated for f in found.values()), at_most=0, unit=""),
            Bound(
                what="threads",
                value=max(f.threads for f in found.values()),
                at_most=channels * (1 + MAX_STUCK_THREADS),
                unit="",
            ),
            Bound(what="memory grown", value=grown_mb, at_most=MAX_GROWTH_MB, unit="MB"),
        ]
    )


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> int:
    parser = argparse.ArgumentParser(description="a healthy channel beside sick ones")
    parser.add_argument("--alerts", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    configure("critical", "json")
    print(f"{measured_on()}\n")
    return asyncio.run(measure(given.alerts, given.seed))


if __name__ == "__main__":
    sys.exit(main())
