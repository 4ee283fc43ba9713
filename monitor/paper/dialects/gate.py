"""Gate's APIv4: perpetuals settled in USDT and BTC, classic and unified. Figures are text, times seconds."""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any

from monitor.domain.ledger import EntryKind
from monitor.domain.study import Frame
from monitor.paper.book import Account
from monitor.paper.bookings import Booking, bookings_asked_for
from monitor.paper.contract import Contract
from monitor.paper.dialect import ApiError, Asked, Call, Dialect, Endpoint, Json, header, in_words
from monitor.paper.dialects.gate_account import (
    PAGE,
    Profile,
    accounts,
    contracts_of,
    name_of,
    opened,
    page_of,
    positions,
    profile_of,
    settle_of,
    unified_accounts,
)
from monitor.paper.engine import Engine
from monitor.paper.faults import FaultKind, Reply
from monitor.paper.formats import amount, milliseconds
from monitor.paper.tape import SIDES

PREFIX = "/api/v4"
WINDOW_S = 60
SHOWN_OF_A_KEY = 5
DEEPEST_BOOK = 300


# --- public ---


def _server_time(call: Call) -> Json:
    return {"server_time": call.now_ms}


def _contracts(call: Call) -> list[Json]:
    return [_contract(call, contract) for contract in contracts_of(call, settle_of(call))]


def _contract(call: Call, contract: Contract) -> Json:
    market, mark = call.engine.market(contract.symbol), str(call.engine.mark(contract.symbol))
    return {
        "name": name_of(contract),
        "type": "inverse" if contract.inverse else "direct",
        "quanto_multiplier": "0" if contract.inverse else f"{contract.contract_size:.10g}",
        "leverage_min": "1",
        "leverage_max": f"{contract.brackets[0].max_leverage:g}",
        "maintenance_rate": str(contract.brackets[0].rate),
        "mark_type": "index",
        "mark_price": mark,
        "index_price": mark,
        "last_price": mark,
        "maker_fee_rate": "-0.00025",
        "taker_fee_rate": str(contract.fee_rate),
        "order_price_round": str(contract.tick),
        "mark_price_round": str(contract.tick),
        "funding_rate": str(market.funding_rate),
        "funding_rate_indicative": str(market.funding_rate),
        "funding_interval": round(market.funding_interval.total_seconds()),
        "funding_next_apply": round(market.next_funding_at.timestamp()),
        "order_price_deviate": "0.5",
        "order_size_min": 1,
        "order_size_max": 1000000,
        "in_delisting": False,
        "status": "trading",
        "enable_decimal": False,
        "create_time": 1609800048,
    }


def _risk_limit_tiers(call: Call) -> list[Json]:
    """Pages are counted in contracts, each with all of its tiers."""
    return [
        {
            "contract": name_of(contract),
            "tier": number,
            "risk_limit": f"{bracket.cap:.10g}",
            "initial_rate": f"{1 / bracket.max_leverage:.8g}",
            "maintenance_rate": str(bracket.rate),
            "leverage_max": f"{bracket.max_leverage:g}",
            "deduction": f"{bracket.amount:.10g}",
        }
        for contract in page_of(call, contracts_of(call, settle_of(call)))
        for number, bracket in enumerate(contract.brackets, start=1)
    ]


def _contract_named(call: Call) -> Contract:
    named = [c for c in contracts_of(call, settle_of(call)) if name_of(c) == call.params.get("contract")]
    if not named:
        raise ApiError(400, "CONTRACT_NOT_FOUND", "contract not found")
    return named[0]


def _candlesticks(call: Call) -> list[Json]:
    contract, frame = _contract_named(call), Frame(call.params["interval"])
    bars = call.engine.bars(contract.symbol, frame, int(call.params["limit"]), call.now_ms)
    prices = ({"t": bar.at_ms // 1000, **dict(zip("ohlc", map(amount, bar[1:]), strict=True))} for bar in bars)
    return [{**told, "v": 1, "sum": "1"} for told in prices]


def _order_book(call: Call) -> Json:
    """Sizes are whole numbers of contracts."""
    contract, depth = _contract_named(call), int(call.params["limit"])
    if depth > DEEPEST_BOOK:
        raise ApiError(400, "INVALID_PARAM_VALUE", "invalid argument: limit")
    told = {side: call.engine.resting(contract.symbol, side, depth) for side in SIDES}
    sides = {side: [{"p": amount(price), "s": round(size)} for price, size in levels] for side, levels in told.items()}
    return {"current": call.now_ms / 1000, "update": call.now_ms / 1000, **sides}


# --- signed ---


def _price_orders(call: Call) -> list[Json]:
    if call.params.get("status") != "open":
        raise ApiError(400, "INVALID_PARAM_VALUE", "invalid argument: status")
    return page_of(call, profile_of(call).stops.get(opened(call), ()))


def _trail_list(call: Call) -> Json:
    rows, size = profile_of(call).trails.get(opened(call), ()), int(call.params.get("page_size", PAGE))
    first = (int(call.params["page_num"]) - 1) * size
    data = {"orders": list(rows[first : first + size]), "total": len(rows)}
    return {"code": 0, "message": "success", "data": data, "timestamp": call.now_ms}


def _since(call: Call, rows: Sequence[Json]) -> list[Json]:
    return page_of(call, [row for row in rows if row["time"] >= int(call.params.get("from", 0))])


def _liquidates(call: Call) -> list[Json]:
    return _since(call, profile_of(call).liquidates.get(opened(call), ()))


def _auto_deleverages(call: Call) -> list[Json]:
    return _since(call, profile_of(call).deleverages.get(opened(call), ()))


# What is booked to the futures themselves.
WORDS = {
    EntryKind.FUNDING: "fund",
    EntryKind.TRANSFER: "dnw",
    EntryKind.REALISED: "pnl",
    EntryKind.FEE: "fee",
}


def _account_book(call: Call) -> list[Json]:
    """The newest first; money that comes into a unified account does so elsewhere."""
    settle, unified = opened(call), profile_of(call).mode != "classic"
    told = [
        _booked(call, booking)
        for booking in bookings_asked_for(call)
        if booking.asset.lower() == settle and not (unified and booking.kind is EntryKind.TRANSFER)
    ]
    start, end = int(call.params.get("from", 0)), int(call.params["to"])
    rows = [row for row in (*told, *profile_of(call).booked.get(settle, ())) if start <= row["time"] <= end]
    return page_of(call, sorted(rows, key=lambda row: -row["time"]))


def _booked(call: Call, booking: Booking) -> Json:
    contract = name_of(call.engine.market(booking.symbol).contract) if booking.symbol else ""
    return {
        "time": milliseconds(booking.time) / 1000,
        "change": f"{booking.amount:.12f}",
        "balance": "11.653120591841",
        "text": f"{contract}:{booking.number}",
        "type": WORDS[booking.kind],
        "contract": contract,
        "trade_id": str(booking.number),
    }


def _detail(call: Call) -> Json:
    return {
        "user_id": 1666,
        "ip_whitelist": list(profile_of(call).ip_whitelist),
        "currency_pairs": [],
        "key": {"mode": 1},
        "tier": 0,
        "copy_trading_role": 0,
    }


def _main_keys(call: Call) -> list[Json]:
    keys = profile_of(call).keys
    if keys is None:
        raise ApiError(403, "FORBIDDEN", "Request forbidden")
    own = {"state": 1, "mode": 1, "name": "own", "key": f"{call.owner.api_key[:SHOWN_OF_A_KEY]}*****"}
    return [{**own, **row} for row in keys]


# --- what it says of itself ---


_key_of = header("key")


def authorise(engine: Engine, asked: Asked, now_ms: int) -> Account:
    """The account a signed request is for; ApiError in Gate's words otherwise."""
    timestamp, sign = asked.headers.get("timestamp", ""), asked.headers.get("sign", "")
    if not _key_of(asked) or not timestamp.isdecimal() or not sign:
        raise ApiError(401, "MISSING_REQUIRED_HEADER", "Missing required header")
    account = engine.account_of_key(_key_of(asked))
    if account is None:
        raise ApiError(401, "INVALID_KEY", "Invalid key provided")
    if abs(now_ms / 1000 - int(timestamp)) > WINDOW_S:
        raise ApiError(403, "REQUEST_EXPIRED", "gap between request Timestamp and server time exceeds 60")
    body = hashlib.sha512(asked.body.encode()).hexdigest()
    payload = "\n".join((asked.method, asked.path, asked.query, body, timestamp))
    if not hmac.compare_digest(hmac.new(account.secret.encode(), payload.encode(), hashlib.sha512).hexdigest(), sign):
        raise ApiError(401, "INVALID_SIGNATURE", "Signature mismatch")
    return account


def error(refusal: ApiError) -> Reply:
    return Reply(refusal.status, json.dumps({"label": refusal.code, "message": refusal.message}))


# Of a restricted country and of a ban Gate's documents tell no label: the status decides.
REFUSALS: Mapping[FaultKind, ApiError] = {
    FaultKind.RATE_LIMITED: ApiError(429, "TOO_MANY_REQUESTS", "Request Rate limit Exceeded"),
    FaultKind.BANNED: ApiError(418, "TOO_MANY_REQUESTS", "Request Rate limit Exceeded"),
    FaultKind.OVERLOADED: ApiError(500, "TOO_BUSY", "System is too busy"),
    FaultKind.REGION: ApiError(451, "RESTRICTED", "Service is not available in your country"),
    FaultKind.BAD_KEY: ApiError(401, "INVALID_KEY", "Invalid key provided"),
}


def without_positions(name: str, payload: Any) -> Any:
    return [] if name.endswith("/positions") else payload


GATE = Dialect(
    endpoints={
        f"GET {PREFIX}/spot/time": Endpoint(_server_time),
        f"GET {PREFIX}/futures/{{settle}}/contracts": Endpoint(_contracts),
        f"GET {PREFIX}/futures/{{settle}}/risk_limit_tiers": Endpoint(_risk_limit_tiers),
        f"GET {PREFIX}/futures/{{settle}}/candlesticks": Endpoint(_candlesticks),
        f"GET {PREFIX}/futures/{{settle}}/order_book": Endpoint(_order_book),
        f"GET {PREFIX}/futures/{{settle}}/accounts": Endpoint(accounts, signed=True),
        f"GET {PREFIX}/futures/{{settle}}/positions": Endpoint(positions, signed=True),
        f"GET {PREFIX}/futures/{{settle}}/price_orders": Endpoint(_price_orders, signed=True),
        f"GET {PREFIX}/futures/{{settle}}/autoorder/v1/trail/list": Endpoint(_trail_list, signed=True),
        f"GET {PREFIX}/futures/{{settle}}/liquidates": Endpoint(_liquidates, signed=True),
        f"GET {PREFIX}/futures/{{settle}}/auto_deleverages": Endpoint(_auto_deleverages, signed=True),
        f"GET {PREFIX}/futures/{{settle}}/account_book": Endpoint(_account_book, signed=True),
        f"GET {PREFIX}/unified/accounts": Endpoint(unified_accounts, signed=True),
        f"GET {PREFIX}/account/detail": Endpoint(_detail, signed=True),
        f"GET {PREFIX}/account/main_keys": Endpoint(_main_keys, signed=True),
    },
    key_of=_key_of,
    authorise=authorise,
    error=error,
    refuse=in_words(REFUSALS),
    without_positions=without_positions,
    profile=Profile(),
)
