"""BingX's perpetual futures margined in stablecoins."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from monitor.exchange.venues.figures import Figure
from monitor.paper.book import Account, PositionTruth
from monitor.paper.dialects.bingx import BINGX, STABLES
from monitor.paper.engine import Engine
from tests.venues.kit import AccountCase, PoolTruth, VenueCase, per_currency


def _linear(symbol: str) -> bool:
    return not symbol.endswith("_PERP")


def _initial(truth: PositionTruth) -> float:
    """By the value at entry."""
    return truth.initial_margin * truth.entry_price / truth.mark_price


def _pools(engine: Engine, owner: Account) -> tuple[PoolTruth, ...]:
    """The highest risk rate of the positions is the pool's; where nothing is held none is told."""
    bound: dict[str, float] = {}
    for truth in engine.positions(owner.name, with_liquidation_prices=False):
        contract = engine.market(truth.symbol).contract
        isolated = f"isolated:{contract.base}/{contract.quote}:{contract.settle}:{truth.side}"
        pool = isolated if truth.isolated_wallet is not None else truth.pool
        bound[pool] = bound.get(pool, 0.0) + _initial(truth)
    return tuple(
        replace(
            pool,
            initial_margin=bound.get(pool.pool, 0.0),
            venue_margin_ratio=pool.maintenance_margin / pool.equity if pool.pool in bound else None,
        )
        for pool in per_currency(engine, owner, STABLES)
    )


def _expected(truth: PositionTruth) -> Mapping[Figure, Any]:
    return {Figure.INITIAL: _initial(truth)}


def _exact(truth: PositionTruth) -> frozenset[Figure]:
    """0 is told where nothing liquidates a position, which is not documented: that is estimated."""
    return frozenset() if truth.liquidation_price is None else frozenset({Figure.LIQUIDATION_PRICE})


def _account(name: str) -> AccountCase:
    return AccountCase(account=name, name=name, pools=_pools, shows=_linear, expected=_expected, exact=_exact)


BINGX_CASE = VenueCase(
    venue="bingx",
    dialect=BINGX,
    accounts=tuple(_account(name) for name in ("mixed", "hedged", "two")),
    reads=("/openApi/swap/v3/user/balance", "/openApi/swap/v2/user/positions"),
)
