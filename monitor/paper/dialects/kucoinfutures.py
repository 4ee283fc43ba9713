"""KuCoin Futures: classic accounts (one-way and hedge, linear and inverse) and unified accounts.

Classic replies hold numbers, unified ones text. A classic account is told nothing by unified calls, and a unified one
an empty list by classic calls.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from monitor.domain.account import MarginMode
from monitor.paper.book import Account, PositionTruth
from monitor.paper.contract import Contract
from monitor.paper.dialect import ApiError, Asked, Call, Dialect, Endpoint, Json, header, in_words
from monitor.paper.dialects.kucoinfutures_bookings import account_ledger, transaction_history
from monitor.paper.dialects.kucoinfutures_market import (
    LISTED_MS,
    NANOSECONDS,
    coin_of,
    contracts,
    good,
    klines,
    snapshot,
    symbol_of,
    timestamp,
)
from monitor.paper.engine import Engine
from monitor.paper.faults import FaultKind, Reply
from monitor.paper.formats import milliseconds

PASSPHRASE = "paper-passphrase"  # noqa: S105 - of accounts that do not exist
# How far a timestamp may be from the server's.
WINDOW_MS = 5000
PAGE, LONGEST_PAGE = 50, 200
OF_ORDERS, LONGEST_OF_ORDERS = 50, 1000
RANKS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What the venue tells of an account beside its books.

    `tells_liquidation` and `tells_isolated_margin`: whether a unified account's positions are told with what only the
    venue's newer library names. `stops`, `fills` and `booked` (beside the engine's bookings) are rows as the venue
    writes them, `more` overrides figures of account-overview.
    """

    unified: bool = False
    tells_liquidation: bool = True
    tells_isolated_margin: bool = True
    permission: str = "General"
    ip_whitelist: str | None = "127.0.0.1"
    stops: tuple[Json, ...] = ()
    fills: tuple[Json, ...] = ()
    booked: tuple[Json, ...] = ()
    more: Mapping[str, float] | None = None


# --- classic accounts ---


def _held(call: Call) -> list[tuple[Contract, PositionTruth]]:
    engine = call.engine
    return [(engine.market(p.symbol).contract, p) for p in engine.positions(call.owner.name)]


def _positions(call: Call) -> Json:
    return good([] if call.profile.unified else [_position(call, c, p) for c, p in _held(call)])


def _position(call: Call, contract: Contract, p: PositionTruth) -> Json:
    is_cross = p.isolated_wallet is None
    sign = p.side.sign
    cost = contract.notional(p.contracts, p.entry_price)
    row: Json = {
        "id": f"{contract.symbol}-{p.side}",
        "symbol": symbol_of(contract),
        "crossMode": is_cross,
        "marginMode": "CROSS" if is_cross else "ISOLATED",
        "positionSide": p.side.upper() if call.owner.hedge_mode else "BOTH",
        "maintMarginReq": _figure(p.maintenance_margin / p.notional),
        "delevPercentage": (p.adl_quantile + 0.5) / RANKS,
        "openingTimestamp": milliseconds(p.updated_at),
        "currentTimestamp": call.now_ms,
        "currentQty": sign * _count(p.contracts),
        "currentCost": _figure(sign * cost),
        "unrealisedCost": _figure(sign * cost),
        "isOpen": True,
        "markPrice": p.mark_price,
        "markValue": _figure(sign * p.notional),
        "posCost": _figure(sign * cost),
        "posInit": _figure(cost / p.leverage),
        "posMargin": _figure(p.initial_margin if p.isolated_wallet is None else p.isolated_wallet),
        "posMaint": _figure(p.maintenance_margin),
        "unrealisedPnl": _figure(p.unrealized_pnl),
        "avgEntryPrice": p.entry_price,
        "liquidationPrice": _figure(p.liquidation_price or 0.0),
        "bankruptPrice": 0.0,
        "settleCurrency": coin_of(contract.settle),
        "isInverse": contract.inverse,
    }
    if p.isolated_wallet is None:
        return {**row, "leverage": p.leverage}
    equity = p.isolated_wallet + p.unrealized_pnl
    isolated = {"autoDeposit": False, "riskLimit": 100000, "posCross": 0.0, "posComm": 0.0, "posLoss": 0.0}
    effective = round(p.notional / equity, 2)
    return {**row, **isolated, "maintMargin": _figure(equity), "realLeverage": effective, "leverage": effective}


def _overview(call: Call) -> Json:
    """Of one coin, Bitcoin where none is named."""
    coin = call.params.get("currency", "XBT")
    asset = "BTC" if coin == "XBT" else coin
    pools = [p for p in call.engine.pools(call.owner.name) if p.asset == asset and not call.profile.unified]
    cross = [p for p in pools if p.pool.startswith("cross:")]
    isolated = [p for p in pools if p not in cross]
    equity, gain = sum(p.equity for p in pools), sum(p.unrealized_pnl for p in pools)
    cross_equity, initial = sum(p.equity for p in cross), sum(p.initial_margin for p in cross)
    return good(
        {
            "currency": coin,
            "accountEquity": _figure(equity),
            "unrealisedPNL": _figure(gain),
            "marginBalance": _figure(equity - gain),
            "positionMargin": _figure(initial + sum(p.equity for p in isolated)),
            "orderMargin": 0.0,
            "frozenFunds": 0.0,
            "availableBalance": _figure(max(0.0, cross_equity - initial)),
            "riskRatio": _ratio(sum(p.maintenance_margin for p in cross), cross_equity),
            **(call.profile.more or {}),
        }
    )


def _ratio(maintenance: float, equity: float) -> float:
    return round(maintenance / equity, 12) if equity > 0 else 0.0


def _position_mode(call: Call) -> Json:
    return good({"positionMode": 1 if call.owner.hedge_mode else 0})


def _stops(call: Call) -> Json:
    return good(_page(call, [] if call.profile.unified else call.profile.stops, "currentPage"))


def _fills(call: Call) -> Json:
    start, end = int(call.params["startAt"]), int(call.params["endAt"])
    if end - start > 7 * 86_400_000:
        raise ApiError(400, "400100", "The time range exceeds 7 days.")
    return good(_page(call, [f for f in call.profile.fills if start <= f["createdAt"] < end], "currentPage"))


def _page(call: Call, rows: Any, page_name: str) -> Json:
    size = min(int(call.params.get("pageSize", OF_ORDERS)), LONGEST_OF_ORDERS)
    page = int(call.params.get(page_name, 1))
    items = list(rows)[(page - 1) * size : page * size]
    pages = -(-len(rows) // size)
    return {page_name: page, "pageSize": size, "totalNum": len(rows), "totalPage": pages, "items": items}


# --- unified accounts ---


def _mode(call: Call) -> Json:
    mode = "UNIFIED" if call.profile.unified else "CLASSIC"
    return good({"selfAccountMode": mode, "unifiedSubAccount": [], "classicSubAccount": []})


def _unified(call: Call) -> None:
    if not call.profile.unified:
        raise ApiError(200, "112010", "Invalid Unified Account user.")


def _unified_positions(call: Call) -> Json:
    _unified(call)
    size = min(int(call.params.get("pageSize", PAGE)), LONGEST_PAGE)
    page = int(call.params.get("pageNumber", 1))
    rows = [_unified_position(call, contract, p) for contract, p in _held(call)]
    return good(rows[(page - 1) * size : page * size])


def _unified_position(call: Call, contract: Contract, p: PositionTruth) -> Json:
    row: Json = {
        "symbol": symbol_of(contract),
        "id": f"{contract.symbol}-{p.side}",
        "marginMode": "CROSS" if p.margin_mode is MarginMode.CROSS else "ISOLATED",
        "size": f"{p.side.sign * p.contracts:g}",
        "entryPrice": repr(p.entry_price),
        "positionValue": _text(p.side.sign * p.notional),
        "markPrice": repr(p.mark_price),
        "leverage": f"{p.leverage:g}",
        "unrealizedPnL": _text(p.unrealized_pnl),
        "realizedPnL": "0",
        "initialMargin": _text(p.initial_margin),
        "mmr": _text(p.maintenance_margin / p.notional),
        "maintenanceMargin": _text(p.maintenance_margin),
        "creationTime": milliseconds(p.updated_at) * NANOSECONDS,
        "updateTime": milliseconds(p.updated_at) * NANOSECONDS,
    }
    if call.profile.tells_liquidation:
        row["liquidationPrice"] = _text(p.liquidation_price or 0.0)
        row["adlPercentage"] = _text((p.adl_quantile + 0.5) / RANKS)
    if p.isolated_wallet is not None and call.profile.tells_isolated_margin:
        row["positionMargin"] = _text(p.isolated_wallet)
    return row


def worth(engine: Engine, asset: str) -> float:
    """What a unit of a coin counts in dollars; the paper exchange cuts nothing off."""
    marks = (engine.mark(c.symbol) for c in engine.contracts if c.inverse and c.base == asset)
    return next((mark for mark in marks if mark is not None), 1.0)


def _unified_overview(call: Call) -> Json:
    _unified(call)
    engine = call.engine
    pools = [(p, worth(engine, p.asset)) for p in engine.pools(call.owner.name) if p.pool.startswith("cross:")]
    equity = sum(p.equity * rate for p, rate in pools)
    initial = sum(p.initial_margin * rate for p, rate in pools)
    maintenance = sum(p.maintenance_margin * rate for p, rate in pools)
    return good(
        {
            "accountType": "UNIFIED",
            "riskRatio": f"{_ratio(maintenance, equity):.12f}",
            "equity": _text(equity),
            "liability": "0.0000000000",
            "availableMargin": _text(max(0.0, equity - initial)),
            "adjustedEquity": _text(equity),
            "im": _text(initial),
            "mm": _text(maintenance),
        }
    )


def _unified_orders(call: Call) -> Json:
    _unified(call)
    asked = call.params.get("tradeType"), call.params.get("orderFilter")
    rows = call.profile.stops if asked == ("FUTURES", "CONDITION") else []
    return good({**_page(call, rows, "pageNumber"), "tradeType": "FUTURES"})


def _history(call: Call) -> Json:
    return good(transaction_history(call))


def _ledger(call: Call) -> Json:
    _unified(call)
    return good(account_ledger(call))


def _api_key(call: Call) -> Json:
    told: Json = {
        "remark": "paper",
        "apiKey": call.owner.api_key,
        "apiVersion": 3,
        "permission": call.profile.permission,
        "createdAt": LISTED_MS,
        "uid": 1,
        "isMaster": True,
    }
    whitelist = call.profile.ip_whitelist
    return good(told if whitelist is None else {**told, "ipWhitelist": whitelist})


# --- words ---


def _figure(value: float) -> float:
    return round(value, 10)


def _count(contracts: float) -> int | float:
    return int(contracts) if contracts == int(contracts) else contracts


def _text(value: float) -> str:
    return f"{value:.10f}"


_key_of = header("kc-api-key")


def authorise(engine: Engine, asked: Asked, now_ms: int) -> Account:
    """The account a signed request is for; ApiError in KuCoin's words otherwise."""
    wanted = ("kc-api-key", "kc-api-sign", "kc-api-timestamp", "kc-api-passphrase")
    if not all(asked.headers.get(name) for name in wanted):
        raise ApiError(401, "400001", "Please check the header of your request.")
    account = engine.account_of_key(_key_of(asked))
    if account is None:
        raise ApiError(401, "400003", "KC-API-KEY not exists")
    stamp = asked.headers["kc-api-timestamp"]
    if not stamp.isdecimal() or abs(int(stamp) - now_ms) > WINDOW_MS:
        raise ApiError(400, "400002", "Invalid KC-API-TIMESTAMP")
    if asked.headers["kc-api-passphrase"] != _signature(account.secret, PASSPHRASE):
        raise ApiError(401, "400004", "Invalid KC-API-PASSPHRASE")
    target = f"{asked.path}?{asked.query}" if asked.query else asked.path
    expected = _signature(account.secret, f"{stamp}{asked.method}{target}{asked.body}")
    if not hmac.compare_digest(expected, asked.headers["kc-api-sign"]):
        raise ApiError(401, "400005", "Invalid KC-API-SIGN")
    return account


def _signature(secret: str, said: str) -> str:
    return base64.b64encode(hmac.new(secret.encode(), said.encode(), hashlib.sha256).digest()).decode()


def error(refusal: ApiError) -> Reply:
    return Reply(refusal.status, json.dumps({"code": str(refusal.code), "msg": refusal.message}))


REFUSALS: Mapping[FaultKind, ApiError] = {
    FaultKind.RATE_LIMITED: ApiError(429, "429000", "Too many requests in a short period of time, please retry later"),
    FaultKind.OVERLOADED: ApiError(500, "500000", "Internal Server Error"),
    FaultKind.REGION: ApiError(403, "400301", "Operation restricted due to local laws, regulations, or policies"),
    FaultKind.BAD_KEY: ApiError(401, "400003", "KC-API-KEY not exists"),
}


def without_positions(name: str, payload: Any) -> Any:
    return good([]) if name in ("/api/v1/positions", "/api/ua/v1/unified/position/open-list") else payload


KUCOINFUTURES = Dialect(
    endpoints={
        "GET /api/v1/timestamp": Endpoint(timestamp),
        "GET /api/v1/contracts/active": Endpoint(contracts, weight=3),
        "GET /api/v1/kline/query": Endpoint(klines, weight=3),
        "GET /api/v1/level2/snapshot": Endpoint(snapshot, weight=3),
        "GET /api/v1/positions": Endpoint(_positions, weight=2, signed=True),
        "GET /api/v1/account-overview": Endpoint(_overview, weight=5, signed=True),
        "GET /api/v2/position/getPositionMode": Endpoint(_position_mode, weight=2, signed=True),
        "GET /api/v1/stopOrders": Endpoint(_stops, weight=6, signed=True),
        "GET /api/v1/fills": Endpoint(_fills, weight=5, signed=True),
        "GET /api/v1/transaction-history": Endpoint(_history, weight=2, signed=True),
        "GET /api/v1/user/api-key": Endpoint(_api_key, weight=3, signed=True),
        "GET /api/ua/v1/account/mode": Endpoint(_mode, weight=30, signed=True),
        "GET /api/ua/v1/account/ledger": Endpoint(_ledger, weight=4, signed=True),
        "GET /api/ua/v1/unified/position/open-list": Endpoint(_unified_positions, weight=3, signed=True),
        "GET /api/ua/v1/unified/account/overview": Endpoint(_unified_overview, weight=5, signed=True),
        "GET /api/ua/v1/unified/order/open-list": Endpoint(_unified_orders, weight=4, signed=True),
    },
    key_of=_key_of,
    authorise=authorise,
    error=error,
    refuse=in_words(REFUSALS),
    without_positions=without_positions,
    profile=Profile(),
)
