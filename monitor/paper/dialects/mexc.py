"""MEXC's contract API v1, and the one question of its spot API that keys are asked."""

import hashlib
import hmac
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from monitor.domain.account import MarginMode, Side
from monitor.paper.book import Account, PositionTruth
from monitor.paper.contract import Contract
from monitor.paper.dialect import ApiError, Asked, Call, Dialect, Endpoint, Json, in_words
from monitor.paper.dialects.mexc_bookings import funding_records, transfer_record
from monitor.paper.dialects.mexc_market import (
    depth,
    detail,
    fair_price,
    funding_rate,
    good,
    kline,
    ping,
    symbol_of,
    ticker,
)
from monitor.paper.engine import Engine
from monitor.paper.faults import FaultKind, Reply, page
from monitor.paper.formats import milliseconds

WINDOW_MS = 10_000
PUBLIC, PRIVATE = "/api/v1/contract", "/api/v1/private"
ONE_BY_ONE = tuple(f"{PUBLIC}/{name}" for name in ("fair_price", "funding_rate", "kline", "depth"))
FORBIDDEN = 403
DENIED = ApiError(200, 401, "Not logged in or login has expired")
PAGE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What MEXC tells of an account beside its books. `contributes` is not 0 in multi-asset margin mode.

    `frozen` is held for orders in each currency; `untold` are fields that open_positions leaves out.
    """

    position_mode: int | None = None
    contributes: float = 0.0
    frozen: float = 0.0
    bonus: float = 0.0
    state: int = 1
    untold: tuple[str, ...] = ()
    stops: tuple[Json, ...] = ()
    triggers: tuple[Json, ...] = ()
    trailing: tuple[Json, ...] = ()
    history: tuple[Json, ...] = ()
    transfers: tuple[Json, ...] = ()
    permissions: str = "CONTRACT_ACCOUNT_READ,CONTRACT_DEAL_READ"
    addresses: str = ""
    key_is_told: bool = True


def margin_of(truth: PositionTruth, contract: Contract) -> float:
    """`im`: what an isolated position holds; of a cross one its value at entry / leverage."""
    if truth.isolated_wallet is not None:
        return truth.isolated_wallet
    return contract.notional(truth.contracts, truth.entry_price) / truth.leverage


def ratio_of(truth: PositionTruth, contract: Contract) -> float:
    """`marginRatio`, cut to four decimals."""
    return math.floor(truth.maintenance_margin / (margin_of(truth, contract) + truth.unrealized_pnl) * 1e4) / 1e4


def _position_row(call: Call, truth: PositionTruth) -> Json:
    contract = call.engine.market(truth.symbol).contract
    margin = margin_of(truth, contract)
    row = {
        "positionId": 1_000_000 + sorted(call.owner.legs).index((truth.symbol, truth.side)),
        "symbol": symbol_of(contract),
        "positionType": 1 if truth.side is Side.LONG else 2,
        "openType": 1 if truth.margin_mode is MarginMode.ISOLATED else 2,
        "state": call.profile.state,
        "holdVol": truth.contracts,
        "frozenVol": 0,
        "closeVol": 0,
        "holdAvgPrice": truth.entry_price,
        "holdAvgPriceFullyScale": f"{truth.entry_price:.18f}",
        "openAvgPrice": truth.entry_price,
        "openAvgPriceFullyScale": f"{truth.entry_price:.18f}",
        "closeAvgPrice": 0,
        "liquidatePrice": _liquidation_price(truth, contract, margin),
        "oim": margin,
        "im": margin,
        "holdFee": 0,
        "realised": 0,
        "adlLevel": truth.adl_quantile + 1,
        "leverage": int(truth.leverage),
        "marginRatio": ratio_of(truth, contract),
        "createTime": milliseconds(truth.updated_at),
        "updateTime": milliseconds(truth.updated_at),
        "autoAddIm": False,
        "version": 1,
    }
    return {name: value for name, value in row.items() if name not in call.profile.untold}


def _liquidation_price(truth: PositionTruth, contract: Contract, margin: float) -> float:
    """Of a cross position MEXC tells where its own margin would be gone, which says nothing of it."""
    if truth.margin_mode is MarginMode.ISOLATED:
        return truth.liquidation_price or 0.0
    share = margin / contract.notional(truth.contracts, truth.entry_price)
    return truth.entry_price * (1 - truth.side.sign * share)


def _open_positions(call: Call) -> Json:
    return good([_position_row(call, truth) for truth in call.engine.positions(call.owner.name)])


def _assets(call: Call) -> Json:
    return good([_asset_row(call, currency) for currency in (*call.owner.wallets, "MX")])


def _asset_row(call: Call, currency: str) -> Json:
    truths = [
        (truth, contract)
        for truth in call.engine.positions(call.owner.name, with_liquidation_prices=False)
        if (contract := call.engine.market(truth.symbol).contract).settle == currency
    ]
    cross = call.engine.pool(call.owner.name, f"cross:{currency}")
    apart = sum(
        truth.isolated_wallet + truth.unrealized_pnl for truth, _ in truths if truth.isolated_wallet is not None
    )
    has_money = currency in call.owner.wallets
    return {
        "currency": currency,
        "positionMargin": sum(margin_of(truth, contract) for truth, contract in truths),
        "availableBalance": max(0.0, cross.equity - cross.initial_margin),
        "cashBalance": cross.wallet,
        "frozenBalance": call.profile.frozen if has_money else 0,
        "equity": cross.equity + apart + (call.profile.frozen if has_money else 0),
        "unrealized": sum(truth.unrealized_pnl for truth, _ in truths),
        "bonus": call.profile.bonus if has_money else 0,
        "availableCash": cross.wallet,
        "availableOpen": max(0.0, cross.equity - cross.initial_margin),
        "debtAmount": 0,
        "contributeMarginAmount": call.profile.contributes if has_money else 0,
    }


def _position_mode(call: Call) -> Json:
    told = call.profile.position_mode
    return good((1 if call.owner.hedge_mode else 2) if told is None else told)


def _stops(call: Call) -> Json:
    return good(list(call.profile.stops))


def _page(call: Call, told: tuple[Json, ...], number: str) -> Json:
    start = (int(call.params[number]) - 1) * PAGE
    return good(list(told[start : start + PAGE]))


def _triggers(call: Call) -> Json:
    return _page(call, call.profile.triggers, "page_num")


def _trailing(call: Call) -> Json:
    return _page(call, call.profile.trailing, "pageIndex")


def _history(call: Call) -> Json:
    asked = int(call.params["category"])
    return _page(call, tuple(row for row in call.profile.history if row["category"] == asked), "page_num")


def _key_info(call: Call) -> Json:
    if not call.profile.key_is_told:
        raise ApiError(400, 700007, "No permission to access the endpoint.")
    return {
        "note": "watch",
        "accessKey": call.params["accessKey"],
        "createTime": "2026-09-14T18:53:36.000+00:00",
        "permissions": call.profile.permissions,
        "remainingValidity": 82,
        "ipWhiteList": call.profile.addresses,
        "status": "VALID",
    }


def _key_of(asked: Asked) -> str:
    return asked.headers.get("apikey", "") or asked.headers.get("x-mexc-apikey", "")


def _authorise(engine: Engine, asked: Asked, now_ms: int) -> Account:
    account = engine.account_of_key(_key_of(asked))
    if account is None:
        raise DENIED
    is_spot = asked.path.startswith("/api/v3")
    sent = asked.params.get("timestamp", "") if is_spot else asked.headers.get("request-time", "")
    if not sent.isdecimal() or abs(now_ms - int(sent)) > WINDOW_MS:
        raise (
            ApiError(200, 10073, "Invalid Request-Time")
            if not is_spot
            else ApiError(400, 700003, "Timestamp for this request is outside of the recvWindow.")
        )
    if is_spot:
        signed, signature = asked.query.rpartition("&signature=")[0], asked.params.get("signature", "")
    else:
        signed, signature = _key_of(asked) + sent + asked.query, asked.headers.get("signature", "")
    expected = hmac.new(account.secret.encode(), signed.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, signature):
        raise ApiError(200, 602, "Confirming signature failed")
    return account


def _error(refusal: ApiError) -> Reply:
    """Refusals come with HTTP 200; what stops a request before MEXC answers with a page."""
    if refusal.status == FORBIDDEN:
        return page(FORBIDDEN)
    told = {"success": False, "code": refusal.code, "message": refusal.message}
    return Reply(refusal.status, json.dumps(told))


REFUSALS: Mapping[FaultKind, ApiError] = {
    FaultKind.RATE_LIMITED: ApiError(200, 510, "Requests are too frequent, please try again later"),
    FaultKind.OVERLOADED: ApiError(200, 501, "System busy, try again later"),
    FaultKind.REGION: ApiError(FORBIDDEN, FORBIDDEN, "Access Denied"),
    FaultKind.BANNED: ApiError(FORBIDDEN, FORBIDDEN, "Access Denied"),
    FaultKind.BAD_KEY: DENIED,
}


def _without_positions(name: str, payload: Any) -> Any:
    return {**payload, "data": []} if name.endswith("open_positions") else payload


def _name_of(asked: Asked) -> str:
    return next((start for start in ONE_BY_ONE if asked.path.startswith(f"{start}/")), asked.path)


MEXC = Dialect(
    endpoints={
        f"GET {PUBLIC}/ping": Endpoint(ping),
        f"GET {PUBLIC}/detail": Endpoint(detail),
        f"GET {PUBLIC}/ticker": Endpoint(ticker),
        f"GET {PUBLIC}/fair_price/{{symbol}}": Endpoint(fair_price),
        f"GET {PUBLIC}/funding_rate/{{symbol}}": Endpoint(funding_rate),
        f"GET {PUBLIC}/kline/{{symbol}}": Endpoint(kline),
        f"GET {PUBLIC}/depth/{{symbol}}": Endpoint(depth),
        f"GET {PRIVATE}/account/assets": Endpoint(_assets, signed=True),
        f"GET {PRIVATE}/position/open_positions": Endpoint(_open_positions, signed=True),
        f"GET {PRIVATE}/position/position_mode": Endpoint(_position_mode, signed=True),
        f"GET {PRIVATE}/stoporder/open_orders": Endpoint(_stops, signed=True),
        f"GET {PRIVATE}/planorder/list/orders": Endpoint(_triggers, signed=True),
        f"GET {PRIVATE}/trackorder/list/orders": Endpoint(_trailing, signed=True),
        f"GET {PRIVATE}/order/list/history_orders": Endpoint(_history, signed=True),
        f"GET {PRIVATE}/position/funding_records": Endpoint(
            lambda call: good(funding_records(call, symbol_of)), signed=True
        ),
        f"GET {PRIVATE}/account/transfer_record": Endpoint(lambda call: good(transfer_record(call)), signed=True),
        "GET /api/v3/apiKeyInfo": Endpoint(_key_info, signed=True),
    },
    key_of=_key_of,
    authorise=_authorise,
    error=_error,
    refuse=in_words(REFUSALS),
    without_positions=_without_positions,
    profile=Profile(),
    name_of=_name_of,
    volatile=frozenset({"timestamp", "signature", "recvWindow"}),
)
