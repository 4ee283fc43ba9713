"""Liquidation prices, found by trying marks on the exchange's own liquidation decision: no formula is involved."""

from collections.abc import Callable, Collection, Iterator, Mapping

from monitor.paper.book import Leg, liquidatable, pool_margin

# Liquidation prices are looked for within these multiples of the mark, and found to this relative width.
LOWEST, HIGHEST = 1e-9, 1e4
RELATIVE_WIDTH = 1e-13
# How finely a pool that is already liquidatable is searched for prices at which it would not be.
SEARCH_RATIO = 1.01


def liquidation_price(wallet: float, legs: Collection[Leg], marks: Mapping[str, float], symbol: str) -> float | None:
    """Where the mark of `symbol` liquidates the pool, all other marks held and all legs on it moving together.

    Found by bisection on `liquidatable`. The prices at which a pool lives are one interval (maintenance is convex in
    price, and in 1/price for inverse contracts), so there is at most one end on each side: the nearer is given. A pool
    that is liquidatable at the mark gives the nearer edge of the prices at which it would not be. None: there is none.
    """
    here = marks[symbol]
    moving = [leg for leg in legs if leg.contract.symbol == symbol]
    fixed_equity, fixed_maintenance = pool_margin(wallet, (leg for leg in legs if leg.contract.symbol != symbol), marks)

    def dies(price: float) -> bool:
        equity, maintenance = pool_margin(fixed_equity, moving, {symbol: price})
        return liquidatable(equity, fixed_maintenance + maintenance)

    if dies(here):
        edges = [edge(dies, here, alive) for alive in _nearest_alive(dies, here)]
    else:
        edges = [edge(dies, end, here) for end in (here * LOWEST, here * HIGHEST) if dies(end)]
    return min(edges, key=lambda price: abs(price / here - 1), default=None)


def edge(dies: Callable[[float], bool], dead: float, alive: float) -> float:
    """The price between the two at which the pool starts to be liquidatable."""
    while abs(dead / alive - 1) > RELATIVE_WIDTH:
        middle = (dead * alive) ** 0.5
        if middle in (dead, alive):
            break
        if dies(middle):
            dead = middle
        else:
            alive = middle
    return dead


def _nearest_alive(dies: Callable[[float], bool], here: float) -> Iterator[float]:
    """On each side of the mark, the nearest price of a fine grid at which the pool lives."""
    for ratio, bound in ((1 / SEARCH_RATIO, here * LOWEST), (SEARCH_RATIO, here * HIGHEST)):
        price = here * ratio
        while min(here, bound) < price < max(here, bound):
            if not dies(price):
                yield price
                break
            price *= ratio
