"""Binance's two futures exchanges: classic accounts in both asset modes, and portfolio margin."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from monitor.domain.account import FailureKind
from monitor.exchange.venues.figures import Figure
from monitor.paper.binance import STABLECOINS, worth
from monitor.paper.book import Account, PositionTruth
from monitor.paper.dialects.binance import BINANCE
from monitor.paper.engine import Engine
from monitor.paper.faults import FaultKind
from monitor.paper.pooled import pooled_liquidation_price
from tests.paper import START
from tests.venues.books import a_book
from tests.venues.kit import AccountCase, PoolTruth, VenueCase, all_together, per_currency

STABLES, COINS = ("USDT", "USDC"), ("BTC", "ETH")
ISOLATED = {("mixed", "SOLUSDT"), ("hedged", "ETHUSDT")}
# A portfolio is liquidated where its equity falls to this many times its maintenance.
LIQUIDATED_AT = 1.05


def _linear(symbol: str) -> bool:
    return not symbol.endswith("_PERP")


def _inverse(symbol: str) -> bool:
    return symbol.endswith("_PERP")


def _linear_pools(engine: Engine, owner: Account) -> tuple[PoolTruth, ...]:
    return per_currency(engine, owner, STABLES)


def _coin_pools(engine: Engine, owner: Account) -> tuple[PoolTruth, ...]:
    return per_currency(engine, owner, COINS)


def _stables_together(engine: Engine, owner: Account) -> tuple[PoolTruth, ...]:
    return (all_together(engine, owner, STABLECOINS),)


def _portfolio_pool(engine: Engine, owner: Account) -> tuple[PoolTruth, ...]:
    pool = all_together(engine, owner, worth(engine))
    return (replace(pool, venue_margin_ratio=LIQUIDATED_AT * pool.maintenance_margin / pool.equity),)


def _price(truth: PositionTruth, counted: Mapping[str, float] | None = None) -> Mapping[Figure, Any]:
    """The book's figures are the same at any time."""
    engine = a_book(START)
    owner = engine.account(truth.account)
    price = pooled_liquidation_price(engine, owner, truth.symbol, worth(engine) if counted is None else counted)
    return {Figure.LIQUIDATION_PRICE: price}


def _usdm(account: str) -> AccountCase:
    return AccountCase(account=account, name=account, pools=_linear_pools, shows=_linear)


def _multi_assets(account: str) -> AccountCase:
    return AccountCase(
        account=account,
        name=f"{account} multi-assets",
        pools=_stables_together,
        profile={"multi_assets": True},
        shows=lambda symbol: _linear(symbol) and (account, symbol) not in ISOLATED,
        expected=lambda truth: _price(truth, STABLECOINS),
    )


def _portfolio(account: str) -> AccountCase:
    return AccountCase(
        account=account,
        name=f"{account} portfolio",
        pools=_portfolio_pool,
        profile={"portfolio_margin": True},
        shows=lambda symbol: (account, symbol) not in ISOLATED,
        expected=_price,
    )


RISK, INDEX = "/fapi/v3/positionRisk", "/fapi/v1/assetIndex"
PAPI = "/papi/v1"
USDM = VenueCase(
    venue="binanceusdm",
    dialect=BINANCE,
    accounts=(
        _usdm("mixed"),
        _usdm("hedged"),
        _usdm("two"),
        _multi_assets("mixed"),
        _multi_assets("hedged"),
        _multi_assets("two"),
        _portfolio("mixed"),
        _portfolio("hedged"),
        _portfolio("two"),
        _portfolio("coin"),
    ),
    reads=("/fapi/v3/account", RISK),
    kinds={(RISK, FaultKind.EMPTY_LIST): FailureKind.IMPLAUSIBLE},
)
# The same venue, asked as the other kinds of account are.
MULTI_ASSETS = replace(USDM, accounts=(_multi_assets("two"),), reads=("/fapi/v3/account", RISK, INDEX))
UM_RISK, CM_RISK = f"{PAPI}/um/positionRisk", f"{PAPI}/cm/positionRisk"
PORTFOLIO_LINEAR = replace(
    USDM,
    accounts=(_portfolio("two"),),
    reads=(f"{PAPI}/account", f"{PAPI}/um/account", UM_RISK, INDEX),
    kinds={(UM_RISK, FaultKind.EMPTY_LIST): FailureKind.IMPLAUSIBLE},
)
PORTFOLIO_INVERSE = replace(
    USDM,
    accounts=(_portfolio("coin"),),
    reads=(f"{PAPI}/cm/account", CM_RISK),
    kinds={(CM_RISK, FaultKind.EMPTY_LIST): FailureKind.IMPLAUSIBLE},
)
COINM = VenueCase(
    venue="binancecoinm",
    dialect=BINANCE,
    accounts=(
        AccountCase(
            account="coin",
            name="coin",
            pools=_coin_pools,
            shows=_inverse,
        ),
    ),
    reads=("/dapi/v1/account", "/dapi/v1/positionRisk"),
    kinds={("/dapi/v1/positionRisk", FaultKind.EMPTY_LIST): FailureKind.IMPLAUSIBLE},
)
CASES = (USDM, MULTI_ASSETS, PORTFOLIO_LINEAR, PORTFOLIO_INVERSE, COINM)
