"""Binance's two futures exchanges in classic accounts."""

from monitor.domain.account import FailureKind
from monitor.paper.book import Account
from monitor.paper.dialects.binance import BINANCE
from monitor.paper.engine import Engine
from monitor.paper.faults import FaultKind
from tests.venues.kit import AccountCase, PoolTruth, VenueCase, per_currency

STABLES, COINS = ("USDT", "USDC"), ("BTC", "ETH")


def _linear(symbol: str) -> bool:
    return not symbol.endswith("_PERP")


def _inverse(symbol: str) -> bool:
    return symbol.endswith("_PERP")


def _linear_pools(engine: Engine, owner: Account) -> tuple[PoolTruth, ...]:
    return per_currency(engine, owner, STABLES)


def _coin_pools(engine: Engine, owner: Account) -> tuple[PoolTruth, ...]:
    return per_currency(engine, owner, COINS)


def _usdm(account: str) -> AccountCase:
    return AccountCase(account=account, name=account, pools=_linear_pools, shows=_linear)


USDM = VenueCase(
    venue="binanceusdm",
    dialect=BINANCE,
    accounts=(_usdm("mixed"), _usdm("hedged"), _usdm("two")),
    reads=("/fapi/v3/account", "/fapi/v3/positionRisk"),
    kinds={("/fapi/v3/positionRisk", FaultKind.EMPTY_LIST): FailureKind.IMPLAUSIBLE},
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
