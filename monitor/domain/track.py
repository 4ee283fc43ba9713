"""What has to be remembered of an account to judge it: best marks since opening, the peaks of equity.

A pure fold over good reads; a failed read is not folded, so the next good one goes on from the last. Times only move
forward: a read that claims to be older than the last counts as of the same moment.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from monitor.domain.account import AccountSnapshot, Position, Side
from monitor.domain.alert import ABSENT_READS

# A crash may cost this share of a best mark, of a gain or of a peak: less is not worth a write of its own.
WORTH_WRITING = 0.001
_OPPOSITE = {Side.LONG: Side.SHORT, Side.SHORT: Side.LONG}


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionTrack:
    """One position since watching it began. `best_mark` is the most favourable mark that was read, `best_gain` the most
    that a mark was beyond the entry price of its read, as a share of that; None where no entry price was told."""

    symbol: str
    side: Side
    since: datetime
    best_mark: float
    best_at: datetime
    best_gain: float | None
    entry_price: float | None
    absent_reads: int = 0

    @property
    def subject(self) -> str:
        return f"{self.symbol} {self.side}"


class Window(StrEnum):
    """Days and weeks are those of UTC; weeks begin on Monday."""

    DAY = "day"
    WEEK = "week"
    ALL = "all"


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
    and the positions that move it."""

    at: datetime
    total: float
    amounts: Mapping[str, float]
    rates: Mapping[str, float]
    stakes: tuple[Stake, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Nothing but a transfer can raise it."""
        return self.total <= 0 and not self.stakes


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """Money that came into the account, or, below 0, left it."""

    at: datetime
    currency: str
    amount: float


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
        if not self.units > 0 or self.peaks.keys() != set(Window):
            raise ValueError("a fund has units, and a peak for each window")

    @property
    def price(self) -> float:
        return self.equity.total / self.units


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """`fund` is None until equity was above 0 for the first time."""

    at: datetime
    positions: tuple[PositionTrack, ...] = ()
    fund: Fund | None = None

    def of(self, position: Position) -> PositionTrack | None:
        return next((track for track in self.positions if track.subject == position.subject), None)


def folded(before: Track | None, snapshot: AccountSnapshot, equity: Equity | None, flow: Flow) -> Track:
    """The track as of this good read. `equity` None: it is unknown in it; `flow` is since the last known one."""
    at = snapshot.observed_at if before is None else max(before.at, snapshot.observed_at)
    fund = before.fund if before else None
    if equity is not None:
        fund = _fund(fund, replace(equity, at=at), flow)
    positions = sorted(_positions(before, snapshot, at), key=lambda track: (track.symbol, track.side))
    return Track(at=at, positions=tuple(positions), fund=fund)


def is_worth_writing(written: Track | None, track: Track) -> bool:
    """Whether a crash would lose more than may be lost."""
    if written is None or len(written.positions) != len(track.positions):
        return True
    pairs = zip(written.positions, track.positions, strict=True)
    if any(_moved_on(old, new) for old, new in pairs):
        return True
    if written.fund is None or track.fund is None:
        return written.fund is not track.fund
    return written.fund.units != track.fund.units or any(
        (old.since, old.why) != (new.since, new.why) or new.price - old.price >= WORTH_WRITING * old.price
        for old, new in ((written.fund.peaks[window], track.fund.peaks[window]) for window in Window)
    )


def _moved_on(old: PositionTrack, new: PositionTrack) -> bool:
    if old is new:
        return False
    if (old.subject, old.since, old.absent_reads) != (new.subject, new.since, new.absent_reads):
        return True
    if old.best_gain is None or new.best_gain is None:
        return old.best_gain is not new.best_gain
    return (
        abs(new.best_mark - old.best_mark) >= WORTH_WRITING * old.best_mark
        or new.best_gain - old.best_gain >= WORTH_WRITING
    )


# ---- positions


def gain_of(position: Position) -> float | None:
    """How far the mark is beyond the entry price, as a share of it; below 0 at a loss."""
    if not position.entry_price:
        return None
    return position.side.sign * (position.mark_price - position.entry_price) / position.entry_price


def _positions(before: Track | None, snapshot: AccountSnapshot, at: datetime) -> Iterator[PositionTrack]:
    known = {track.subject: track for track in before.positions} if before else {}
    held = {position.subject for position in snapshot.positions}
    for position in snapshot.positions:
        track = known.get(position.subject)
        yield _begun(position, at) if track is None or _is_another(track, position) else _continued(track, position, at)
    for subject, track in known.items():
        opposite = f"{track.symbol} {_OPPOSITE[track.side]}"
        flipped = opposite in held and opposite not in known
        # Gone is believed when an alert believes it, and at once where the other side has taken its place.
        if subject not in held and not flipped and track.absent_reads + 1 < ABSENT_READS:
            yield replace(track, absent_reads=track.absent_reads + 1)


def _is_another(track: PositionTrack, position: Position) -> bool:
    """Absent in a good read and back at another price: closed and opened again."""
    return track.absent_reads > 0 and track.entry_price != position.entry_price


def _begun(position: Position, at: datetime) -> PositionTrack:
    return PositionTrack(
        symbol=position.instrument.symbol,
        side=position.side,
        since=at,
        best_mark=position.mark_price,
        best_at=at,
        best_gain=gain_of(position),
        entry_price=position.entry_price,
    )


def _continued(track: PositionTrack, position: Position, at: datetime) -> PositionTrack:
    if position.side.sign * (position.mark_price - track.best_mark) > 0:
        track = replace(track, best_mark=position.mark_price, best_at=at)
    gain = gain_of(position)
    if gain is not None and (track.best_gain is None or gain > track.best_gain):
        track = replace(track, best_gain=gain)
    if track.absent_reads or track.entry_price != position.entry_price:
        track = replace(track, entry_price=position.entry_price, absent_reads=0)
    return track


# ---- equity


def _fund(before: Fund | None, equity: Equity, flow: Flow) -> Fund | None:
    own = equity.total - flow.amount
    if before is None or before.equity.is_empty or (flow.amount and min(equity.total, own) <= 0):
        # What a transfer found or left empty has no price to go on from.
        return _anew(equity) if equity.total > 0 else None
    if flow.why is not None:
        return _unknown(before, equity, flow.why)
    fund = replace(before, equity=equity, units=before.units * equity.total / own if flow.amount else before.units)
    return replace(fund, peaks={window: _peak(window, before, fund) for window in Window})


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


def _peak(window: Window, before: Fund, fund: Fund) -> Peak:
    peak, at = before.peaks[window], fund.equity.at
    if _is_over(window, peak, at):
        return Peak(since=at, price=fund.price, at=at)
    return replace(peak, price=fund.price, at=at) if fund.price > peak.price else peak


def _is_over(window: Window, peak: Peak, at: datetime) -> bool:
    """All time begins anew only where it is unknown, with the next week: for ever unknown would be for ever silent."""
    if window is Window.DAY:
        return at.date() != peak.since.date()
    if window is Window.WEEK or peak.why is not None:
        return at.isocalendar()[:2] != peak.since.isocalendar()[:2]
    return False
