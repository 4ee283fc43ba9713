"""A unified account as Bybit tells it: the wallet with its dollar figures, and positions by the account's margin mode.

The engine keeps a pool per currency; a unified account is all of them together, each coin at its worth in dollars.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from monitor.domain.account import MarginMode, Side
from monitor.paper.book import PositionTruth
from monitor.paper.dialect import Call, Json
from monitor.paper.formats import amount, milliseconds, quantity
from monitor.paper.unified import unified_liquidation_price, worth

# Rows of a page where none are asked for, and at most.
PAGE_LIMITS = {
    "/v5/market/instruments-info": (500, 1000),
    "/v5/position/list": (20, 200),
    "/v5/order/realtime": (20, 50),
    "/v5/execution/list": (50, 100),
    "/v5/account/transaction-log": (20, 50),
}
READ_ONLY: Json = {
    "readOnly": 1,
    "permissions": {
        "ContractTrade": ["Order", "Position"],
        "Spot": [],
        "Wallet": [],
        "Options": ["OptionsTrade"],
        "Derivatives": ["DerivativesTrade"],
        "Exchange": [],
        "Earn": [],
        "BlockTrade": [],
    },
    "ips": ["*"],
    "expiredAt": "2031-05-15T03:21:05Z",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What the venue tells of an account beside its books; rows of options, orders, executions and of the
    transaction log as they are sent.

    `options` None: the key may not read them.
    """

    margin_mode: str = "REGULAR_MARGIN"
    unified_margin_status: int = 5
    options: tuple[Json, ...] | None = ()
    stops: tuple[Json, ...] = ()
    executions: tuple[Json, ...] = ()
    booked: tuple[Json, ...] = ()
    key: Json = field(default_factory=lambda: READ_ONLY)


def profile_of(call: Call) -> Profile:
    assert isinstance(call.profile, Profile)
    return call.profile


def _shown(call: Call) -> list[PositionTruth]:
    """The mode is the account's: positions margined otherwise are not of this account."""
    isolated = profile_of(call).margin_mode == "ISOLATED_MARGIN"
    mode = MarginMode.ISOLATED if isolated else MarginMode.CROSS
    held = call.engine.positions(call.owner.name, with_liquidation_prices=isolated)
    return [position for position in held if position.margin_mode is mode]


def account_row(call: Call) -> Json:
    """Under isolated margin the account-wide figures are empty."""
    rates = worth(call.engine)
    pools = {p.asset: p for p in call.engine.pools(call.owner.name) if p.pool.startswith("cross:")}
    equity = sum(pool.equity * rates[coin] for coin, pool in pools.items())
    owed = sum(pool.maintenance_margin * rates[coin] for coin, pool in pools.items())
    initial = sum(pool.initial_margin * rates[coin] for coin, pool in pools.items())
    figures = {
        "accountIMRate": initial / equity if equity else 0.0,
        "accountMMRate": owed / equity if equity else 0.0,
        "totalEquity": equity,
        "totalWalletBalance": sum(pool.wallet * rates[coin] for coin, pool in pools.items()),
        "totalMarginBalance": equity,
        "totalAvailableBalance": max(0.0, equity - initial),
        "totalPerpUPL": sum(pool.unrealized_pnl * rates[coin] for coin, pool in pools.items()),
        "totalInitialMargin": initial,
        "totalMaintenanceMargin": owed,
    }
    isolated = profile_of(call).margin_mode == "ISOLATED_MARGIN"
    told = {name: "" if isolated else amount(value) for name, value in figures.items()}
    return {
        "accountType": "UNIFIED",
        "accountLTV": "",
        **told,
        "coin": [_coin_row(call, coin, rates[coin]) for coin in call.owner.wallets],
    }


def _coin_row(call: Call, coin: str, rate: float) -> Json:
    shown = {position.symbol for position in _shown(call)}
    pools = [p for p in call.engine.pools(call.owner.name) if p.asset == coin]
    held = [p for p in call.engine.positions(call.owner.name, with_liquidation_prices=False) if p.symbol in shown]
    mine = [p for p in held if call.engine.market(p.symbol).contract.settle == coin]
    cross = next(p for p in pools if p.pool.startswith("cross:"))
    return {
        "coin": coin,
        "equity": amount(cross.equity),
        "usdValue": amount(cross.equity * rate),
        "walletBalance": amount(cross.wallet),
        "locked": "0",
        "borrowAmount": "0",
        "accruedInterest": "0",
        "totalOrderIM": "0",
        "totalPositionIM": amount(sum(p.initial_margin for p in mine)),
        "totalPositionMM": amount(sum(p.maintenance_margin for p in mine)),
        "unrealisedPnl": amount(sum(p.unrealized_pnl for p in mine)),
        "cumRealisedPnl": "0",
        "bonus": "0",
        "collateralSwitch": True,
        "marginCollateral": True,
    }


def position_rows(call: Call, symbols: Collection[str]) -> list[Json]:
    return [_position_row(call, position) for position in _shown(call) if position.symbol in symbols]


def _position_row(call: Call, position: PositionTruth) -> Json:
    contract = call.engine.market(position.symbol).contract
    mode = profile_of(call).margin_mode
    portfolio = mode == "PORTFOLIO_MARGIN"
    initial, maintenance = amount(position.initial_margin), amount(position.maintenance_margin)
    is_long = position.side is Side.LONG
    price = position.liquidation_price
    if mode == "REGULAR_MARGIN":
        price = unified_liquidation_price(call.engine, call.owner, position.symbol)
    return {
        "positionIdx": (1 if is_long else 2) if call.owner.hedge_mode else 0,
        "riskId": 0 if portfolio else 1,
        "riskLimitValue": "" if portfolio else f"{contract.brackets[0].cap:g}",
        "symbol": position.symbol,
        "side": "Buy" if is_long else "Sell",
        "size": quantity(contract, position.contracts),
        "avgPrice": amount(position.entry_price),
        # At entry, as the venue tells it.
        "positionValue": amount(contract.notional(position.contracts, position.entry_price)),
        "tradeMode": 0,
        "autoAddMargin": 0,
        "positionStatus": "Normal",
        "leverage": "" if portfolio else f"{position.leverage:g}",
        "markPrice": amount(position.mark_price),
        "liqPrice": "" if portfolio or price is None else amount(price),
        "bustPrice": "",
        "positionBalance": "0",
        "positionIM": "" if portfolio else initial,
        "positionIMByMp": "" if portfolio else initial,
        "positionMM": "" if portfolio else maintenance,
        "positionMMByMp": "" if portfolio else maintenance,
        "tpslMode": "Full",
        "takeProfit": "",
        "stopLoss": "",
        "trailingStop": "0",
        "sessionAvgPrice": "",
        "unrealisedPnl": amount(position.unrealized_pnl),
        "curRealisedPnl": "0",
        "cumRealisedPnl": "0",
        "adlRankIndicator": position.adl_quantile + 1,
        "isReduceOnly": False,
        "mmrSysUpdatedTime": "",
        "leverageSysUpdatedTime": "",
        "createdTime": str(milliseconds(position.updated_at)),
        "updatedTime": str(milliseconds(position.updated_at)),
        "seq": 1,
    }
