"""Deribit's API v2 by GET: signatures in one header, words, trades page by page, and the market."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from monitor.domain.study import Frame
from monitor.paper.book import Account
from monitor.paper.contract import Contract
from monitor.paper.dialect import ApiError, Asked, Call, Dialect, Endpoint, Json, in_words
from monitor.paper.dialects.deribit_account import Profile, name_of, position_rows, profile_of, summaries
from monitor.paper.dialects.deribit_log import transaction_log
from monitor.paper.engine import Engine
from monitor.paper.faults import FaultKind, Reply
from monitor.paper.tape import SIDES

API = "/api/v2"
SUMMARIES, POSITIONS = f"{API}/private/get_account_summaries", f"{API}/private/get_positions"
SCHEME = "deri-hmac-sha256 "
WINDOW_MS = 60_000
RECENT_MS = 24 * 3_600_000
LAST_DAY_MS = 32_503_708_800_000
FRAMES = {"60": Frame.HOUR, "1D": Frame.DAY}
DEPTHS = (1, 5, 10, 20, 50, 100, 1000, 10000)
INVALID_PARAMS = ApiError(400, -32602, "Invalid params")


def _signature(asked: Asked) -> Mapping[str, str]:
    """`id`, `ts`, `sig` and `nonce` of the header; empty where it is of another kind."""
    told = asked.headers.get("authorization", "")
    if not told.startswith(SCHEME):
        return {}
    return dict(part.partition("=")[::2] for part in told.removeprefix(SCHEME).split(","))


def _key_of(asked: Asked) -> str:
    return _signature(asked).get("id", "")


def authorise(engine: Engine, asked: Asked, now_ms: int) -> Account:
    told = _signature(asked)
    account = engine.account_of_key(told.get("id", ""))
    if account is None:
        raise ApiError(400, 13004, "invalid_credentials")
    timestamp = told.get("ts", "")
    if not timestamp.isdecimal() or abs(now_ms - int(timestamp)) > WINDOW_MS:
        raise ApiError(400, 13009, "unauthorized")
    asked_for = f"{asked.path}?{asked.query}" if asked.query else asked.path
    signed = "\n".join((timestamp, told.get("nonce", ""), asked.method, asked_for, asked.body, ""))
    digest = hmac.new(account.secret.encode(), signed.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(digest, told.get("sig", "")):
        raise ApiError(400, 13009, "unauthorized")
    return account


def error(refusal: ApiError) -> Reply:
    told = {"code": refusal.code, "message": refusal.message}
    return Reply(refusal.status, json.dumps({"jsonrpc": "2.0", "error": told, "testnet": False}))


REFUSALS: Mapping[FaultKind, ApiError] = {
    FaultKind.RATE_LIMITED: ApiError(429, 10028, "too_many_requests"),
    FaultKind.OVERLOADED: ApiError(500, 11094, "internal_server_error"),
    FaultKind.REGION: ApiError(400, 12005, "country_is_banned"),
    FaultKind.BAD_KEY: ApiError(400, 13004, "invalid_credentials"),
}


def without_positions(name: str, payload: Any) -> Any:
    return {**payload, "result": []} if name == POSITIONS else payload


def _reply(call: Call, result: Any) -> Json:
    now_us = call.now_ms * 1000
    return {"jsonrpc": "2.0", "result": result, "usIn": now_us, "usOut": now_us, "usDiff": 0, "testnet": False}


# --- public ---


def _time(call: Call) -> Json:
    return _reply(call, call.now_ms)


def _instruments(call: Call) -> Json:
    """Of all kinds where none is asked for."""
    if call.params.get("kind", "future") != "future":
        raise INVALID_PARAMS
    return _reply(call, [_instrument(contract) for contract in call.contracts])


def _instrument(contract: Contract) -> Json:
    return {
        "instrument_name": name_of(contract),
        "instrument_type": "reversed" if contract.inverse else "linear",
        "future_type": "reversed" if contract.inverse else "linear",
        "kind": "future",
        "base_currency": contract.base,
        "counter_currency": contract.quote,
        "quote_currency": contract.quote,
        "settlement_currency": contract.settle,
        "settlement_period": "perpetual",
        "price_index": f"{contract.base}_{contract.quote}".lower(),
        "contract_size": contract.contract_size,
        "min_trade_amount": contract.contract_size,
        "tick_size": contract.tick,
        "max_leverage": round(contract.brackets[0].max_leverage),
        "maker_commission": 0.00015,
        "taker_commission": 0.00035,
        "creation_timestamp": 1534242287000,
        "expiration_timestamp": LAST_DAY_MS,
        "is_active": True,
        "state": "open",
    }


def _book_summary(call: Call) -> Json:
    """Of a currency that contracts settle in."""
    currency = call.params.get("currency")
    if currency not in {contract.settle for contract in call.engine.contracts} or call.params.get("kind") != "future":
        raise INVALID_PARAMS
    return _reply(call, [_summary(call, contract) for contract in call.contracts if contract.settle == currency])


def _summary(call: Call, contract: Contract) -> Json:
    mark, market = call.engine.mark(contract.symbol), call.engine.market(contract.symbol)
    return {
        "instrument_name": name_of(contract),
        "base_currency": contract.base,
        "quote_currency": contract.quote,
        "mark_price": mark,
        "estimated_delivery_price": mark,
        "current_funding": market.funding_rate,
        # Of the hours behind.
        "funding_8h": market.funding_rate / 2 + 0.00001,
        "creation_timestamp": call.now_ms - 1400,
    }


def _asked_for(call: Call) -> Contract:
    found = [contract for contract in call.contracts if name_of(contract) == call.params.get("instrument_name")]
    if not found:
        raise ApiError(400, 13020, "instrument_not_found")
    return found[0]


def _chart_data(call: Call) -> Json:
    """A list of each figure."""
    contract = _asked_for(call)
    bars = call.bars_since(contract, FRAMES[call.params["resolution"]], int(call.params["start_timestamp"]))
    names = ("ticks", "open", "high", "low", "close")
    columns = {name: [bar[place] for bar in bars] for place, name in enumerate(names)}
    further = {"volume": [3.5 for _ in bars], "cost": [28740.0 for _ in bars]}
    return _reply(call, {**columns, **further, "status": "ok" if bars else "no_data"})


def _order_book(call: Call) -> Json:
    """By amounts: US dollars of inverse contracts, base units of linear ones."""
    contract, depth = _asked_for(call), int(call.params["depth"])
    if depth not in DEPTHS:
        raise INVALID_PARAMS
    sides = {
        side: [
            [price, contracts * contract.contract_size]
            for price, contracts in call.engine.resting(contract.symbol, side, depth)
        ]
        for side in SIDES
    }
    told = {"instrument_name": name_of(contract), "state": "open", "mark_price": call.engine.mark(contract.symbol)}
    return _reply(call, {**told, **sides, "change_id": 17538025952, "timestamp": call.now_ms})


# --- private ---


def _summaries(call: Call) -> Json:
    return _reply(call, summaries(call))


def _positions(call: Call) -> Json:
    return _reply(call, position_rows(call))


def _open_orders(call: Call) -> Json:
    if call.params.get("type") != "trigger_all" or call.params.get("kind") != "future":
        raise INVALID_PARAMS
    return _reply(call, list(profile_of(call).orders))


def _user_trades(call: Call) -> Json:
    """Recent ones or all there were, of a currency; the oldest first."""
    asked = call.params
    named = {name_of(contract) for contract in call.contracts if contract.settle == asked.get("currency")}
    begin, end, count = (int(asked[name]) for name in ("start_timestamp", "end_timestamp", "count"))
    if not named or asked.get("sorting") != "asc" or not 1 <= count <= 1000:
        raise INVALID_PARAMS
    if asked.get("historical") != "true":
        begin = max(begin, call.now_ms - RECENT_MS)
    rows = [row for row in profile_of(call).trades if row["instrument_name"] in named]
    rows = sorted((row for row in rows if begin <= row["timestamp"] <= end), key=lambda row: row["timestamp"])
    return _reply(call, {"trades": rows[:count], "has_more": len(rows) > count})


def a_key(client_id: str, **changes: Any) -> Json:
    """One that only reads."""
    told: Json = {
        "id": 1,
        "client_id": client_id,
        "client_secret": "hidden",
        "name": "perpwatch",
        "enabled": True,
        "default": False,
        "enabled_features": [],
        "max_scope": "account:read trade:read wallet:none custody:none block_trade:none",
        "ip_whitelist": ["10.0.0.1"],
        "timestamp": 1560236001108,
    }
    return told | changes


def _keys(call: Call) -> Json:
    keys = profile_of(call).keys
    return _reply(call, [a_key(call.owner.api_key)] if keys is None else list(keys))


def _endpoints() -> Mapping[str, Endpoint]:
    public = {
        "get_time": _time,
        "get_instruments": _instruments,
        "get_book_summary_by_currency": _book_summary,
        "get_tradingview_chart_data": _chart_data,
        "get_order_book": _order_book,
    }
    private = {
        "get_account_summaries": _summaries,
        "get_positions": _positions,
        "get_open_orders": _open_orders,
        "get_user_trades_by_currency_and_time": _user_trades,
        "get_transaction_log": lambda call: _reply(call, transaction_log(call)),
        "list_api_keys": _keys,
    }
    told = {f"GET {API}/public/{path}": Endpoint(render) for path, render in public.items()}
    return told | {f"GET {API}/private/{path}": Endpoint(render, signed=True) for path, render in private.items()}


DERIBIT = Dialect(
    endpoints=_endpoints(),
    key_of=_key_of,
    authorise=authorise,
    error=error,
    refuse=in_words(REFUSALS),
    without_positions=without_positions,
    profile=Profile(),
)
