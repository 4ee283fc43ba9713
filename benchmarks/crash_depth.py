"""The order book of BTCUSDT on 10 October 2025 as it was recorded, and what leaving a position would have cost.

Recorded are sums within 1 to 5 % of a middle price. The recorder kept bids at 121,400 that were long gone (17.65 BTC,
the whole evening), so its middle lies half way up to them, above the market by 2 to 6 %. What rests between two edges
is told all the same; the middle is found from the averages between them, and bids above the mark are left out. Of the
real bids so much as lies within 5 % of that middle is seen: 3 % below the market at first, and at the worst none.
"""

import csv
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from benchmarks.crash_day import DAY_END, DAY_START, MINUTE_MARKS, prices
from benchmarks.oracle_cases import real_brackets
from benchmarks.rig import print_table
from monitor.config.profiles import PROFILES
from monitor.domain.account import AccountSnapshot, Instrument, MarginBalance, MarginMode, Position, Side
from monitor.domain.market import Book, MarketState, Observed, Resting, Tier
from monitor.domain.reading import Reading, Severity, Verdict
from monitor.risk.exit import against
from monitor.risk.margin import maintenance
from monitor.rules.base import Context
from monitor.rules.exit_liquidity import ExitLiquidity

BTC = Instrument(
    venue="binanceusdm",
    symbol="BTC/USDT:USDT",
    base="BTC",
    quote="USDT",
    settle="USDT",
    contract_size=1.0,
    inverse=False,
)
POOL = "cross:USDT"
SIZES_USD = (1e6, 10e6, 50e6)
LEVERAGE = 10
HEADINGS = ("position", "moments seen", "slippage at first", "at worst", "warning", "critical", "liquidated")
FOOTNOTES = (
    "Depth is recorded in bands of 1 %; between their edges orders are taken to rest evenly. Marks are the one-minute"
    " marks of BTCUSD_PERP, interpolated.",
    "The recorder kept 17.65 BTC of bids at 121,400 that were long gone. So its middle lies above the market, and 5 %"
    " below it is 3 % below the market at first and above the mark at the worst: such moments are left out for longs.",
)
PERCENTS = (1, 2, 3, 4, 5)
# Between two edges orders are taken to rest evenly, in so many steps.
STEPS = 200

# Cumulative depth in BTC and its worth in dollars, by signed percent of the recorder's middle.
Depth = Mapping[int, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Moment:
    """A recorded book beside the mark of that second."""

    at: datetime
    mark: float
    book: Book


@dataclass(frozen=True, slots=True)
class Step:
    """What the rule said of a position at that moment."""

    at: datetime
    mark: float
    reading: Reading

    @property
    def slippage_share(self) -> float:
        return float(str(self.reading.inputs["slippage_share"]))


@dataclass(frozen=True, slots=True)
class Replayed:
    """One position, moment by moment of those at which its side of the book was seen, up to its liquidation."""

    side: Side
    size_usd: float
    steps: Sequence[Step]
    liquidated_at: datetime | None

    def first(self, severity: Severity) -> Step | None:
        """At which it was breached at that severity or above."""
        breaches = (step for step in self.steps if step.reading.verdict is Verdict.BREACH)
        return next((step for step in breaches if (step.reading.severity or Severity.INFO) >= severity), None)


def moments(folder: Path) -> Iterator[Moment]:
    marks = prices(folder, MINUTE_MARKS, DAY_START, DAY_END)
    for at, depth in _recorded(folder / "binance_BTCUSDT_book_depth.csv").items():
        mark = marks[int((at - DAY_START) / timedelta(seconds=1))]
        yield Moment(at, mark, book_of(depth, mark))


def _recorded(path: Path) -> Mapping[datetime, Depth]:
    found: dict[datetime, dict[int, tuple[float, float]]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            at = datetime.fromisoformat(row["timestamp_utc"]).replace(tzinfo=UTC)
            found.setdefault(at, {})[int(row["percentage"])] = (float(row["depth_btc"]), float(row["notional_usd"]))
    return found


def book_of(depth: Depth, mark: float) -> Book:
    """The book on both sides of the mark."""
    middle = middle_of(depth)
    edges = {percent: middle * (1 + percent / 100) for percent in sorted(depth, key=abs)}
    return Book(
        bids=tuple(_side(depth, {p: edge for p, edge in edges.items() if p < 0}, mark, Side.LONG)),
        asks=tuple(_side(depth, {p: edge for p, edge in edges.items() if p > 0}, mark, Side.SHORT)),
    )


def middle_of(depth: Depth) -> float:
    """What the recorder took for the middle price: between two edges of asks the average price lies half way."""
    found = []
    for near, far in pairwise(PERCENTS):
        size, worth = (outer - inner for outer, inner in zip(depth[far], depth[near], strict=True))
        found.append(worth / size / (1 + (near + far) / 200))
    return statistics.median(found)


def _side(depth: Depth, edges: Mapping[int, float], mark: float, closes: Side) -> Iterator[Resting]:
    near, inner = mark, 0.0
    for percent, edge in edges.items():
        size, inner = depth[percent][0] - inner, depth[percent][0]
        # What is on the wrong side of the mark has long been gone.
        if closes.sign * (near - edge) <= 0 or size <= 0:
            continue
        for step in range(STEPS):
            yield Resting(near + (edge - near) * (step + 0.5) / STEPS, size / STEPS)
        near = edge


# --- what the rule says of it ---


def replayed(path: Sequence[Moment], side: Side, size_usd: float, leverage: float = LEVERAGE) -> Replayed:
    """A position opened at the first mark on its initial margin and no more."""
    tiers = tuple(Tier(b.floor, b.cap, b.rate, b.amount) for b in real_brackets()[BTC.symbol])
    rule = ExitLiquidity.model_validate({"kind": "exit_liquidity", **PROFILES["retail"]["exit_liquidity"]})
    opened, steps = path[0].mark, list[Step]()
    contracts = size_usd / opened
    for moment in path:
        notional = BTC.notional(contracts, moment.mark)
        owed = maintenance(tiers, notional)
        equity = size_usd / leverage + BTC.pnl(side, contracts, opened, moment.mark)
        if equity <= owed:
            return Replayed(side, size_usd, steps, moment.at)
        if not against(moment.book, side):
            continue
        position = Position(
            instrument=BTC,
            side=side,
            pool=POOL,
            contracts=contracts,
            size=contracts,
            notional=notional,
            mark_price=moment.mark,
            margin_mode=MarginMode.CROSS,
            maintenance_margin=owed,
        )
        pool = MarginBalance(pool=POOL, currency="USDT", equity=equity, maintenance_margin=owed)
        snapshot = AccountSnapshot(
            account="main", venue=BTC.venue, observed_at=moment.at, margins=(pool,), positions=(position,)
        )
        state = MarketState(instrument=BTC, book=Observed(moment.book, moment.at), tiers=Observed(tiers, moment.at))
        (reading,) = rule.evaluate(
            "exit_liquidity", Context(snapshot=snapshot, markets={BTC.symbol: state}, now=moment.at)
        )
        steps.append(Step(moment.at, moment.mark, reading))
    return Replayed(side, size_usd, steps, None)


# --- the tables ---


def print_report(folder: Path) -> None:
    path = list(moments(folder))
    every = [replayed(path, side, size) for side in Side for size in SIZES_USD]
    print(
        f"\nexit_liquidity, retail profile, on the recorded book of BTCUSDT; {LEVERAGE}x, opened {path[0].at:%H:%M:%S}"
    )
    print_table(HEADINGS, [_row(one) for one in every])
    print("\nSlippage of closing at once, of the notional, median of ten minutes")
    print_table(("from", *(_name(one) for one in every)), list(_by_ten_minutes(every)))
    print("\n".join(("", *(f"* {note}" for note in FOOTNOTES))))


def _name(one: Replayed) -> str:
    return f"{one.side} {one.size_usd / 1e6:g}M"


def _row(one: Replayed) -> tuple[str, ...]:
    worst = max(one.steps, key=lambda step: step.slippage_share)
    told = [one.first(severity) for severity in (Severity.WARNING, Severity.CRITICAL)]
    return (
        _name(one),
        str(len(one.steps)),
        f"{one.steps[0].slippage_share:.3%}",
        f"{worst.slippage_share:.3%} at {worst.at:%H:%M:%S}",
        *(f"{step.at:%H:%M:%S} ({step.mark:,.0f})" if step else "-" for step in told),
        f"{one.liquidated_at:%H:%M:%S}" if one.liquidated_at else "survived",
    )


def _by_ten_minutes(every: Sequence[Replayed]) -> Iterator[tuple[str, ...]]:
    start = DAY_START
    while start < DAY_END:
        end = start + timedelta(minutes=10)
        shares = [[step.slippage_share for step in one.steps if start <= step.at < end] for one in every]
        yield f"{start:%H:%M}", *(f"{statistics.median(of):.3%}" if of else "-" for of in shares)
        start = end
