"""Where one instrument's mark would have to go for its pool to be liquidated, all else standing still.

Between two bracket edges a pool's surplus (equity - maintenance) is linear in x, x being the mark of a linear contract
and 1/mark of an inverse one. So the surplus is evaluated on both sides of the edges, walking away from today's mark,
and the root lies on the straight line of the first segment in which it changes sign; or at an edge, where maintenance
jumps because the rate of a bracket holds for the whole position. All legs of the instrument move together.

For one long leg of size s this is the textbook P' = (E - s*P - MM_other - amount) / (s * (rate - 1)); hedge mode,
brackets and inverse contracts come with it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from monitor.domain.account import AccountSnapshot, MarginBalance, Position, PriceOrigin
from monitor.domain.market import Markets
from monitor.risk.reprice import surplus, tiers_of

# Beyond the last bracket edge the line is followed to this multiple of it; a root further out counts as none. So far,
# because an inverse position that is small beside its pool is liquidated at a minute fraction of its mark.
FAR = 1e12
# Just this side of an edge, or just beyond it.
HAIR = 1e-12


@dataclass(frozen=True, slots=True)
class LiquidationPrices:
    """`below` and `above` today's mark, None where the pool survives in that direction.

    `already` where the pool is liquidatable at today's marks.
    """

    below: float | None
    above: float | None
    already: bool = False

    def nearest(self, mark: float) -> float | None:
        """The one that is fewer percent away."""
        roots = [root for root in (self.below, self.above) if root is not None]
        return min(roots, key=lambda root: abs(root - mark), default=None)


def solved_price(prices: LiquidationPrices | None, mark: float) -> tuple[float | None, PriceOrigin]:
    """What our solve says of a position at that mark, and how far it is known."""
    if prices is None:
        return None, PriceOrigin.UNKNOWN
    price = mark if prices.already else prices.nearest(mark)
    return price, PriceOrigin.NONE if price is None else PriceOrigin.OWN_ESTIMATE


def liquidation_prices(snapshot: AccountSnapshot, position: Position, markets: Markets) -> LiquidationPrices | None:
    """Our own solve for the pool of `position` along its instrument; None where equity or maintenance is unknown."""
    balance = snapshot.margin(position.pool)
    if balance is None:
        return None
    legs = [p for p in snapshot.positions_in(position.pool) if p.instrument == position.instrument]
    here = surplus(balance, legs, {position.instrument.symbol: position.mark_price}, markets)
    if here is None:
        return None
    if here <= 0:
        return LiquidationPrices(None, None, already=True)
    falling = _root(balance, legs, markets, upwards=False)
    rising = _root(balance, legs, markets, upwards=True)
    return LiquidationPrices(*((rising, falling) if position.instrument.inverse else (falling, rising)))


def _root(balance: MarginBalance, legs: list[Position], markets: Markets, *, upwards: bool) -> float | None:
    """The mark at the first sign change of the surplus, going up or down in x from today's mark."""
    instrument, mark = legs[0].instrument, legs[0].mark_price

    def turned(value: float) -> float:
        """A mark as x, and x as a mark."""
        return 1 / value if instrument.inverse else value

    def surplus_at(at: float) -> float:
        there = surplus(balance, legs, {instrument.symbol: turned(at)}, markets)
        assert there is not None, "it was known at today's mark"
        return there

    hair, x = HAIR if upwards else -HAIR, turned(mark)
    here = surplus_at(x)
    for edge in _edges(legs, markets, x, upwards=upwards):
        there = surplus_at(edge * (1 - hair))
        if there <= 0:
            return turned(x + (edge - x) * here / (here - there))
        beyond = surplus_at(edge * (1 + hair))
        if beyond <= 0:
            return turned(edge)
        x, here = edge, beyond
    return None


def _edges(legs: list[Position], markets: Markets, x: float, *, upwards: bool) -> Iterator[float]:
    """Bracket edges beyond x in walking order, closed by a far (up) or a tiny (down) last one."""
    edges = sorted(
        tier.cap / (leg.contracts * leg.instrument.contract_size)
        for leg in legs
        for tier in (tiers_of(markets, leg) or ())[:-1]
    )
    if upwards:
        yield from (edge for edge in edges if edge > x)
        yield max([x, *edges]) * FAR
    else:
        yield from (edge for edge in reversed(edges) if edge < x)
        yield min([x, *edges]) / FAR
