"""Order books as every reader makes them of its venue's rows; what is not sound in itself is a malformed reply."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any, NamedTuple

from monitor.domain.account import FailureKind, Instrument
from monitor.domain.market import Book, Resting
from monitor.exchange.failures import ReadError
from monitor.exchange.values import Row, in_places, malformed, positive, time_of

# A book that was told longer ago is a feed that stands still.
MAX_AGE = timedelta(minutes=5)


class LevelNames(NamedTuple):
    """Under which a venue's rows tell price and number of contracts."""

    price: str = "price"
    size: str = "size"


LEVEL = LevelNames()


def sides_of(told: Row, bids: str = "bids", asks: str = "asks") -> tuple[list[Row], list[Row]]:
    """Both sides of a reply in which each level is a list: price, size, and what is of no interest."""
    return in_places(told.get(bids), LEVEL, bids), in_places(told.get(asks), LEVEL, asks)


def book_of(about: Instrument, bids: Sequence[Row], asks: Sequence[Row], names: LevelNames = LEVEL) -> Book:
    """Of both sides from the best price outwards, sizes in contracts of that instrument.

    Raises ReadError (malformed) for a side out of order, for bids above asks, and where nothing rests at all. One side
    may be empty: that nobody buys is what such a market is watched for.
    """
    book = Book(bids=_side(about, bids, names), asks=_side(about, asks, names))
    if not book.bids and not book.asks:
        raise malformed("an order book with nothing in it")
    if any(worse.price >= better.price for better, worse in pairwise(book.bids)):
        raise malformed("bids that do not fall")
    if any(worse.price <= better.price for better, worse in pairwise(book.asks)):
        raise malformed("asks that do not rise")
    if book.bids and book.asks and book.bids[0].price >= book.asks[0].price:
        raise malformed(f"bids of {book.bids[0].price:g} above asks of {book.asks[0].price:g}")
    return book


def refuse_old(client: Any, told_ms: float) -> None:
    """Raises ReadError (implausible) where the venue's own time of a book is long ago."""
    if time_of(told_ms) < time_of(client.milliseconds()) - MAX_AGE:
        raise ReadError(FailureKind.IMPLAUSIBLE, f"the order book stands still since {time_of(told_ms):%H:%M:%S} UTC")


def _side(about: Instrument, told: Sequence[Row], names: LevelNames) -> tuple[Resting, ...]:
    levels = ((positive(row, names.price), positive(row, names.size)) for row in told)
    return tuple(Resting(price, about.size(contracts, price)) for price, contracts in levels)
