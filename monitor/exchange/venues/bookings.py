"""What readers of a venue's bookings share: pages within bounds, and a ledger that promises no more than was told."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitor.domain.ledger import Entry, EntryKind, Ledger, ledger_of
from monitor.exchange.values import Row, malformed, word
from monitor.exchange.venues.venue import Instruments

MAX_PAGES = 10
# What times of bookings are told in: one more of the same instant may stand on the page that was not asked for.
INSTANT = timedelta(milliseconds=1)
Cursor = str | int


@dataclass(frozen=True, slots=True)
class Page:
    """`next_one` asks for the page behind it; None: this was the last."""

    rows: Sequence[Row]
    next_one: Cursor | None = None


async def read_bookings(
    ask: Callable[[Cursor | None], Awaitable[Page]],
    entries_of: Callable[[Row], Iterable[Entry]],
    at: Callable[[Row], datetime],
    *,
    since: datetime,
    until: datetime,
    oldest_first: bool = False,
    untold: Iterable[EntryKind] = (),
    max_pages: int = MAX_PAGES,
) -> Ledger:
    """The bookings of at most `max_pages` pages, the first asked for with None. Raises ReadError.

    `at` is when a row was booked, `entries_of` what it says: nothing where it moved no money, several where one row
    tells a profit and its fee. Where pages were not enough the ledger begins later, or, of a venue that tells the
    oldest first, ends earlier: whoever asks again goes on from there.
    """
    # Read page by page: 10,000 rows at once would hold the loop for a tenth of a second.
    entries, times = list[Entry](), list[datetime]()
    cursors: set[Cursor | None] = set()
    cursor: Cursor | None = None
    for _ in range(max_pages):
        if cursor in cursors:
            raise malformed("a page of bookings follows itself")
        cursors.add(cursor)
        page = await ask(cursor)
        moments = [at(row) for row in page.rows]
        times += moments
        entries += (entry for row in page.rows for entry in entries_of(row))
        cursor = page.next_one
        if cursor is not None and moments:
            _check_order(moments[0], moments[-1], oldest_first=oldest_first)
        if cursor is None or (not oldest_first and any(moment <= since for moment in moments)):
            break
    else:
        if oldest_first:
            until = min(until, max(times, default=since) - INSTANT)
        else:
            since = max(since, min(times, default=until))
    return checked(ledger_of(entries, since, max(since, until), untold))


def _check_order(first: datetime, last: datetime, *, oldest_first: bool) -> None:
    """A page that runs the other way would be taken for the last one of what was asked for."""
    if (first > last) if oldest_first else (first < last):
        raise malformed("bookings are not told in the order in which they are read")


def checked(ledger: Ledger | None) -> Ledger:
    if ledger is None:
        raise malformed("two bookings of one id differ")
    return ledger


def merged(ledgers: Sequence[Ledger]) -> Ledger:
    """Of several wallets of one account: what all of them cover. Ids are to differ between them."""
    since, until = max(ledger.since for ledger in ledgers), min(ledger.until for ledger in ledgers)
    entries = (entry for ledger in ledgers for entry in ledger.entries)
    untold = frozenset().union(*(ledger.untold for ledger in ledgers))
    return checked(ledger_of(entries, since, max(since, until), untold))


def booked(
    name: str, at: datetime, currency: str, symbol: str | None, amounts: Mapping[EntryKind, float]
) -> Iterator[Entry]:
    """What one row says: an entry of each kind of which it moved money. The first is called as the row is."""
    for place, (kind, amount) in enumerate(amounts.items()):
        if amount:
            own = f"{name} {kind}" if place else name
            yield Entry(id=own, at=at, kind=kind, currency=currency, amount=amount, symbol=symbol)


def symbol_of(row: Row, instruments: Instruments, key: str = "symbol") -> str | None:
    """None where the row names no contract, or one that is listed no more."""
    instrument = instruments.get(word(row, key))
    return None if instrument is None else instrument.symbol


def in_milliseconds(time: datetime) -> int:
    return round(time.timestamp() * 1000)
