"""What has to be remembered of an account to judge it: best marks since opening, and its equity as a fund.

A pure fold over good reads; a failed read is not folded, so the next good one goes on from the last. Times only move
forward: a read that claims to be older than the last counts as of the same moment.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from monitor.domain.account import AccountSnapshot, Position, Side
from monitor.domain.alert import ABSENT_READS
from monitor.domain.fund import NOTHING_PENDING, Equity, Fund, Pending, Records, Step, Window, fund_after

# A crash may cost this share of a best mark, of a gain or of a peak: less is not worth a write of its own.
WORTH_WRITING = 0.001
# A split or a redenomination is of three for two at least. What is no whole unit after it is paid out, and the mark may
# have moved since the last read.
LEAST_SPLIT, PAID_OUT, MOVED_BESIDE = 1.4, 0.01, 0.1
_OPPOSITE = {Side.LONG: Side.SHORT, Side.SHORT: Side.LONG}


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionTrack:
    """One position since watching it began. `best_mark` is the most favourable mark that was read, `best_gain` the most
    that a mark was beyond the entry price of its read, as a share of that; None where no entry price was told.
    `most_units` were held at once, `units` at `mark_price` when it was read last."""

    symbol: str
    side: Side
    since: datetime
    best_mark: float
    best_at: datetime
    best_gain: float | None
    entry_price: float | None
    absent_reads: int = 0
    most_units: float = 0.0
    units: float = 0.0
    mark_price: float = 0.0

    @property
    def subject(self) -> str:
        return f"{self.symbol} {self.side}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """`fund` is None until equity was above 0 for the first time; `pending` is what of it may have to be mended."""

    at: datetime
    positions: tuple[PositionTrack, ...] = ()
    fund: Fund | None = None
    pending: Pending = NOTHING_PENDING

    def of(self, position: Position) -> PositionTrack | None:
        symbol, side = position.instrument.symbol, position.side
        return next((track for track in self.positions if track.symbol == symbol and track.side is side), None)


def folded(
    before: Track | None,
    snapshot: AccountSnapshot,
    equity: Equity | None = None,
    step: Step | None = None,
    records: Records | None = None,
) -> Track:
    """The track as of this good read. `equity` None: it is unknown in it; `step` is from the last known one to this."""
    at = snapshot.observed_at if before is None else max(before.at, snapshot.observed_at)
    fund, pending = (before.fund, before.pending) if before else (None, NOTHING_PENDING)
    if equity is not None:
        fund, pending = fund_after(fund, pending, replace(equity, at=at), step, records)
    positions = sorted(_positions(before, snapshot, at), key=lambda track: (track.symbol, track.side))
    return Track(at=at, positions=tuple(positions), fund=fund, pending=pending)


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
    if new.most_units - old.most_units >= WORTH_WRITING * old.most_units > 0:
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
        track = _as_split(known.get(position.subject), position)
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
        most_units=position.units,
        units=position.units,
        mark_price=position.mark_price,
    )


def _continued(track: PositionTrack, position: Position, at: datetime) -> PositionTrack:
    if position.side.sign * (position.mark_price - track.best_mark) > 0:
        track = replace(track, best_mark=position.mark_price, best_at=at)
    gain = gain_of(position)
    if gain is not None and (track.best_gain is None or gain > track.best_gain):
        track = replace(track, best_gain=gain)
    return replace(
        track,
        entry_price=position.entry_price,
        absent_reads=0,
        most_units=max(track.most_units, position.units),
        units=position.units,
        mark_price=position.mark_price,
    )


def _as_split(track: PositionTrack | None, position: Position) -> PositionTrack | None:
    """The track in prices and units of this read, where the contract was split or redenominated since the last: entry
    price and mark are so many times the old ones, and what was paid for the position is the same. Marks of before
    would be no marks of it."""
    if track is None or not (track.entry_price and position.entry_price and track.units and track.mark_price):
        return track
    times, units = position.entry_price / track.entry_price, position.units / track.units
    paid = units if position.instrument.inverse else units * times
    moved = position.mark_price / track.mark_price / times
    if max(times, 1 / times) < LEAST_SPLIT or abs(paid - 1) > PAID_OUT or abs(moved - 1) > MOVED_BESIDE:
        return track
    return replace(
        track,
        best_mark=track.best_mark * times,
        most_units=track.most_units * units,
        entry_price=position.entry_price,
    )
