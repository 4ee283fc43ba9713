"""`python -m benchmarks.budgets`: how many accounts one egress address reads, at which poll interval.

Each account of tests/venues is read over HTTP by the real client; what goes through its request budget is written down,
and the server must have been asked as often. Single costs are differences between reads: of a poll alone, of one at
which marks are due, then settings, then terms (contracts, brackets, intervals), and of a look at the key.

Accounts are counted by what the code lets an address spend, not by what the venue allows: `Budget.usable`, calls a
second, and the paces of single paths. "At once" is the minute after a start, in which each account is also asked for
its settings and its key: so many never put a read off. "In the long run" spreads these over ten minutes and a day;
between the two, reads are put off in the minutes in which the settings of all are due. All hold the same contracts.
"""

import asyncio
from bisect import bisect_right
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from math import ceil
from typing import Any
from unittest.mock import patch

from monitor.clock import Clock, SystemClock
from monitor.domain.account import FailureKind, PollFailure
from monitor.exchange import market_data, registry
from monitor.exchange.budget import Budget
from monitor.exchange.market_data import TERMS_MAX_AGE_S
from monitor.exchange.registry import MARKS_AGE_SHARE, venue_of
from monitor.exchange.source import SETTINGS_MAX_AGE, AccountSource
from monitor.keys import LOOKED_AT_EVERY_S
from monitor.paper.engine import Engine
from tests.builders import NOON
from tests.reading import good
from tests.venues.books import linear
from tests.venues.cases import CASES
from tests.venues.kit import AccountCase, VenueCase, a_house, book_of, crowd_of

INTERVALS_S = (5, 10, 30, 60)
POLL_S = 10.0
MOST = 100_000
ROUNDING = 1e-6
MEASURED_TOGETHER = 8
# Who made the limit that holds for all calls of an address, where it is not the venue.
OURS: Mapping[str, str] = {
    "okx": "ours: OKX counts by user",
    "gate": "ours: Gate counts by user and endpoint",
    "mexc": "ours: MEXC counts by endpoint",
    "bingx": "BingX's of one endpoint",
    "krakenfutures": "Kraken's, as if all calls cost",
    "deribit": "Deribit's of a user, and of public calls",
}
# Hyperliquid tells positions dex by dex; its books know one beside the main dex.
FURTHER_DEXES = 7

# By path and weight.
Calls = Counter[tuple[str, int]]
Book = Callable[[VenueCase, datetime], Engine]


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What is asked for at each occasion: of one account, but `marks`, `terms` and `start` of all together.

    `start` is what is shared of the very first read. `orders` are the stop orders beside an account, and `bookings` a
    page of what the venue booked to it, where a rule needs them; no count of accounts has them in it.
    """

    poll: Calls
    settings: Calls
    key: Calls
    orders: Calls
    bookings: Calls
    marks: Calls
    terms: Calls
    start: Calls


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One account. `dexes` is how many further ones its settings named; `is_crowd`: it fills more than a page."""

    venue: str
    mode: str
    positions: int
    dexes: int
    is_crowd: bool
    costs: Costs


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """So many units a minute; `units` counts them in what is asked for."""

    name: str
    whose: str = "the venue's"
    per_minute: float
    units: Callable[[Calls], int]

    def accounts(self, costs: Costs, interval_s: float, *, at_once: bool) -> int:
        """The most that keep within it; MOST where an account costs nothing of it."""
        return bisect_right(
            range(1, MOST + 1),
            self.per_minute + ROUNDING,
            key=lambda number: (
                number * self.each(costs, interval_s, at_once=at_once)
                + self.shared(costs, interval_s, number, at_once=at_once)
            ),
        )

    def each(self, costs: Costs, interval_s: float, *, at_once: bool) -> float:
        """A minute of one account."""
        units, polls = self.units, 60 / interval_s
        if at_once:
            return units(costs.poll) * ceil(polls) + units(costs.settings) + units(costs.key)
        rarely = units(costs.settings) / SETTINGS_MAX_AGE.total_seconds() + units(costs.key) / LOOKED_AT_EVERY_S
        return units(costs.poll) * polls + 60 * rarely

    def shared(self, costs: Costs, interval_s: float, accounts: int, *, at_once: bool) -> float:
        """A minute. Marks are read when somebody polls and they are older than that share of an interval."""
        marks = min(accounts, 1 / MARKS_AGE_SHARE) * 60 / interval_s
        terms = self.units(costs.start) if at_once else self.units(costs.terms) * 60 / TERMS_MAX_AGE_S
        return self.units(costs.marks) * marks + terms


def limits_of(venue_id: str) -> list[Limit]:
    """Of one address, as the code keeps to them; the one of weight first."""
    venue = venue_of(venue_id)
    usable = Budget(weight_per_minute=venue.weight_per_minute, clock=SystemClock()).usable
    calls, whose = venue.calls_per_second, OURS.get(venue_id, "the venue's")
    return [
        Limit(name=f"{usable:,.0f} weight a minute", whose=whose, per_minute=usable, units=weight),
        Limit(name=f"{calls} calls a second", whose=whose, per_minute=60.0 * calls, units=Counter.total),
        *(
            Limit(name=f"{pace} calls of {path} a second", per_minute=60.0 * pace, units=partial(calls_of, path))
            for path, pace in venue.rules.paces.items()
        ),
    ]


def weight(calls: Calls) -> int:
    return sum(each * count for (_, each), count in calls.items())


def calls_of(path: str, calls: Calls) -> int:
    return sum(count for (asked, _), count in calls.items() if asked == path)


# --- measuring ---


class Still(SystemClock):
    """Stands where it is put: what is due does not depend on how fast this machine is."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead_s = 0.0

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.ahead_s)

    def monotonic(self) -> float:
        return self.ahead_s

    async def sleep(self, _seconds: float) -> None:
        await asyncio.sleep(0)


class _Recording(Budget):
    """Holds nobody up: what would be waited for is not what is measured."""

    def __init__(self, *, clock: Clock, **_: Any) -> None:
        super().__init__(weight_per_minute=10**9, calls_per_second=10**9, clock=clock)
        self.asked: list[tuple[str, int]] = []

    async def spend(self, weight: int, patience_s: float, path: str = "") -> None:
        self.asked.append((path, weight))
        await super().spend(weight, patience_s, path)


@contextmanager
def recording() -> Iterator[None]:
    """Public data is waited for however busy the machine is."""
    with patch.object(registry, "Budget", _Recording), patch.object(market_data, "GRACE_S", 30.0):
        yield


async def measured(case: VenueCase, account: AccountCase, book: Book = book_of) -> Measured:
    """Inside `recording`."""
    clock = Still()
    async with a_house(case, clock, book(case, clock.now())) as house:
        source = house.open(account, poll_interval_s=POLL_S, read_deadline_s=60.0)
        budget: _Recording = source._client.shared.budget

        async def asked_by(read: Callable[[], Awaitable[object]]) -> Calls:
            before, served = len(budget.asked), house.server.counts.total()
            assert not isinstance(told := await read(), PollFailure), told
            calls = Counter(budget.asked[before:])
            assert calls.total() == house.server.counts.total() - served, "a request went past the budget"
            return calls

        snapshot = good(await source.observe())
        first = Counter(budget.asked)
        assert first.total() == house.server.counts.total(), "a request went past the budget"
        reads = [await asked_by(source.observe)]
        for age_s in (POLL_S, SETTINGS_MAX_AGE.total_seconds(), TERMS_MAX_AGE_S):
            clock.ahead_s += age_s
            house.engine.advance(clock.now())
            reads.append(await asked_by(source.observe))
        marks, settings, terms = (later - earlier for earlier, later in pairwise(reads))
        start, key = first - reads[0] - settings - marks, await asked_by(source.key_facts)
        orders, bookings = await asked_by(source.orders), await asked_by(partial(_bookings_of, source))
        return Measured(
            venue=case.venue,
            mode=source._settings.mode,
            positions=len(snapshot.positions),
            dexes=len(source._settings.parts) if case.venue == "hyperliquid" else 0,
            is_crowd=book is crowd_of,
            costs=Costs(
                poll=reads[0],
                settings=settings,
                key=key,
                orders=orders,
                bookings=bookings,
                marks=marks,
                terms=terms,
                start=start,
            ),
        )


async def _bookings_of(source: AccountSource) -> object:
    """Nothing is asked of a venue whose bookings are not read."""
    told = await source.bookings()
    return None if isinstance(told, PollFailure) and told.kind is FailureKind.UNSUPPORTED else told


async def measured_all() -> list[Measured]:
    """Accounts in the order of the cases; behind them those of many positions or dexes."""
    turns = asyncio.Semaphore(MEASURED_TOGETHER)
    # Some are listed once more, to be spoilt in other ways.
    accounts = {(case.venue, account.name): (case, account) for case in CASES for account in case.accounts}

    async def one(case: VenueCase, account: AccountCase, book: Book) -> Measured:
        async with turns:
            return await measured(case, account, book)

    with recording():
        return await asyncio.gather(
            *(one(case, account, book_of) for case, account in accounts.values()),
            *(one(case, case.crowd, crowd_of) for case in CASES if case.crowd),
            *(one(case, case.accounts[0], _more_dexes) for case in CASES if case.venue == "hyperliquid"),
        )


def _more_dexes(case: VenueCase, now: datetime) -> Engine:
    engine = book_of(case, now)
    for number in range(1, FURTHER_DEXES):
        engine.add_contract(case.terms(linear(f"D{number}", "USDC", case.sizes, symbol=f"dex{number}:D{number}")))
    engine.set_marks({c.symbol: 1.0 for c in engine.contracts if engine.mark(c.symbol) is None})
    return engine


# --- telling ---

HEADINGS = (
    "venue",
    "mode",
    "holds",
    "a poll: calls, weight",
    "settings: weight",
    "stop orders: calls, weight",
    "bookings: calls, weight",
    "shared: weight a minute",
    "what binds",
    *(f"every {interval_s} s" for interval_s in INTERVALS_S),
)


def table(all_measured: Iterable[Measured]) -> list[str]:
    """In markdown: of each mode the account that costs most; modes that cost the same stand together."""
    dearest: dict[tuple[str, str, bool, int], Measured] = {}
    for one in all_measured:
        key = (one.venue, one.mode, one.is_crowd, one.dexes)
        dearest[key] = max(dearest.get(key, one), one, key=_price)
    rows: dict[tuple[str, tuple[str, ...]], list[Measured]] = {}
    for one in dearest.values():
        rows.setdefault((one.venue, _cells(one)), []).append(one)
    rule = ["---", "---", "---", "---", "---:", "---", "---", "---:", "---", *("---:" for _ in INTERVALS_S)]
    lines = [HEADINGS, rule]
    for venue in dict.fromkeys(one.venue for one in dearest.values()):
        modes = {one.mode for one in dearest.values() if one.venue == venue}
        lines += [
            (
                venue,
                "every" if len(those) == len(modes) else "; ".join(one.mode for one in those),
                _holds(those),
                *cells,
            )
            for (of, cells), those in rows.items()
            if of == venue
        ]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def _holds(those: Sequence[Measured]) -> str:
    """Of accounts in one row."""
    counts = sorted({one.positions for one in those})
    number = f"{counts[0]}-{counts[-1]}" if len(counts) > 1 else f"{counts[0]}"
    return f"{number} positions" + (f", {those[0].dexes + 1} dexes" if those[0].dexes else "")


def _price(of: Measured) -> float:
    limit = limits_of(of.venue)[0]
    return limit.each(of.costs, POLL_S, at_once=False) + limit.shared(of.costs, POLL_S, 2, at_once=False)


def _cells(of: Measured) -> tuple[str, ...]:
    """What an account costs, and how many there may be. Accounts are told at once, and in the long run."""
    costs, limits = of.costs, limits_of(of.venue)
    binding = min(limits, key=lambda limit: limit.accounts(costs, POLL_S, at_once=False))
    return (
        f"{costs.poll.total()}, {weight(costs.poll)}",
        f"{weight(costs.settings)}",
        f"{costs.orders.total()}, {weight(costs.orders)}",
        f"{costs.bookings.total()}, {weight(costs.bookings)}" if costs.bookings else "not read",
        f"{limits[0].shared(costs, POLL_S, 2, at_once=False):.1f}",
        f"{binding.name} ({binding.whose})",
        *(_accounts(limits, costs, interval_s) for interval_s in INTERVALS_S),
    )


def _accounts(limits: list[Limit], costs: Costs, interval_s: float) -> str:
    at_once, in_the_long_run = (
        min(limit.accounts(costs, interval_s, at_once=at_once) for limit in limits) for at_once in (True, False)
    )
    return f"{at_once:,} / {in_the_long_run:,}"


if __name__ == "__main__":
    print("\n".join(table(asyncio.run(measured_all()))))
