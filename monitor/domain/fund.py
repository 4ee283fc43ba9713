"""An account's equity kept as a fund is kept, so that what comes and goes is no profit and no loss. Pure.

Records of transfers lag behind the reads that show them. So the reads of the last minutes are kept, and with each new
one the fund is folded again from the last read that the records cover: a change that nothing explained, and that made
the peaks unknown, is known again once a record explains it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

# What is booked so long after a read is told by records that end then.
SETTLED_AFTER = timedelta(minutes=5)
# A record may name a moment so far from that of the reads between which it is seen.
NEAR = timedelta(seconds=90)
# Where records are not told, reads wait for them no longer, and no more of them.
PENDING_FOR = timedelta(minutes=30)
MOST_PENDING = 360
# Of what comes to so many times of what was there, what is not exact of it would be a large gain or loss of that.
DILUTING = 10


class Window(StrEnum):
    """Days and weeks are those of UTC; weeks begin on Monday."""

    DAY = "day"
    WEEK = "week"
    ALL = "all"


_WINDOWS = frozenset(Window)


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """The highest price of a unit since the window began. `why` says what makes it unknown until it begins anew."""

    since: datetime
    price: float
    at: datetime
    why: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stake:
    """One position as it explains equity. `notional` and costs in dollars; `pnl` in settle units of `rate` dollars,
    None where the venue does not tell it. `closing_cost` is what closing it may cost, `funding_cost` one payment."""

    subject: str
    contracts: float
    entry_price: float | None
    mark_price: float
    notional: float
    pnl: float | None
    rate: float
    closing_cost: float
    funding_cost: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Equity:
    """What an account was worth in one read: `total` in dollars, `amounts` by currency, whose `rates` are in dollars,
    and the positions that move it. Nothing but a transfer can raise one that `is_empty`. Its `mode` at the venue
    decides what counts."""

    at: datetime
    total: float
    amounts: Mapping[str, float] = field(default_factory=dict)
    rates: Mapping[str, float] = field(default_factory=dict)
    stakes: tuple[Stake, ...] = ()
    is_empty: bool = False
    mode: str = ""

    @property
    def bare(self) -> "Equity":
        """Without what only the next read is compared with."""
        return Equity(at=self.at, total=self.total, is_empty=self.is_empty)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """What came in (or, below 0, went out) between two reads, in dollars; `why` where it is unknown."""

    amount: float = 0.0
    why: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fund:
    """The account as a fund is kept: transfers buy and redeem units, so that the price of one moves by PnL alone."""

    equity: Equity
    units: float
    peaks: Mapping[Window, Peak]

    def __post_init__(self) -> None:
        if not self.units > 0 or self.peaks.keys() != _WINDOWS:
            raise ValueError("a fund has units, and a peak for each window")

    @property
    def price(self) -> float:
        return self.equity.total / self.units


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """From the equity known `since` to this one. `ways` are what nothing explains of the change, give or take how much,
    in dollars, by each way of looking at it. Of what comes in, up to the share `haircut` may not count. `is_of_cash`:
    no position was held when it began. `is_of_two_modes`: what counts is not what did."""

    since: datetime
    equity: Equity
    ways: tuple[tuple[float, float], ...]
    haircut: float = 0.0
    is_of_cash: bool = False
    is_of_two_modes: bool = False

    @property
    def is_odd(self) -> bool:
        return all(abs(left) > allowed for left, allowed in self.ways)

    @property
    def left(self) -> float:
        return self.ways[-1][0]

    @property
    def words(self) -> str:
        return (
            f"equity {'rose' if self.left > 0 else 'fell'} by {abs(self.left):,.2f} USD between "
            f"{self.since:%d %b %H:%M:%S} and {self.equity.at:%H:%M:%S} UTC, more than profit, funding and fees explain"
        )

    def shows(self, amount: float) -> float | None:
        """What of a transfer of that amount this step shows; None where it does not look like it."""
        if any(abs(left - amount) <= allowed for left, allowed in self.ways):
            return amount
        for left, allowed in self.ways:
            if left * amount > 0 and abs(left - amount) <= allowed + self.haircut * abs(amount):
                return left
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A transfer by the venue's records, in dollars, or (not `is_known`) something that may be one. Equity holds what
    `is_margin`; of another coin it may count nothing."""

    id: str
    at: datetime
    amount: float
    is_known: bool = True
    is_margin: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """All of them after `since` and up to `until`."""

    since: datetime
    until: datetime
    records: tuple[Record, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """The fund as of the last read that records cover, the steps since with what came with each as far as is known, and
    which records the fund holds already."""

    settled: Fund | None = None
    steps: tuple[Step, ...] = ()
    flows: tuple[Flow, ...] = ()
    used: tuple[str, ...] = ()


NOTHING_PENDING = Pending()


def fund_after(
    before: Fund | None, pending: Pending, equity: Equity, step: Step | None, records: Records | None
) -> tuple[Fund | None, Pending]:
    """The fund as of this equity. `records` None: they are never told, so that nothing is waited for."""
    if step is None:
        return _fund(before, equity, Flow()), NOTHING_PENDING
    settled = pending.settled if pending.steps else before
    steps = (*pending.steps, replace(step, equity=equity.bare))
    found = _flows(steps, pending.used, records)
    flows = tuple(flow for flow, _ in found)
    count = sum(_is_settled(steps, number, records) for number in range(len(steps)))
    used = set(pending.used).union(*(ids for _, ids in found[:count]))
    for of, flow in zip(steps[:count], flows[:count], strict=True):
        settled = _fund(settled, of.equity, flow)
    if flows[:-1] == pending.flows:
        fund = _fund(before, equity, flows[-1])
    else:
        fund = settled
        for of, flow in zip(steps[count:], flows[count:], strict=True):
            fund = _fund(fund, of.equity, flow)
        fund = replace(fund, equity=equity) if fund is not None else None
    since = settled.equity.at if settled is not None else equity.at
    if records is not None and records.until > since:
        # Records that do not get as far (none are read yet behind a start) do not say which are needed no more.
        used &= {record.id for record in records.records if record.at > since - NEAR}
    return fund, Pending(settled=settled, steps=steps[count:], flows=flows[count:], used=tuple(sorted(used)))


def _is_settled(steps: Sequence[Step], number: int, records: Records | None) -> bool:
    at = steps[number].equity.at
    return (
        records is None
        or at + SETTLED_AFTER <= records.until
        or at + PENDING_FOR <= steps[-1].equity.at
        or number < len(steps) - MOST_PENDING
    )


def _flows(steps: Sequence[Step], used: Sequence[str], records: Records | None) -> list[tuple[Flow, frozenset[str]]]:
    """What came in with each step, and by which records."""
    first, last = steps[0].since - NEAR, steps[-1].equity.at + NEAR
    told = records.records if records is not None else ()
    free = [record for record in told if first < record.at <= last and record.id not in used]
    found = []
    for step in steps:
        if not free and not step.is_odd:
            found.append((Flow(), frozenset[str]()))
            continue
        flow, chosen = _flow(step, free, records)
        free = [record for record in free if record not in chosen]
        found.append((flow, frozenset(record.id for record in chosen)))
    return [_with_unseen(of, step, free) for of, step in zip(found, steps, strict=True)]


def _with_unseen(found: tuple[Flow, frozenset[str]], step: Step, free: Sequence[Record]) -> tuple[Flow, frozenset[str]]:
    """What came in beside a loss that is about as large, while nobody looked, shows in no change of equity."""
    if not step.is_odd or found != (Flow(), frozenset()):
        return found
    due = [record for record in free if record.is_margin and step.since < record.at <= step.equity.at]
    return Flow(amount=sum(record.amount for record in due)), frozenset(record.id for record in due)


def _flow(step: Step, free: Sequence[Record], records: Records | None) -> tuple[Flow, Sequence[Record]]:
    since, at = step.since, step.equity.at
    near = [record for record in free if since - NEAR < record.at <= at + NEAR]
    told = [record for record in near if record.is_known]
    due = [record for record in told if since < record.at <= at]
    for chosen in (due, told, *([record] for record in told)) if step.is_odd else (due,):
        amount = step.shows(sum(record.amount for record in chosen)) if chosen else None
        if amount is not None:
            return Flow(amount=amount), chosen
    if not step.is_odd:
        return Flow(), ()
    if step.is_of_cash and step.equity.is_empty:
        # Cash that is gone was taken, whatever is told of it.
        return Flow(amount=step.left), ()
    if step.is_of_two_modes:
        return Flow(why=f"{step.words}, and the account's mode changed"), ()
    if records is None or records.since > since or at + SETTLED_AFTER > records.until:
        return Flow(why=f"{step.words}: probably a transfer"), ()
    if any(not record.is_known and record.amount for record in near):
        return Flow(why=f"{step.words}, and the venue booked what may have been a transfer"), ()
    # The venue tells its transfers: what they leave of the change was gained or lost.
    amount = sum(record.amount for record in due)
    return (Flow(amount=amount), due) if abs(step.left - amount) < abs(step.left) else (Flow(), ())


def _fund(before: Fund | None, equity: Equity, flow: Flow) -> Fund | None:
    if before is None or (before.equity.is_empty and equity.total > 0):
        return _anew(equity) if equity.total > 0 else None
    if flow.why is not None:
        return _unknown(before, equity, flow.why)
    grown = _grown(before.equity.total, equity.total, flow.amount) if flow.amount else 1.0
    if grown is None:
        return _anew(equity) if equity.total > 0 else None
    units = before.units * grown
    price = equity.total / units
    peaks = {window: _peak(window, before.peaks[window], price, equity.at) for window in Window}
    return Fund(equity=equity, units=units, peaks=peaks)


def _grown(before: float, now: float, flow: float) -> float | None:
    """How many units there are for each of before. None: what a transfer found or left empty has no price to go on.

    Money comes and goes with the read that shows it; with the one before, where more than was there is lost with it.
    """
    own = now - flow
    if before > 0 and flow > 0 and (own <= 0 or flow > DILUTING * before):
        return 1 + flow / before
    return now / own if min(now, own) > 0 else None


def _anew(equity: Equity) -> Fund:
    peak = Peak(since=equity.at, price=1.0, at=equity.at)
    return Fund(equity=equity, units=equity.total, peaks=dict.fromkeys(Window, peak))


def _unknown(before: Fund, equity: Equity, why: str) -> Fund:
    """What came or went is not known, so no peak is either, but that of a window which begins with this read."""
    fund = _anew(equity) if equity.total > 0 else replace(before, equity=equity)
    begun = Peak(since=equity.at, price=fund.price, at=equity.at)
    peaks = {Window.ALL: replace(begun, why=why)}
    for window in (Window.DAY, Window.WEEK):
        last = before.peaks[window]
        peaks[window] = begun if _is_over(window, last, equity.at) else replace(begun, since=last.since, why=why)
    return replace(fund, peaks=peaks)


def _peak(window: Window, peak: Peak, price: float, at: datetime) -> Peak:
    if _is_over(window, peak, at):
        return Peak(since=at, price=price, at=at)
    return replace(peak, price=price, at=at) if price > peak.price else peak


def _is_over(window: Window, peak: Peak, at: datetime) -> bool:
    """All time begins anew only where it is unknown, with the next week: for ever unknown would be for ever silent."""
    if window is Window.DAY:
        return at.date() != peak.since.date()
    if window is Window.WEEK or peak.why is not None:
        return at.isocalendar()[:2] != peak.since.isocalendar()[:2]
    return False
