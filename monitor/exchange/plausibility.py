"""Replies that parse and are still not to be believed: an account suddenly flat, a mark price that stands still."""

from datetime import datetime

from monitor.domain.account import FailureKind, Position
from monitor.domain.market import Markets
from monitor.exchange.failures import ReadError
from monitor.exchange.venues.venue import AccountReading

# A position's mark that has not moved while the market's is this far from it comes from a stale reply.
MAX_STANDING_GAP = 0.01
FLAT_READS = 2


class Plausibility:
    """Judges one account's readings against the last believed one. One instance per account."""

    def __init__(self) -> None:
        self._last: AccountReading | None = None
        self._flat_reads = 0
        self._marks: dict[str, tuple[float, datetime]] = {}

    def check(self, reading: AccountReading, markets: Markets, now: datetime) -> None:
        """Raises ReadError (implausible); the reading is worth reading once more then."""
        self._check_flat(reading)
        if reading.marks_are_the_markets:
            self._check_marks(reading.positions, markets, now)
        self._last = reading

    def _check_flat(self, reading: AccountReading) -> None:
        """A sudden flat is read twice, and believed only if the margin in use fell too."""
        last = self._last
        if reading.positions or last is None or not last.positions:
            self._flat_reads = 0
            return
        self._flat_reads += 1
        if self._flat_reads < FLAT_READS:
            raise _implausible("all positions are gone at once")
        before, after = last.margin_in_use, reading.margin_in_use
        if before is not None and after is not None and after >= before > 0:
            raise _implausible("the position list is empty, yet the margin in use did not fall")
        self._flat_reads = 0

    def _check_marks(self, positions: tuple[Position, ...], markets: Markets, now: datetime) -> None:
        """The market's mark counts only where received after we first saw the position's: it may be the stale one."""
        seen = self._marks
        self._marks = {}
        for position in positions:
            symbol, mark_price = position.instrument.symbol, position.mark_price
            first = seen.get(symbol)
            standing = first if first is not None and first[0] == mark_price else (mark_price, now)
            self._marks[symbol] = standing
            market = markets[symbol].mark_price if symbol in markets else None
            if market is None or market.observed_at <= standing[1]:
                continue
            if abs(mark_price / market.value - 1) > MAX_STANDING_GAP:
                self._marks = seen
                raise _implausible(
                    f"{symbol} is valued at {mark_price:g} since {standing[1]:%H:%M:%S} UTC, the market is at "
                    f"{market.value:g}: the reply is stale"
                )


def _implausible(what: str) -> ReadError:
    return ReadError(FailureKind.IMPLAUSIBLE, what)
