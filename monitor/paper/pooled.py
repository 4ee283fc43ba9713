"""Liquidation prices of accounts whose assets stand in one pool, whatever they are settled in."""

from collections.abc import Mapping

from monitor.paper.bisection import liquidation_price
from monitor.paper.book import Account
from monitor.paper.engine import Engine


def pooled_liquidation_price(
    engine: Engine, owner: Account, symbol: str, worth: Mapping[str, float], uncounted: float = 0.0
) -> float | None:
    """Where the mark of a contract liquidates the account, all else standing still, the worth of its coins as well.

    `worth` is what a unit of each asset in the pool counts; `uncounted` is what of the equity the venue leaves out.
    """
    pools = [p for p in engine.pools(owner.name) if p.pool.startswith("cross:") and p.asset in worth]
    settle = engine.market(symbol).contract.settle
    counted = sum((p.equity - p.maintenance_margin) * worth[p.asset] for p in pools) - uncounted
    surplus = counted / worth[settle]
    legs = [leg for leg in owner.in_pool(f"cross:{settle}") if leg.contract.symbol == symbol]
    mark = engine.mark(symbol) or 0.0
    without_them = surplus - sum(leg.gain(mark) - leg.maintenance(mark) for leg in legs)
    return liquidation_price(without_them, legs, {symbol: mark}, symbol)
