"""Where the mark of a contract liquidates a unified account, what the account holds of its coin at the price of the
mark: by trying marks on the exchange's own figures."""

from collections.abc import Iterator, Mapping

from monitor.paper.bisection import HIGHEST, LOWEST, SEARCH_RATIO, edge
from monitor.paper.book import Account
from monitor.paper.engine import Engine
from monitor.paper.unified import worth


def price_with_its_coin(
    engine: Engine, owner: Account, symbol: str, counts: Mapping[str, float] | None = None
) -> float | None:
    """The nearer one, None where there is none. `counts` are the shares of coins that count, where not all does."""
    contract, mark, rates = engine.market(symbol).contract, engine.mark(symbol), worth(engine)
    assert mark is not None
    pools = [p for p in engine.pools(owner.name) if p.pool.startswith("cross:") and p.asset in rates]
    legs = [leg for leg in owner.in_pool(f"cross:{contract.settle}") if leg.contract.symbol == symbol]

    def lives(factor: float) -> bool:
        left = 0.0
        for pool in pools:
            equity, owed = pool.equity, pool.maintenance_margin
            if pool.asset == contract.settle:
                equity += sum(leg.gain(mark * factor) - leg.gain(mark) for leg in legs)
                owed += sum(leg.maintenance(mark * factor) - leg.maintenance(mark) for leg in legs)
            counted = (counts or {}).get(pool.asset, 1.0) if equity > 0 else 1.0
            moved = factor if pool.asset == contract.base else 1.0
            left += (equity * counted - owed) * rates[pool.asset] * moved
        return left > 0

    def edges() -> Iterator[float]:
        for step, end in ((1 / SEARCH_RATIO, LOWEST), (SEARCH_RATIO, HIGHEST)):
            alive = 1.0
            while lives(alive * step) and min(1.0, end) <= alive <= max(1.0, end):
                alive *= step
            if not lives(alive * step):
                yield edge(lambda factor: not lives(factor), alive * step, alive)

    assert lives(1.0)
    nearest = min(edges(), key=lambda factor: abs(factor - 1), default=None)
    return None if nearest is None else mark * nearest
