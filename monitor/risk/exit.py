"""What it costs to leave a position at once: its size walked into the order book as the venue told it.

A reply holds the best prices alone, so a book that ends before the position does is no thin market: what it costs at
least is certain (the rest goes at the last price told, or worse), and what it costs is estimated as if orders went on
as densely as they were told. Too little told says nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from monitor.domain.account import AccountSnapshot, MarginBalance, MarginMode, Position, Side
from monitor.domain.market import Book, Markets, Resting
from monitor.risk.remedy import with_cut

# Of the position. From less than this nobody can tell how the book goes on.
TELLING_SHARE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """Costs against the mark, in settle units and never below 0. They are one where the book told holds the position.

    `about` is None where too little is told to say. `depth` is all that is told of the side, in contracts; `last_price`
    is the worst price paid in it, None where that side is empty.
    """

    at_least: float
    about: float | None
    depth: float
    last_price: float | None


def exit_of(position: Position, book: Book, share: float = 1.0) -> Exit:
    """Closing that share of the position: a long sells to the bids, a short buys from the asks.

    slippage = sum over fills of what the contracts would have brought more at the mark.
    """
    instrument, side, mark = position.instrument, position.side, position.mark_price
    wanted = left = position.contracts * share
    cost, last = 0.0, None
    offers = against(book, side)
    sizes = [instrument.contracts(offer.size, offer.price) for offer in offers]
    depth = sum(sizes)
    for offer, offered in zip(offers, sizes, strict=True):
        if left <= 0:
            break
        filled = min(left, offered)
        cost += instrument.pnl(side, filled, offer.price, mark)
        left -= filled
        last = offer.price
    if last is None:
        return Exit(at_least=0.0, about=None if wanted > 0 else 0.0, depth=depth, last_price=None)
    at_least = cost + instrument.pnl(side, left, last, mark)
    about: float | None = at_least
    if left > 0:
        further = _price_further(offers, side, left / depth) if depth >= TELLING_SHARE * wanted else None
        about = None if further is None else cost + instrument.pnl(side, left, further, mark)
    return Exit(
        at_least=max(at_least, 0.0),
        about=None if about is None else max(about, 0.0),
        depth=depth,
        last_price=last,
    )


def against(book: Book, side: Side) -> Sequence[Resting]:
    """What a position of that side is closed against, best price first."""
    return book.bids if side is Side.LONG else book.asks


def _price_further(offers: Sequence[Resting], side: Side, times: float) -> float | None:
    """The average price of `times` as much as was told, behind it and as dense; None where that says nothing."""
    reach = side.sign * (offers[0].price - offers[-1].price) * times
    price = offers[-1].price - side.sign * reach / 2
    return price if reach > 0 and price > 0 and math.isfinite(price) else None


def buffer_of(balance: MarginBalance) -> float | None:
    """What a pool may lose before the venue liquidates, in its currency; None where a figure is unknown."""
    if balance.equity is None or balance.maintenance_margin is None:
        return None
    return balance.equity - balance.maintenance_margin


def after_cut(
    share: float, position: Position, book: Book, snapshot: AccountSnapshot, markets: Markets
) -> tuple[float, float] | None:
    """(slippage of leaving what is left, margin buffer) in the currency of the pool, once that share is closed.

    What is left meets the same book, as if orders had come back meanwhile. None where too little of it is told.
    """
    left, paid = exit_of(position, book, 1 - share), exit_of(position, book, share)
    after = with_cut(snapshot, {position.subject: share}, markets).margin(position.pool)
    if left.about is None or paid.about is None or after is None:
        return None
    if after.equity is None or after.maintenance_margin is None:
        return None
    if position.margin_mode is MarginMode.ISOLATED:
        # What is closed takes its part of the margin along, and pays for itself out of that.
        buffer = max(after.equity * (1 - share) - after.maintenance_margin, 0.0)
    else:
        buffer = after.equity - paid.about * position.pool_rate - after.maintenance_margin
    return left.about * position.pool_rate, buffer
