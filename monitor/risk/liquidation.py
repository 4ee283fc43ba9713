"""Where one instrument's mark would have to go for its pool to be liquidated, all else standing still.

Between two bracket edges a pool's surplus (equity - maintenance) is linear in x, x being the mark of a linear contract
and 1/mark of an inverse one. So the surplus is evaluated on both sides of the edges, walking away from today's mark,
and the root lies on the straight line of the first segment in which it changes sign; or at an edge, where maintenance
jumps because the rate of a bracket holds for the whole position. All legs of the instrument move together, and with
them its coin behind the pool, where that is told: then x is the mark of an inverse contract as well (see `backing`).

For one long leg of size s this is the textbook P' = (E - s*P - MM_other - amount) / (s * (rate - 1)); hedge mode,
brackets and inverse contracts come with it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from monitor.domain.account import AccountSnapshot, MarginBalance, Position, PriceOrigin
from monitor.domain.market import Markets
from monitor.risk.backing import NO_COINS, Coins, backing_of
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
    coins = coins_moved(snapshot, balance, position)
    here = surplus(balance, legs, position.instrument, 1.0, markets, coins)
    if here is None:
        return None
    if here <= 0:
        return LiquidationPrices(None, None, already=True)
    below, above = (_root(balance, legs, markets, coins, rising=rising) for rising in (False, True))
    return LiquidationPrices(below, above)


def coins_moved(snapshot: AccountSnapshot, balance: MarginBalance, position: Position) -> Coins:
    """The coins behind its pool, where they are told; a venue that tells a liquidation price holds them still in it,
    and so does ours beside it."""
    if position.liquidation_price_origin is PriceOrigin.VENUE:
        return NO_COINS
    return backing_of(snapshot, balance) or NO_COINS


def _root(
    balance: MarginBalance, legs: list[Position], markets: Markets, coins: Coins, *, rising: bool
) -> float | None:
    """The first mark above or below today's at which the surplus changes its sign."""
    instrument, mark = legs[0].instrument, legs[0].mark_price
    turns = instrument.inverse and not coins
    upwards = rising != turns

    def turned(value: float) -> float:
        """A mark as x, and x as a mark."""
        return 1 / value if turns else value

    def surplus_at(at: float) -> float:
        there = surplus(balance, legs, instrument, turned(at) / mark, markets, coins)
        assert there is not None, "it was known at today's mark"
        return there

    hair, x = HAIR if upwards else -HAIR, turned(mark)
    here = surplus_at(x)
    for edge in _edges(legs, markets, x, upwards=upwards, as_marks=bool(coins)):
        there = surplus_at(edge * (1 - hair))
        if there <= 0:
            return turned(x + (edge - x) * here / (here - there))
        beyond = surplus_at(edge * (1 + hair))
        if beyond <= 0:
            return turned(edge)
        x, here = edge, beyond
    return None


def _edges(legs: list[Position], markets: Markets, x: float, *, upwards: bool, as_marks: bool) -> Iterator[float]:
    """Bracket edges beyond x in walking order, closed by a far (up) or a tiny (down) last one."""
    edges = [
        tier.cap / (leg.contracts * leg.instrument.contract_size)
        for leg in legs
        for tier in (tiers_of(markets, leg) or ())[:-1]
    ]
    edges = sorted(1 / edge for edge in edges) if as_marks and legs[0].instrument.inverse else sorted(edges)
    if upwards:
        yield from (edge for edge in edges if edge > x)
        yield max([x, *edges]) * FAR
    else:
        yield from (edge for edge in reversed(edges) if edge < x)
        yield min([x, *edges]) / FAR
