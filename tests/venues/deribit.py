"""Deribit's account in its four margin models; it has net positions alone, and hides isolated ones in subaccounts."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from monitor.domain.account import MarginMode
from monitor.exchange.venues.figures import Figure, estimated
from monitor.paper.book import Account, PositionTruth
from monitor.paper.contract import Contract
from monitor.paper.dialects.deribit import DERIBIT, POSITIONS, SUMMARIES
from monitor.paper.dialects.deribit_account import CROSS_PM, CROSS_SM, SEGREGATED_PM, SEGREGATED_SM, SHOWN, owed
from monitor.paper.engine import Engine
from monitor.paper.pooled import pooled_liquidation_price
from monitor.paper.unified import worth
from tests.paper import START
from tests.venues.books import Sizes, a_book
from tests.venues.kit import AccountCase, PoolTruth, VenueCase, all_together, isolated_alone, per_currency

SIZES: Sizes = {
    **{("BTC", settle): 0.0001 for settle in ("USDT", "USDC")},
    **{("ETH", settle): 0.001 for settle in ("USDT", "USDC")},
    ("SOL", "USDT"): 0.1,
    ("BTC", "BTC"): 10.0,
    ("ETH", "ETH"): 1.0,
}
OURS = estimated("made of other figures")


def paid_always(contract: Contract) -> Contract:
    """At one rate of maintenance, since Deribit tells no brackets; funding is told for 8 hours."""
    flat = contract.brackets[1]._replace(floor=0.0, cap=1e12, amount=0.0)
    return replace(contract, brackets=(flat,), funding_interval=timedelta(hours=8))


def _isolated(engine: Engine, owner: Account) -> tuple[PoolTruth, ...]:
    return tuple(
        replace(pool, available=pool.equity - (pool.initial_margin or 0.0)) for pool in isolated_alone(engine, owner)
    )


def _owing(pool: PoolTruth, model: str) -> PoolTruth:
    return replace(pool, maintenance_margin=owed(pool.maintenance_margin, model))


def _segregated(engine: Engine, owner: Account, model: str) -> tuple[PoolTruth, ...]:
    cross = [pool for pool in per_currency(engine, owner, tuple(owner.wallets)) if pool.pool.startswith("cross:")]
    return (*(_owing(pool, model) for pool in cross), *_isolated(engine, owner))


def _together(engine: Engine, owner: Account, model: str) -> tuple[PoolTruth, ...]:
    return (_owing(all_together(engine, owner, worth(engine)), model), *_isolated(engine, owner))


def _expected(truth: PositionTruth, model: str) -> Mapping[Figure, Any]:
    """Where Deribit tells no price: with the pool as it is told; the book's figures are the same at any time."""
    if truth.margin_mode is MarginMode.ISOLATED or model == SEGREGATED_SM:
        return {}
    engine = a_book(START, SIZES, paid_always)
    owner, settle = engine.account(truth.account), engine.market(truth.symbol).contract.settle
    rates = worth(engine) if model in (CROSS_SM, CROSS_PM) else {settle: 1.0}
    parts = [p for p in engine.pools(owner.name) if p.pool.startswith("cross:") and p.asset in rates]
    standard = sum(p.maintenance_margin * rates[p.asset] for p in parts)
    price = pooled_liquidation_price(engine, owner, truth.symbol, rates, owed(standard, model) - standard)
    return {Figure.LIQUIDATION_PRICE: price}


def _exact(truth: PositionTruth) -> frozenset[Figure]:
    isolated = truth.margin_mode is MarginMode.ISOLATED
    return frozenset({Figure.LIQUIDATION_PRICE}) if isolated else frozenset()


def an_account(name: str, model: str, **profile: Any) -> AccountCase:
    pools: Callable[..., tuple[PoolTruth, ...]] = _together if model in (CROSS_SM, CROSS_PM) else _segregated
    return AccountCase(
        account=name,
        name=f"{name} {model}",
        profile={"model": model, "isolated": SHOWN, **profile},
        pools=partial(pools, model=model),
        expected=partial(_expected, model=model),
        exact=_exact,
        figures={} if model == SEGREGATED_SM else {Figure.LIQUIDATION_PRICE: OURS},
    )


DERIBIT_CASE = VenueCase(
    venue="deribit",
    dialect=DERIBIT,
    sizes=SIZES,
    terms=paid_always,
    accounts=tuple(
        an_account(name, model)
        for model in (SEGREGATED_SM, SEGREGATED_PM, CROSS_SM, CROSS_PM)
        for name in ("mixed", "coin", "two")
    ),
    reads=(SUMMARIES, POSITIONS),
)
