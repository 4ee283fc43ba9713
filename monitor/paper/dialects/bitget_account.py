"""What Bitget tells of an account: positions, money and ranks, by its classic and by its unified API.

A call of the other kind of account is refused. Rates are told without the fee of closing, what is owed with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from monitor.domain.account import MarginMode
from monitor.paper.book import Account, PoolTruth, PositionTruth
from monitor.paper.contract import Contract
from monitor.paper.dialect import ApiError, Call, Json
from monitor.paper.engine import Engine
from monitor.paper.formats import milliseconds
from monitor.paper.unified import unified_liquidation_price

RANKS = 5
USDT, USDC, COIN = PRODUCTS = ("USDT-FUTURES", "USDC-FUTURES", "COIN-FUTURES")
MODES = {MarginMode.CROSS: "crossed", MarginMode.ISOLATED: "isolated"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What the venue tells of an account beside its books.

    `account_mode` and `level` are a unified account's. `plans` and `fills` are rows of the classic API, `strategies`
    and `orders` of the unified one, `bills` of either beside what was booked, as the venue writes them. `of_positions`
    and `of_accounts` override what is told of every position and of each coin's account. `coin_positions` are those of
    the classic coin-settled contracts.
    """

    unified: bool = False
    account_mode: str = "unified"
    level: str = "advanced"
    plans: tuple[Json, ...] = ()
    fills: tuple[Json, ...] = ()
    strategies: tuple[Json, ...] = ()
    orders: tuple[Json, ...] = ()
    bills: tuple[Json, ...] = ()
    coin_positions: tuple[Json, ...] = ()
    authorities: tuple[str, ...] = ("cor", "cpr")
    permissions: tuple[str, ...] = ("uta_trade", "uta_mgt")
    permission_kind: str = "read-only"
    ips: str = "127.0.0.1"
    of_positions: Mapping[str, Any] = field(default_factory=dict)
    of_accounts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def good(data: Any) -> Json:
    return {"code": "00000", "msg": "success", "requestTime": 0, "data": data}


def figure(value: float) -> str:
    return f"{value:.12f}"


def product_of(contract: Contract) -> str:
    return COIN if contract.inverse else f"{contract.settle}-FUTURES"


def symbol_of(contract: Contract) -> str:
    """BTCUSDT, BTCPERP (settled in USDC), BTCUSD_CM (settled in coin)."""
    if contract.inverse:
        return f"{contract.base}{contract.quote}_CM"
    return f"{contract.base}PERP" if contract.settle == "USDC" else f"{contract.base}{contract.settle}"


def classic(call: Call) -> None:
    if call.profile.unified:
        raise ApiError(400, "40085", "You are in unified account mode, and the classic account API is not supported")


def unified(call: Call) -> None:
    if not call.profile.unified:
        raise ApiError(400, "40084", "You are in classic account mode, and the unified account API is not supported")


def _held(call: Call, product: str | None = None) -> list[tuple[Contract, PositionTruth]]:
    found = [(call.engine.market(p.symbol).contract, p) for p in call.engine.positions(call.owner.name)]
    return [(contract, p) for contract, p in found if product in (None, product_of(contract))]


def _rate(contract: Contract, p: PositionTruth) -> float:
    """Of the bracket that the whole of it falls in."""
    return contract.bracket(p.notional).rate - contract.fee_rate


def _share(p: PositionTruth) -> str:
    return figure((p.adl_quantile + 0.5) / RANKS)


def _in_common(contract: Contract, p: PositionTruth) -> Json:
    return {
        "symbol": symbol_of(contract),
        "marginCoin": contract.settle,
        "marginMode": MODES[p.margin_mode],
        "total": f"{p.contracts:g}",
        "available": f"{p.contracts:g}",
        "leverage": f"{p.leverage:g}",
        "liquidationPrice": figure(p.liquidation_price or 0.0),
        "markPrice": repr(p.mark_price),
        "breakEvenPrice": repr(p.entry_price),
    }


# --- classic accounts ---


def classic_positions(call: Call) -> Json:
    classic(call)
    if call.params["productType"] == COIN:
        return good(list(call.profile.coin_positions))
    held = _held(call, call.params["productType"])
    return good([_classic_position(call, contract, p) for contract, p in held])


def _classic_position(call: Call, contract: Contract, p: PositionTruth) -> Json:
    owner = call.owner
    pool = call.engine.pool(owner.name, p.pool)
    return {
        **_in_common(contract, p),
        "holdSide": str(p.side),
        "openDelegateSize": "0",
        "marginSize": figure(p.initial_margin if p.isolated_wallet is None else p.isolated_wallet),
        "locked": "0",
        "achievedProfits": "0",
        "openPriceAvg": repr(p.entry_price),
        "posMode": "hedge_mode" if owner.hedge_mode else "one_way_mode",
        "unrealizedPL": figure(p.unrealized_pnl),
        "keepMarginRate": figure(_rate(contract, p)),
        "totalFee": "",
        "deductedFee": "0",
        "marginRatio": figure(_ratio(pool.maintenance_margin, pool.equity)),
        "assetMode": "single",
        "autoMargin": "off",
        "cTime": str(milliseconds(p.updated_at)),
        "uTime": str(milliseconds(p.updated_at)),
        **call.profile.of_positions,
    }


def classic_accounts(call: Call) -> Json:
    classic(call)
    product = call.params["productType"]
    coins = ("BTC", "ETH") if product == COIN else (product.removesuffix("-FUTURES"),)
    return good([_classic_account(call, coin) for coin in coins])


def _classic_account(call: Call, coin: str) -> Json:
    pools = [p for p in call.engine.pools(call.owner.name) if p.asset == coin]
    cross, isolated = [p for p in pools if _is_cross(p)], [p for p in pools if not _is_cross(p)]
    equity, bound = sum(p.equity for p in cross), sum(p.initial_margin for p in cross)
    free = figure(max(0.0, equity - bound))
    gain, isolated_gain = (sum(p.unrealized_pnl for p in some) for some in (cross, isolated))
    return {
        "marginCoin": coin,
        "locked": "0",
        "available": figure(equity - gain),
        "crossedMaxAvailable": free,
        "isolatedMaxAvailable": free,
        "maxTransferOut": free,
        "accountEquity": figure(equity + sum(p.equity for p in isolated)),
        "usdtEquity": figure(equity + sum(p.equity for p in isolated)),
        "crossedRiskRate": figure(_ratio(sum(p.maintenance_margin for p in cross), equity)),
        "crossedMarginLeverage": "20",
        "isolatedLongLever": "20",
        "isolatedShortLever": "20",
        "marginMode": "crossed",
        "posMode": "hedge_mode" if call.owner.hedge_mode else "one_way_mode",
        "unrealizedPL": figure(gain + isolated_gain),
        "crossedUnrealizedPL": figure(gain),
        "isolatedUnrealizedPL": figure(isolated_gain),
        "coupon": "0",
        "grant": "",
        "assetMode": "single",
        "isolatedMargin": figure(sum(p.equity - p.unrealized_pnl for p in isolated)) if isolated else None,
        "crossedMargin": figure(bound) if cross else None,
        **call.profile.of_accounts.get(coin, {}),
    }


def classic_ranks(call: Call) -> Json:
    classic(call)
    return good(
        [
            {
                "symbol": symbol_of(contract),
                "marginCoin": contract.settle,
                "adlRank": figure(1 - (p.adl_quantile + 0.5) / RANKS),
                "rank": _share(p),
                "holdSide": str(p.side),
            }
            for contract, p in _held(call, call.params["productType"])
        ]
    )


# --- unified accounts ---


def settings(call: Call) -> Json:
    unified(call)
    return good(
        {
            "uid": "1",
            "accountMode": call.profile.account_mode,
            "assetMode": "multi_assets",
            "accountLevel": call.profile.level,
            "holdMode": "hedge_mode" if call.owner.hedge_mode else "one_way_mode",
            "stpMode": "none",
        }
    )


def unified_positions(call: Call) -> Json:
    """The list is null where nothing is held."""
    unified(call)
    held = _held(call, call.params["category"])
    return good({"list": [_unified_position(call, contract, p) for contract, p in held] or None})


def _unified_position(call: Call, contract: Contract, p: PositionTruth) -> Json:
    across, price = p.initial_margin + p.notional * contract.fee_rate, p.liquidation_price
    if p.isolated_wallet is None:
        price = unified_liquidation_price(call.engine, call.owner, p.symbol)
    return {
        **_in_common(contract, p),
        "liquidationPrice": figure(price or 0.0),
        "category": product_of(contract),
        "holdMode": "hedge_mode" if call.owner.hedge_mode else "one_way_mode",
        "posSide": str(p.side),
        "positionBalance": figure(across if p.isolated_wallet is None else p.isolated_wallet),
        "frozen": "0",
        "curRealisedPnl": "0",
        "avgPrice": repr(p.entry_price),
        "positionStatus": "normal",
        "unrealisedPnl": figure(p.unrealized_pnl),
        "mmr": figure(_rate(contract, p)),
        "profitRate": "0",
        "totalFunding": "0",
        "openFeeTotal": "0",
        "closeFeeTotal": "0",
        "createdTime": str(milliseconds(p.updated_at)),
        "updatedTime": str(milliseconds(p.updated_at)),
        **call.profile.of_positions,
    }


def worth(engine: Engine, asset: str) -> float:
    """What a unit of a coin counts in dollars; the paper exchange cuts nothing off."""
    marks = (engine.mark(c.symbol) for c in engine.contracts if c.inverse and c.base == asset)
    return next((mark for mark in marks if mark is not None), 1.0)


def unified_assets(call: Call) -> Json:
    """Of what is margined across; the maintenance is told without fees, and the ratio with them."""
    unified(call)
    engine, owner = call.engine, call.owner
    pools = [(p, worth(engine, p.asset)) for p in engine.pools(owner.name) if _is_cross(p)]
    equity, owed = (sum(getattr(p, of) * rate for p, rate in pools) for of in ("equity", "maintenance_margin"))
    fees = sum(
        p.notional * contract.fee_rate * worth(engine, contract.settle)
        for contract, p in _held(call)
        if p.isolated_wallet is None
    )
    gain = figure(sum(p.unrealized_pnl * rate for p, rate in pools))
    return good(
        {
            "accountEquity": figure(equity),
            "usdtEquity": figure(equity),
            "btcEquity": figure(equity / worth(engine, "BTC")),
            "unrealisedPnl": gain,
            "usdtUnrealisedPnl": gain,
            "effEquity": figure(equity),
            "mmr": figure(owed - fees),
            "imr": figure(sum(p.initial_margin * rate for p, rate in pools)),
            "mgnRatio": figure(_ratio(owed, equity)),
            "assets": [_asset(engine, owner, p) for p, _ in pools],
            **call.profile.of_accounts.get("USD", {}),
        }
    )


def _asset(engine: Engine, owner: Account, pool: PoolTruth) -> Json:
    return {
        "coin": pool.asset,
        "equity": figure(pool.equity),
        "usdValue": figure(pool.equity * worth(engine, pool.asset)),
        "balance": figure(owner.wallets.get(pool.asset, 0.0)),
        "available": figure(max(0.0, pool.equity - pool.initial_margin)),
        "debt": "0",
        "locked": "0",
    }


def unified_ranks(call: Call) -> Json:
    """Contracts settled in coin have none."""
    unified(call)
    return good(
        [
            {
                "symbol": symbol_of(contract),
                "marginCoin": contract.settle,
                "holdSide": str(p.side),
                "adlRank": _share(p),
            }
            for contract, p in _held(call)
            if not contract.inverse
        ]
    )


def _is_cross(pool: PoolTruth) -> bool:
    return pool.pool.startswith("cross:")


def _ratio(maintenance: float, equity: float) -> float:
    return maintenance / equity if equity > 0 else 0.0
