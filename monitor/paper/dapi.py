"""Binance COIN-M futures: its REST replies for inverse contracts, and the permissions of a key (spot API)."""

from monitor.paper.binance import (
    LISTED_MS,
    Profile,
    Row,
    account_margins,
    adl_rows,
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
    isolated,
    largest_allowed,
    leverage_of,
    listed,
    mark_row,
    nothing,
    of_kind,
    position_rows,
    price_or_none,
    profile_of,
    server_time,
    signed,
)
from monitor.paper.contract import Contract
from monitor.paper.dialect import ApiError, Call, Endpoint, Json
from monitor.paper.formats import ZERO, amount, milliseconds, quantity
from monitor.paper.income import income

ALL_SIDES = ("BOTH", "LONG", "SHORT")
# A key that reads and does nothing else.
READ_ONLY = {
    "ipRestrict": False,
    "enableReading": True,
    "enableWithdrawals": False,
    "enableInternalTransfer": False,
    "enableMargin": False,
    "enableFutures": False,
    "permitsUniversalTransfer": False,
    "enableVanillaOptions": False,
    "enableFixApiTrade": False,
    "enableFixReadOnly": True,
    "enableSpotAndMarginTrading": False,
    "enablePortfolioMarginTrading": False,
}


def _contracts(call: Call) -> tuple[Contract, ...]:
    """Those asked for: by symbol, pair or margin asset, or all."""
    pair, asset = call.params.get("pair"), call.params.get("marginAsset")
    return tuple(
        c
        for c in contracts_of(call, inverse=True)
        if pair in (None, c.symbol.removesuffix("_PERP")) and asset in (None, c.settle)
    )


def _exchange_info(call: Call) -> Json:
    rows = [
        {
            **contract_row(contract),
            "contractStatus": "TRADING",
            "contractSize": int(contract.contract_size),
            "equalQtyPrecision": 4,
        }
        for contract in _contracts(call)
    ]
    return exchange_info(call, rows)


def _premium_index(call: Call) -> list[Json]:
    return [{**mark_row(call, c), "pair": c.symbol.removesuffix("_PERP")} for c in _contracts(call)]


def _leverage_bracket(call: Call) -> list[Json]:
    return [bracket_rows(contract, "qty") for contract in _contracts(call)]


def _max_contracts(call: Call, contract: Contract) -> str:
    coins = largest_allowed(contract, leverage_of(call, contract))
    return f"{contract.contracts(coins, call.engine.mark(contract.symbol) or 1.0):.0f}"


def _common(call: Call, row: Row) -> Json:
    contract, side, p = row
    return {
        "symbol": contract.symbol,
        "positionSide": side,
        "positionAmt": quantity(contract, signed(p, p.contracts) if p else 0.0),
        "entryPrice": amount(p.entry_price) if p else ZERO,
        "breakEvenPrice": amount(p.entry_price) if p else ZERO,
        "leverage": f"{leverage_of(call, contract):g}",
        "maxQty": _max_contracts(call, contract),
        "notionalValue": amount(signed(p, p.notional)) if p else "0",
        "isolatedWallet": amount(p.isolated_wallet) if p and p.isolated_wallet is not None else "0",
        "updateTime": milliseconds(p.updated_at) if p else 0,
    }


def _position_risk(call: Call) -> list[Json]:
    """All symbols; in hedge mode three rows each."""
    rows = position_rows(call, _contracts(call), ALL_SIDES, with_liquidation_prices=True)
    return [
        {
            **_common(call, (contract, side, p)),
            "markPrice": amount(p.mark_price) if p else ZERO,
            "unRealizedProfit": amount(p.unrealized_pnl) if p else ZERO,
            "liquidationPrice": price_or_none(p.liquidation_price) if p else "0",
            "marginType": "isolated" if isolated(p) else "cross",
            "isolatedMargin": (
                amount(p.isolated_wallet + p.unrealized_pnl) if p and p.isolated_wallet is not None else ZERO
            ),
            "isAutoAddMargin": "false",
        }
        for contract, side, p in rows
    ]


def _account(call: Call) -> Json:
    rows = position_rows(call, _contracts(call), ALL_SIDES, with_liquidation_prices=False)
    return {
        "feeTier": 0,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": True,
        "updateTime": 0,
        "assets": [asset_row(call, asset) for asset in _assets(call)],
        "positions": [
            {
                **_common(call, row),
                **account_margins(row[2]),
                "isolated": isolated(row[2]),
            }
            for row in rows
        ],
    }


def _assets(call: Call) -> list[str]:
    return sorted({c.settle for c in call.engine.contracts if c.inverse})


def _balance(call: Call) -> list[Json]:
    rows = (asset_row(call, asset) for asset in _assets(call))
    told = ("asset", "crossWalletBalance", "crossUnPnl", "availableBalance", "updateTime")
    return [
        {
            "accountAlias": "SgsR",
            "balance": row["walletBalance"],
            "withdrawAvailable": row["maxWithdrawAmount"],
            **{name: row[name] for name in told},
        }
        for row in rows
    ]


def _funding_info(call: Call) -> list[Json]:
    return funding_info(call, inverse=True)


def _restrictions(call: Call) -> Json:
    return {"createTime": LISTED_MS, **READ_ONLY, **profile_of(call).restrictions}


def _portfolio_account(call: Call) -> Json:
    """Its other figures are those of papi, and nobody asks for them here."""
    if not profile_of(call).portfolio_margin:
        raise ApiError(400, -21001, "Request ID is not a Portfolio Margin Account.")
    return {"accountStatus": profile_of(call).portfolio_status, "accountType": profile_of(call).portfolio_kind}


def _adl_quantile(call: Call) -> list[Json]:
    return adl_rows(call, _contracts(call))


def _account_info(call: Call) -> Json:
    return {
        "vipLevel": 0,
        "isMarginEnabled": False,
        "isFutureEnabled": True,
        "isOptionsEnabled": False,
        "isPortfolioMarginRetailEnabled": (
            profile_of(call).portfolio_margin and profile_of(call).portfolio_kind == Profile().portfolio_kind
        ),
    }


# Weights as Binance's documentation gives them; fundingInfo has a limit of its own and costs nothing here.
_forced = forced_orders("/dapi/v1/forceOrders", inverse=True)

_CLASSIC = {
    "GET /dapi/v1/ping": Endpoint(nothing),
    "GET /dapi/v1/time": Endpoint(server_time),
    "GET /dapi/v1/exchangeInfo": Endpoint(_exchange_info),
    "GET /dapi/v1/premiumIndex": Endpoint(_premium_index, weight=10),
    "GET /dapi/v1/fundingInfo": Endpoint(_funding_info, weight=0),
    "GET /dapi/v1/klines": Endpoint(candles(inverse=True), weight=2),
    "GET /dapi/v1/depth": Endpoint(depth(inverse=True), weight=10),
    "GET /dapi/v1/account": Endpoint(_account, weight=5, signed=True),
    "GET /dapi/v1/positionRisk": Endpoint(_position_risk, signed=True),
    "GET /dapi/v1/balance": Endpoint(_balance, signed=True),
    "GET /dapi/v1/leverageBracket": Endpoint(_leverage_bracket, signed=True),
    "GET /dapi/v2/leverageBracket": Endpoint(_leverage_bracket, signed=True),
    "GET /dapi/v1/positionSide/dual": Endpoint(hedge_mode, weight=30, signed=True),
    "GET /dapi/v1/adlQuantile": Endpoint(_adl_quantile, weight=5, signed=True),
    "GET /dapi/v1/openOrders": Endpoint(listed("/dapi/v1/openOrders"), weight_of_all=40, signed=True),
    "GET /dapi/v1/openAlgoOrders": Endpoint(listed("/dapi/v1/openAlgoOrders"), weight_of_all=40, signed=True),
    "GET /dapi/v1/forceOrders": Endpoint(
        forced_orders("/dapi/v1/forceOrders", inverse=True), weight=20, weight_of_all=50, signed=True
    ),
    "GET /dapi/v1/income": Endpoint(income("/dapi/v1/income", inverse=True), weight=20, signed=True),
}
ENDPOINTS = of_kind(_CLASSIC, portfolio=False)
SPOT_ENDPOINTS = {
    "GET /api/v3/ping": Endpoint(nothing),
    "GET /api/v3/time": Endpoint(server_time),
    "GET /sapi/v1/account/apiRestrictions": Endpoint(_restrictions, signed=True),
    "GET /sapi/v1/account/info": Endpoint(_account_info, signed=True),
    "GET /sapi/v1/portfolio/account": Endpoint(_portfolio_account, weight=5, signed=True),
}
