"""MEXC's contract API: all contracts in one account, a cross pool per currency."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from monitor.domain.account import MarginMode
from monitor.exchange.venues.figures import Figure
from monitor.paper.book import Account, PositionTruth
from monitor.paper.contract import Contract
from monitor.paper.dialects.mexc import MEXC, margin_of, ratio_of
from monitor.paper.engine import Engine
from tests.venues.books import Sizes
from tests.venues.kit import AccountCase, PoolTruth, VenueCase, per_currency

SIZES: Sizes = {("BTC", "USDT"): 0.0001, ("ETH", "USDT"): 0.01, ("*", "BTC"): 100.0, ("*", "ETH"): 10.0}
# Of cross positions it is estimated.
TOLD_OF_ISOLATED = frozenset({Figure.LIQUIDATION_PRICE})


def whole_rate(contract: Contract) -> Contract:
    """The rate of a tier holds for the whole position, not for the part that lies in it."""
    return replace(contract, brackets=tuple(bracket._replace(amount=0.0) for bracket in contract.brackets))


def _pools(engine: Engine, owner: Account) -> tuple[PoolTruth, ...]:
    positions = engine.positions(owner.name, with_liquidation_prices=False)
    bound: dict[str, float] = {}
    ratios: dict[str, float] = {}
    for truth in positions:
        contract = engine.market(truth.symbol).contract
        name = f"cross:{contract.settle}"
        if truth.margin_mode is MarginMode.ISOLATED:
            name = f"isolated:{contract.base}/{contract.quote}:{contract.settle}:{truth.side}"
            ratios[name] = ratio_of(truth, contract)
        bound[name] = bound.get(name, 0.0) + margin_of(truth, contract)
    return tuple(
        replace(pool, initial_margin=bound.get(pool.pool, 0.0), venue_margin_ratio=ratios.get(pool.pool))
        for pool in per_currency(engine, owner, tuple(owner.wallets))
    )


def _exact(truth: PositionTruth) -> frozenset[Figure]:
    return TOLD_OF_ISOLATED if truth.margin_mode is MarginMode.ISOLATED else frozenset()


def _account(name: str) -> AccountCase:
    return AccountCase(account=name, name=name, pools=_pools, exact=_exact, expected=_expected)


def _expected(truth: PositionTruth) -> Mapping[Figure, Any]:
    return {Figure.INITIAL: _bound(truth)}


def _bound(truth: PositionTruth) -> float:
    """Value at entry / leverage, which is also what an isolated position of the books was given."""
    if truth.isolated_wallet is not None:
        return truth.isolated_wallet
    at_mark = truth.initial_margin
    ratio = truth.entry_price / truth.mark_price
    return at_mark / ratio if truth.symbol.endswith("_PERP") else at_mark * ratio


MEXC_CASE = VenueCase(
    venue="mexc",
    dialect=MEXC,
    accounts=tuple(_account(name) for name in ("mixed", "hedged", "coin", "two")),
    reads=(
        "/api/v1/private/account/assets",
        "/api/v1/private/position/open_positions",
        "/api/v1/contract/fair_price",
    ),
    crowd=_account("many"),
    sizes=SIZES,
    terms=whole_rate,
)
