"""Bybit's V5 REST for unified trading accounts 2.0: signatures, words, pages, and what is asked beside the account."""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any

from monitor.domain.study import Frame
from monitor.paper.book import Account
from monitor.paper.contract import Contract
from monitor.paper.dialect import ApiError, Asked, Call, Dialect, Endpoint, Json, header, in_words
from monitor.paper.dialects.bybit_account import PAGE_LIMITS, Profile, account_row, position_rows, profile_of
from monitor.paper.dialects.bybit_ledger import booked_rows
from monitor.paper.engine import Engine
from monitor.paper.faults import FaultKind, Reply
from monitor.paper.formats import amount, levels, milliseconds, quantity
from monitor.paper.tape import SIDES

AHEAD_MS, WINDOW_MS = 1000, 5000
KEPT_MS = 7 * 86_400_000
POSITIONS = "/v5/position/list"
FRAMES = {"60": Frame.HOUR, "D": Frame.DAY}
LONGEST_KLINE, DEEPEST_BOOK = 1000, 500
# In one of the two, either is asked for; an inverse list needs none.
SCOPE = "Missing some parameters that must be filled in, symbol or settleCoin or baseCoin"


_key_of = header("x-bapi-api-key")


def _name_of(asked: Asked) -> str:
    """A list of positions is named with what it was asked for."""
    if asked.path != POSITIONS:
        return asked.path
    return " ".join([asked.path, *(asked.params[key] for key in ("category", "settleCoin") if key in asked.params)])


def authorise(engine: Engine, asked: Asked, now_ms: int) -> Account:
    account = engine.account_of_key(_key_of(asked))
    if account is None:
        raise ApiError(200, 10003, "API key is invalid.")
    timestamp, window = asked.headers.get("x-bapi-timestamp", ""), asked.headers.get("x-bapi-recv-window", "")
    if not timestamp.isdecimal():
        raise ApiError(200, 10001, "request timestamp is missing or malformed")
    allowed_ms = int(window) if window.isdecimal() else WINDOW_MS
    if not now_ms - allowed_ms <= int(timestamp) < now_ms + AHEAD_MS:
        raise ApiError(
            200,
            10002,
            "invalid request, please check your server timestamp or recv_window param. "
            f"req_timestamp[{timestamp}],server_timestamp[{now_ms}],recv_window[{allowed_ms}]",
        )
    signed = f"{timestamp}{account.api_key}{window}{asked.query}"
    expected = hmac.new(account.secret.encode(), signed.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, asked.headers.get("x-bapi-sign", "")):
        raise ApiError(200, 10004, "error sign! please check your sign and timestamp.")
    return account


def error(refusal: ApiError) -> Reply:
    told: Json = {"retCode": refusal.code, "retMsg": refusal.message, "result": {}, "retExtInfo": {}, "time": 0}
    return Reply(refusal.status, json.dumps(told))


# All but the region in a reply of HTTP 200.
REFUSALS: Mapping[FaultKind, ApiError] = {
    FaultKind.RATE_LIMITED: ApiError(200, 10006, "Too many visits. Exceeded the API Rate Limit."),
    FaultKind.BANNED: ApiError(200, 10009, "IP has been banned."),
    FaultKind.OVERLOADED: ApiError(200, 10016, "Server error."),
    FaultKind.REGION: ApiError(403, 10024, "Compliance rules triggered"),
    FaultKind.BAD_KEY: ApiError(200, 10003, "API key is invalid."),
}


def without_positions(name: str, payload: Any) -> Any:
    if not name.startswith(POSITIONS):
        return payload
    return {**payload, "result": {**payload["result"], "list": [], "nextPageCursor": ""}}


def _reply(call: Call, result: Json) -> Json:
    return {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": call.now_ms}


def _page(call: Call, path: str, rows: Sequence[Json]) -> Json:
    """The page asked for; the venue tells a cursor with the last one too, where it holds anything."""
    default, largest = PAGE_LIMITS[path]
    limit, start = int(call.params.get("limit", default)), int(call.params.get("cursor", "0"))
    if not 1 <= limit <= largest:
        raise ApiError(200, 10001, f"Limit should be within [1,{largest}]")
    page = rows[start : start + limit]
    cursor = str(start + limit) if page else ""
    return _reply(call, {"category": call.params.get("category", ""), "list": page, "nextPageCursor": cursor})


# --- public ---


def _asked_for(call: Call) -> list[Contract]:
    category, symbol = call.params.get("category"), call.params.get("symbol")
    if category not in ("linear", "inverse"):
        raise ApiError(200, 10001, "Illegal category")
    listed = [c for c in call.contracts if c.inverse is (category == "inverse")]
    found = [c for c in listed if symbol in (None, c.symbol)]
    if not found and symbol is not None:
        raise ApiError(200, 10001, "params error: symbol invalid")
    return found


def _time(call: Call) -> Json:
    return _reply(call, {"timeSecond": str(call.now_ms // 1000), "timeNano": str(call.now_ms * 1_000_000)})


def _instruments_info(call: Call) -> Json:
    """Contracts of the status asked for: those of the paper exchange trade."""
    trading = call.params.get("status", "Trading") == "Trading"
    return _page(call, "/v5/market/instruments-info", [_instrument(c) for c in _asked_for(call)] if trading else [])


def _instrument(contract: Contract) -> Json:
    # The smallest order of an inverse contract is no contract size; ccxt takes it for one.
    smallest = "10" if contract.inverse else quantity(contract, contract.step or 0.001)
    return {
        "symbol": contract.symbol,
        "contractType": "InversePerpetual" if contract.inverse else "LinearPerpetual",
        "status": "Trading",
        "baseCoin": contract.base,
        "quoteCoin": contract.quote,
        "settleCoin": contract.settle,
        "launchTime": "1585526400000",
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": "2",
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
        "priceFilter": {"minPrice": "0.01", "maxPrice": "1999999.98", "tickSize": amount(contract.tick)},
        "lotSizeFilter": {"maxOrderQty": "1000000", "minOrderQty": smallest, "qtyStep": smallest},
        "unifiedMarginTrade": True,
        "fundingInterval": int(contract.funding_interval.total_seconds() // 60),
    }


def _tickers(call: Call) -> Json:
    rows = [_ticker(call, contract) for contract in _asked_for(call)]
    return _reply(call, {"category": call.params["category"], "list": rows})


def _ticker(call: Call, contract: Contract) -> Json:
    market, mark = call.engine.market(contract.symbol), amount(call.engine.mark(contract.symbol) or 0.0)
    return {
        "symbol": contract.symbol,
        "lastPrice": mark,
        "indexPrice": mark,
        "markPrice": mark,
        "fundingRate": amount(market.funding_rate),
        "fundingIntervalHour": str(int(market.funding_interval.total_seconds() // 3600)),
        "nextFundingTime": str(milliseconds(market.next_funding_at)),
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "predictedDeliveryPrice": "",
        "basisRate": "",
    }


def _risk_limit(call: Call) -> Json:
    """Brackets of one contract; without a symbol the venue pages through 15 contracts at a time, which nobody asks."""
    (contract,) = _asked_for(call)
    rows = [
        {
            "id": number,
            "symbol": contract.symbol,
            "riskLimitValue": f"{bracket.cap:.8f}",
            "maintenanceMargin": f"{bracket.rate:g}",
            "initialMargin": f"{1 / bracket.max_leverage:.8f}",
            "isLowestRisk": int(number == 1),
            "maxLeverage": f"{bracket.max_leverage:.2f}",
            "mmDeduction": "" if number == 1 else f"{bracket.amount:g}",
        }
        for number, bracket in enumerate(contract.brackets, start=1)
    ]
    return _reply(call, {"category": call.params["category"], "list": rows, "nextPageCursor": ""})


def _kline(call: Call) -> Json:
    """The newest first."""
    (contract,), frame, limit = _asked_for(call), FRAMES.get(call.params.get("interval", "")), int(call.params["limit"])
    if frame is None or not 1 <= limit <= LONGEST_KLINE:
        raise ApiError(200, 10001, "Invalid period!")
    bars = call.engine.bars(contract.symbol, frame, limit, call.now_ms)
    rows = [[str(bar.at_ms), *map(amount, bar[1:]), "1", "1"] for bar in reversed(bars)]
    return _reply(call, {"category": call.params["category"], "symbol": contract.symbol, "list": rows})


def _orderbook(call: Call) -> Json:
    (contract,), limit = _asked_for(call), int(call.params.get("limit", "25"))
    if not 1 <= limit <= DEEPEST_BOOK:
        raise ApiError(200, 10001, f"Limit should be within [1,{DEEPEST_BOOK}]")
    bids, asks = (levels(contract, call.engine.resting(contract.symbol, side, limit)) for side in SIDES)
    told = {"s": contract.symbol, "b": bids, "a": asks, "ts": call.now_ms, "u": 1, "seq": 1, "cts": call.now_ms}
    return _reply(call, told)


# --- private ---


def _account_info(call: Call) -> Json:
    profile = profile_of(call)
    return _reply(
        call,
        {
            "unifiedMarginStatus": profile.unified_margin_status,
            "marginMode": profile.margin_mode,
            "isMasterTrader": False,
            "spotHedgingStatus": "OFF",
            "updatedTime": "1697078946000",
            "dcpStatus": "OFF",
            "timeWindow": 0,
            "smpGroup": 0,
        },
    )


def _wallet_balance(call: Call) -> Json:
    if call.params.get("accountType") != "UNIFIED":
        raise ApiError(200, 10001, "accountType only support UNIFIED.")
    return _reply(call, {"list": [account_row(call)]})


def _position_list(call: Call) -> Json:
    category = call.params.get("category")
    if category == "option":
        options = profile_of(call).options
        if options is None:
            raise ApiError(200, 10005, "Permission denied, please check your API key permissions.")
        return _page(call, POSITIONS, options)
    contracts = [c for c in _asked_for(call) if c.settle == call.params.get("settleCoin", c.settle)]
    if category == "linear" and not {"settleCoin", "symbol"} & call.params.keys():
        raise ApiError(200, 10001, SCOPE)
    return _page(call, POSITIONS, position_rows(call, {contract.symbol for contract in contracts}))


def _order_realtime(call: Call) -> Json:
    if call.params.get("orderFilter") != "StopOrder":
        return _page(call, "/v5/order/realtime", [])
    return _page(call, "/v5/order/realtime", _of_scope(call, profile_of(call).stops))


def _execution_list(call: Call) -> Json:
    kind, start_ms = call.params.get("execType"), int(call.params.get("startTime", "0"))
    if call.now_ms - start_ms > KEPT_MS:
        raise ApiError(200, 10001, "startTime and endTime: the range is more than 7 days")
    rows = _of_scope(call, profile_of(call).executions)
    chosen = [row for row in rows if kind in (None, row["execType"]) and int(row["execTime"]) >= start_ms]
    return _page(call, "/v5/execution/list", chosen)


def _of_scope(call: Call, rows: Sequence[Json]) -> list[Json]:
    """Rows of the category, and of the settle coin where one is named."""
    settle = call.params.get("settleCoin")
    named = {c.symbol for c in _asked_for(call) if settle in (None, c.settle)}
    return [row for row in rows if row["symbol"] in named]


def _transaction_log(call: Call) -> Json:
    """The newest first, of 24 hours where no time is named."""
    end_ms = int(call.params.get("endTime", call.now_ms))
    start_ms = int(call.params.get("startTime", end_ms - 86_400_000))
    if call.params.get("accountType") != "UNIFIED" or end_ms - start_ms > KEPT_MS:
        raise ApiError(200, 10001, "params error: accountType, or a range of more than 7 days")
    rows = [*profile_of(call).booked, *booked_rows(call)]
    within = [row for row in rows if start_ms <= int(row["transactionTime"]) <= end_ms]
    newest = sorted(within, key=lambda row: int(row["transactionTime"]), reverse=True)
    return _page(call, "/v5/account/transaction-log", newest)


def _query_api(call: Call) -> Json:
    return _reply(call, {"apiKey": call.owner.api_key, "secret": "", "uta": 1, "unified": 0, **profile_of(call).key})


def _headers(_path: str, _used: int) -> Mapping[str, str]:
    """What is left of the endpoint's rate this second, which is the account's and tells nothing of the address."""
    return {"X-Bapi-Limit": "50", "X-Bapi-Limit-Status": "49"}


BYBIT = Dialect(
    endpoints={
        "GET /v5/market/time": Endpoint(_time),
        "GET /v5/market/instruments-info": Endpoint(_instruments_info),
        "GET /v5/market/tickers": Endpoint(_tickers),
        "GET /v5/market/risk-limit": Endpoint(_risk_limit),
        "GET /v5/market/kline": Endpoint(_kline),
        "GET /v5/market/orderbook": Endpoint(_orderbook),
        "GET /v5/account/info": Endpoint(_account_info, signed=True),
        "GET /v5/account/wallet-balance": Endpoint(_wallet_balance, signed=True),
        "GET /v5/position/list": Endpoint(_position_list, signed=True),
        "GET /v5/order/realtime": Endpoint(_order_realtime, signed=True),
        "GET /v5/execution/list": Endpoint(_execution_list, signed=True),
        "GET /v5/account/transaction-log": Endpoint(_transaction_log, signed=True),
        "GET /v5/user/query-api": Endpoint(_query_api, signed=True),
    },
    key_of=_key_of,
    authorise=authorise,
    error=error,
    refuse=in_words(REFUSALS),
    without_positions=without_positions,
    profile=Profile(),
    name_of=_name_of,
    headers=_headers,
)
