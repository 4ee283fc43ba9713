"""Binance USDS-M futures: its REST replies for linear contracts, in single-asset and multi-assets mode."""

from monitor.paper.binance import (
    Row,
    Worth,
    asset_row,
    bracket_rows,
    candles,
    contract_row,
    contracts_of,
    depth,
    exchange_info,
    forced_orders,
    funding_info,
    hedge_mode,
    held_rows,
    isolated,
    largest_allowed,
    leverage_of,
    listed,
    mark_row,
    multi_assets_worth,
    nothing,
    of_kind,
    pool_sum,
    position_rows,
    price_or_none,
    profile_of,
    server_time,
    signed,
    worth,
)
from monitor.paper.dialect import Call, Endpoint, Json
from monitor.paper.formats import ZERO, amount, milliseconds, quantity
from monitor.paper.income import income

ALL_SIDES = ("BOTH", "LONG", "SHORT")
SETTLE = "USDT"


def _exchange_info(call: Call) -> Json:
    rows = [{**contract_row(c), "status": "TRADING", "settlePlan": 0} for c in contracts_of(call, inverse=False)]
    return exchange_info(call, rows)


def _premium_index(call: Call) -> list[Json] | Json:
    rows = [mark_row(call, contract) for contract in contracts_of(call, inverse=False)]
    return rows[0] if "symbol" in call.params else rows


def _leverage_bracket(call: Call) -> list[Json] | Json:
    rows = [bracket_rows(contract, "notional") for contract in contracts_of(call, inverse=False)]
    return rows[0] if "symbol" in call.params else rows


def _margins(row: Row) -> Json:
    """The figures of a position that both account endpoints and positionRisk v3 tell alike."""
    _, side, p = row
    return {
        "symbol": row[0].symbol,
        "positionSide": side,
        "positionAmt": quantity(row[0], signed(p, p.contracts) if p else 0.0),
        "notional": amount(signed(p, p.notional)) if p else "0",
        "isolatedWallet": amount(p.isolated_wallet) if p and p.isolated_wallet is not None else "0",
        "isolatedMargin": _isolated_margin(row),
        "initialMargin": amount(p.initial_margin) if p else "0",
        "maintMargin": amount(p.maintenance_margin) if p else "0",
        "updateTime": milliseconds(p.updated_at) if p else 0,
    }


def _isolated_margin(row: Row) -> str:
    """The equity of an isolated position: its wallet and its unrealised profit; 0 where margined across."""
    p = row[2]
    return "0" if p is None or p.isolated_wallet is None else amount(p.isolated_wallet + p.unrealized_pnl)


def _prices(row: Row) -> Json:
    p = row[2]
    return {
        "entryPrice": amount(p.entry_price) if p else "0.0",
        "breakEvenPrice": amount(p.entry_price) if p else "0.0",
        "markPrice": amount(p.mark_price) if p else ZERO,
        "unRealizedProfit": amount(p.unrealized_pnl) if p else ZERO,
        "liquidationPrice": price_or_none(p.liquidation_price) if p else "0",
    }


def _position_risk_v3(call: Call) -> list[Json]:
    return [
        {
            **_margins(row),
            **_prices(row),
            "marginAsset": row[0].settle,
            "positionInitialMargin": amount(row[2].initial_margin) if row[2] else "0",
            "openOrderInitialMargin": "0",
            "adl": row[2].adl_quantile if row[2] else 0,
            "bidNotional": "0",
            "askNotional": "0",
        }
        for row in held_rows(
            call,
            contracts_of(call, inverse=False),
            with_liquidation_prices=True,
            pooled=multi_assets_worth(call),
        )
    ]


def _position_risk_v2(call: Call) -> list[Json]:
    """All symbols; in hedge mode one row for each side."""
    rows = position_rows(
        call,
        contracts_of(call, inverse=False),
        ("LONG", "SHORT"),
        with_liquidation_prices=True,
        pooled=multi_assets_worth(call),
    )
    told = ("symbol", "positionSide", "positionAmt", "notional", "isolatedWallet", "isolatedMargin", "updateTime")
    return [
        {
            **{name: value for name, value in _margins(row).items() if name in told},
            **_prices(row),
            "leverage": f"{leverage_of(call, row[0]):g}",
            "maxNotionalValue": f"{largest_allowed(row[0], leverage_of(call, row[0])):.0f}",
            "marginType": "isolated" if isolated(row[2]) else "cross",
            "isAutoAddMargin": "false",
            "isolated": isolated(row[2]),
            "adlQuantile": row[2].adl_quantile if row[2] else 0,
        }
        for row in rows
    ]


def _assets(call: Call) -> list[str]:
    settled_in = {c.settle for c in call.engine.contracts if not c.inverse}
    return sorted(settled_in | {SETTLE})


def _totals(call: Call) -> Json:
    """The account's sums, which in single-asset mode are those of its USDT wallet."""
    pooled = multi_assets_worth(call)
    row = asset_row(call, SETTLE) if pooled is None else _sum_row(call, pooled)
    return {
        "totalInitialMargin": row["initialMargin"],
        "totalMaintMargin": row["maintMargin"],
        "totalWalletBalance": row["walletBalance"],
        "totalUnrealizedProfit": row["unrealizedProfit"],
        "totalMarginBalance": row["marginBalance"],
        "totalPositionInitialMargin": row["positionInitialMargin"],
        "totalOpenOrderInitialMargin": row["openOrderInitialMargin"],
        "totalCrossWalletBalance": row["crossWalletBalance"],
        "totalCrossUnPnl": row["crossUnPnl"],
        "availableBalance": row["availableBalance"],
        "maxWithdrawAmount": row["maxWithdrawAmount"],
    }


def _sum_row(call: Call, pooled: Worth) -> Json:
    """All assets together, in dollars."""
    wallet, gain = pool_sum(call, pooled, "wallet"), pool_sum(call, pooled, "unrealized_pnl")
    initial = pool_sum(call, pooled, "initial_margin")
    available = amount(max(0.0, wallet + gain - initial))
    return {
        "walletBalance": amount(wallet),
        "unrealizedProfit": amount(gain),
        "marginBalance": amount(wallet + gain),
        "maintMargin": amount(pool_sum(call, pooled, "maintenance_margin")),
        "initialMargin": amount(initial),
        "positionInitialMargin": amount(initial),
        "openOrderInitialMargin": ZERO,
        "crossWalletBalance": amount(wallet),
        "crossUnPnl": amount(gain),
        "availableBalance": available,
        "maxWithdrawAmount": available,
    }


def _account_v3(call: Call) -> Json:
    pooled = multi_assets_worth(call)
    rows = held_rows(call, contracts_of(call, inverse=False), with_liquidation_prices=False, pooled=pooled)
    return {
        **_totals(call),
        "assets": [asset_row(call, asset, pooled) for asset in _assets(call)],
        "positions": [
            {**_margins(row), "unrealizedProfit": amount(row[2].unrealized_pnl) if row[2] else ZERO} for row in rows
        ],
    }


def _account_v2(call: Call) -> Json:
    """All symbols; in hedge mode three rows each."""
    pooled = multi_assets_worth(call)
    rows = position_rows(
        call, contracts_of(call, inverse=False), ALL_SIDES, with_liquidation_prices=False, pooled=pooled
    )
    return {
        "feeTier": 0,
        "feeBurn": True,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": True,
        "updateTime": 0,
        "multiAssetsMargin": profile_of(call).multi_assets,
        "tradeGroupId": -1,
        **_totals(call),
        "assets": [{**asset_row(call, asset, pooled), "marginAvailable": True} for asset in _assets(call)],
        "positions": [
            {
                **{name: value for name, value in _margins(row).items() if name != "isolatedMargin"},
                "unrealizedProfit": amount(row[2].unrealized_pnl) if row[2] else ZERO,
                "positionInitialMargin": amount(row[2].initial_margin) if row[2] else "0",
                "openOrderInitialMargin": "0",
                "leverage": f"{leverage_of(call, row[0]):g}",
                "isolated": isolated(row[2]),
                "entryPrice": amount(row[2].entry_price) if row[2] else "0.0",
                "breakEvenPrice": amount(row[2].entry_price) if row[2] else "0.0",
                "maxNotional": f"{largest_allowed(row[0], leverage_of(call, row[0])):.0f}",
                "bidNotional": "0",
                "askNotional": "0",
            }
            for row in rows
        ],
    }


def _balance(call: Call) -> list[Json]:
    rows = (asset_row(call, asset, multi_assets_worth(call)) for asset in _assets(call))
    told = ("asset", "crossWalletBalance", "crossUnPnl", "availableBalance", "maxWithdrawAmount", "updateTime")
    return [
        {
            "accountAlias": "SgsR",
            "balance": row["walletBalance"],
            **{name: row[name] for name in told},
            "marginAvailable": True,
        }
        for row in rows
    ]


def _multi_assets(call: Call) -> Json:
    return {"multiAssetsMargin": profile_of(call).multi_assets}


def _account_config(call: Call) -> Json:
    return {
        "feeTier": 0,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": True,
        "dualSidePosition": call.owner.hedge_mode,
        "updateTime": 0,
        "multiAssetsMargin": profile_of(call).multi_assets,
        "tradeGroupId": -1,
    }


def _symbol_config(call: Call) -> list[Json]:
    isolated_symbols = {symbol for (symbol, _), leg in call.owner.legs.items() if leg.isolated_wallet is not None}
    return [
        {
            "symbol": contract.symbol,
            "marginType": "ISOLATED" if contract.symbol in isolated_symbols else "CROSSED",
            "isAutoAddMargin": False,
            "leverage": int(leverage_of(call, contract)),
            "maxNotionalValue": f"{largest_allowed(contract, leverage_of(call, contract)):.0f}",
        }
        for contract in contracts_of(call, inverse=False)
    ]


def _funding_info(call: Call) -> list[Json]:
    return funding_info(call, inverse=False)


def _asset_index(call: Call) -> list[Json]:
    """Without buffers: what an asset counts as margin and as debt is what it is worth."""
    return [
        {
            "symbol": f"{asset}USD",
            "time": call.now_ms,
            "index": amount(rate),
            "bidBuffer": ZERO,
            "askBuffer": ZERO,
            "bidRate": amount(rate),
            "askRate": amount(rate),
            "autoExchangeBidBuffer": "0.05000000",
            "autoExchangeAskBuffer": "0.05000000",
            "autoExchangeBidRate": amount(rate * 0.95),
            "autoExchangeAskRate": amount(rate * 1.05),
        }
        for asset, rate in worth(call.engine).items()
    ]


_forced = forced_orders("/fapi/v1/forceOrders", inverse=False)

# Weights as Binance's documentation gives them; fundingInfo has a limit of its own and costs nothing here.
_CLASSIC = {
    "GET /fapi/v1/ping": Endpoint(nothing),
    "GET /fapi/v1/time": Endpoint(server_time),
    "GET /fapi/v1/exchangeInfo": Endpoint(_exchange_info),
    "GET /fapi/v1/premiumIndex": Endpoint(_premium_index, weight_of_all=10),
    "GET /fapi/v1/fundingInfo": Endpoint(_funding_info, weight=0),
    "GET /fapi/v1/klines": Endpoint(candles(inverse=False), weight=2),
    "GET /fapi/v1/depth": Endpoint(depth(inverse=False), weight=10),
    "GET /fapi/v1/assetIndex": Endpoint(_asset_index, weight_of_all=10),
    "GET /fapi/v1/leverageBracket": Endpoint(_leverage_bracket, signed=True),
    "GET /fapi/v2/account": Endpoint(_account_v2, weight=5, signed=True),
    "GET /fapi/v3/account": Endpoint(_account_v3, weight=5, signed=True),
    "GET /fapi/v2/positionRisk": Endpoint(_position_risk_v2, weight=5, signed=True),
    "GET /fapi/v3/positionRisk": Endpoint(_position_risk_v3, weight=5, signed=True),
    "GET /fapi/v2/balance": Endpoint(_balance, weight=5, signed=True),
    "GET /fapi/v3/balance": Endpoint(_balance, weight=5, signed=True),
    "GET /fapi/v1/positionSide/dual": Endpoint(hedge_mode, weight=30, signed=True),
    "GET /fapi/v1/multiAssetsMargin": Endpoint(_multi_assets, weight=30, signed=True),
    "GET /fapi/v1/accountConfig": Endpoint(_account_config, weight=5, signed=True),
    "GET /fapi/v1/symbolConfig": Endpoint(_symbol_config, weight=5, signed=True),
    "GET /fapi/v1/openOrders": Endpoint(listed("/fapi/v1/openOrders"), weight_of_all=40, signed=True),
    "GET /fapi/v1/openAlgoOrders": Endpoint(listed("/fapi/v1/openAlgoOrders"), weight_of_all=40, signed=True),
    "GET /fapi/v1/forceOrders": Endpoint(
        forced_orders("/fapi/v1/forceOrders", inverse=False), weight=20, weight_of_all=50, signed=True
    ),
    "GET /fapi/v1/income": Endpoint(income("/fapi/v1/income", inverse=False), weight=30, signed=True),
}
ENDPOINTS = of_kind(_CLASSIC, portfolio=False)
