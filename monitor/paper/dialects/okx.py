"""OKX's V5 REST: signatures with a passphrase, demo trading by header, words, pages, and the market."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from monitor.domain.study import Frame
from monitor.paper.book import Account
from monitor.paper.contract import Bracket, Contract
from monitor.paper.dialect import ApiError, Asked, Call, Dialect, Endpoint, Json, header, in_words
from monitor.paper.dialects.okx_account import (
    LIQUIDATION_FEE,
    Profile,
    balance_row,
    figure,
    name_of,
    position_rows,
    profile_of,
)
from monitor.paper.dialects.okx_ledger import bills
from monitor.paper.engine import Engine
from monitor.paper.faults import FaultKind, Reply
from monitor.paper.formats import amount, levels, milliseconds
from monitor.paper.tape import SIDES

API = "/api/v5"
BALANCE, POSITIONS = f"{API}/account/balance", f"{API}/account/positions"
WINDOW_MS = 30_000
PAGE = 100
FRAMES = {"1H": Frame.HOUR, "1Dutc": Frame.DAY}
CANDLES_AT_MOST, DEEPEST_BOOK = 300, 400
FAMILIES_AT_MOST = 5
BILLS_KEPT_MS = 7 * 86_400_000
CONFIG: Json = {
    "acctStpMode": "cancel_maker",
    "autoLoan": False,
    "ctIsoMode": "automatic",
    "greeksType": "PA",
    "ip": "10.0.0.1",
    "kycLv": "3",
    "label": "perpwatch",
    "level": "Lv1",
    "mainUid": "1",
    "perm": "read_only",
    "roleType": "0",
    "stgyType": "0",
    "type": "0",
    "uid": "1",
    "settleCcy": "USDC",
    "settleCcyList": ["USD", "USDC", "USDG"],
}


def passphrase_of(account: Account) -> str:
    return f"{account.name}-passphrase"


def is_demo(account: Account) -> bool:
    """Keys of demo trading are of its own, and are known by their account's name here."""
    return account.name.startswith("demo")


_key_of = header("ok-access-key")


def authorise(engine: Engine, asked: Asked, now_ms: int) -> Account:
    account = engine.account_of_key(_key_of(asked))
    if account is None:
        raise ApiError(401, 50111, "Invalid OK-ACCESS-KEY")
    if is_demo(account) is not (asked.headers.get("x-simulated-trading") == "1"):
        raise ApiError(401, 50101, "APIKey does not match current environment.")
    if asked.headers.get("ok-access-passphrase") != passphrase_of(account):
        raise ApiError(401, 50105, 'Request header "OK-ACCESS-PASSPHRASE" incorrect.')
    timestamp = asked.headers.get("ok-access-timestamp", "")
    try:
        asked_ms = milliseconds(datetime.strptime(timestamp, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC))
    except ValueError:
        raise ApiError(401, 50112, "Invalid OK-ACCESS-TIMESTAMP") from None
    if abs(now_ms - asked_ms) > WINDOW_MS:
        raise ApiError(401, 50102, "Timestamp request expired")
    signed = f"{timestamp}{asked.method}{asked.path}{f'?{asked.query}' if asked.query else ''}{asked.body}"
    digest = hmac.new(account.secret.encode(), signed.encode(), hashlib.sha256).digest()
    if not hmac.compare_digest(base64.b64encode(digest).decode(), asked.headers.get("ok-access-sign", "")):
        raise ApiError(401, 50113, "Invalid Sign")
    return account


def error(refusal: ApiError) -> Reply:
    """Without `data`, as recorded."""
    return Reply(refusal.status, json.dumps({"msg": refusal.message, "code": str(refusal.code)}))


REFUSALS: Mapping[FaultKind, ApiError] = {
    FaultKind.RATE_LIMITED: ApiError(429, 50011, "Too Many Requests"),
    FaultKind.OVERLOADED: ApiError(500, 50026, "System error. Try again later"),
    FaultKind.REGION: ApiError(200, 50121, "You can't access our services through the IP address"),
    FaultKind.BAD_KEY: ApiError(401, 50111, "Invalid OK-ACCESS-KEY"),
}


def without_positions(name: str, payload: Any) -> Any:
    return {**payload, "data": []} if name == POSITIONS else payload


def _reply(rows: Sequence[Json]) -> Json:
    return {"code": "0", "msg": "", "data": list(rows)}


def _page(call: Call, rows: Sequence[Json], name: str) -> Json:
    """What is older than the row named `after`; the newest come first."""
    limit = int(call.params.get("limit", PAGE))
    if not 1 <= limit <= PAGE:
        raise ApiError(400, 51000, "Parameter limit error")
    names = [row[name] for row in rows]
    after = call.params.get("after")
    start = names.index(after) + 1 if after in names else 0
    return _reply(rows[start : start + limit])


# --- public ---


def _of_kind(call: Call) -> tuple[Contract, ...]:
    """Perpetual contracts are all there are."""
    kind = call.params.get("instType")
    if kind not in ("SWAP", "FUTURES"):
        raise ApiError(400, 51000, "Parameter instType error")
    return call.contracts if kind == "SWAP" else ()


def _time(call: Call) -> Json:
    return _reply([{"ts": str(call.now_ms)}])


def _instruments(call: Call) -> Json:
    return _reply([_instrument(contract) for contract in _of_kind(call)])


def _instrument(contract: Contract) -> Json:
    return {
        "instId": name_of(contract),
        "instType": "SWAP",
        "instFamily": f"{contract.base}-{contract.quote}",
        "uly": f"{contract.base}-{contract.quote}",
        "baseCcy": "",
        "quoteCcy": "",
        "settleCcy": contract.settle,
        "ctType": "inverse" if contract.inverse else "linear",
        "ctVal": f"{contract.contract_size:.10g}",
        "ctValCcy": "USD" if contract.inverse else contract.base,
        "ctMult": "1",
        "expTime": "",
        "listTime": "1573557408000",
        "lever": f"{contract.brackets[0].max_leverage:g}",
        "lotSz": f"{contract.step or 0.001:.10g}",
        "minSz": f"{contract.step or 0.001:.10g}",
        "tickSz": f"{contract.tick:.10g}",
        "ruleType": "normal",
        "state": "live",
    }


def _mark_price(call: Call) -> Json:
    return _reply(
        [
            {
                "instType": "SWAP",
                "instId": name_of(contract),
                "markPx": figure(call.engine.mark(contract.symbol) or 0.0),
                "ts": str(call.now_ms),
            }
            for contract in _of_kind(call)
        ]
    )


def _funding_rate(call: Call) -> Json:
    if call.params.get("instId") != "ANY":
        raise ApiError(400, 51001, "Instrument ID doesn't exist.")
    return _reply([_funding(call, contract) for contract in call.contracts])


def _funding(call: Call, contract: Contract) -> Json:
    market = call.engine.market(contract.symbol)
    return {
        "instType": "SWAP",
        "instId": name_of(contract),
        "method": "current_period",
        "formulaType": "noRate",
        "fundingRate": figure(market.funding_rate),
        "nextFundingRate": "",
        "fundingTime": str(milliseconds(market.next_funding_at)),
        "nextFundingTime": str(milliseconds(market.next_funding_at + market.funding_interval)),
        "settState": "settled",
        "ts": str(call.now_ms),
    }


def _position_tiers(call: Call) -> Json:
    families = call.params.get("instFamily", "").split(",")
    if call.params.get("tdMode") not in ("cross", "isolated") or not 1 <= len(families) <= FAMILIES_AT_MOST:
        raise ApiError(400, 51000, "Parameter instFamily error")
    asked = {name_of(contract): contract for contract in _of_kind(call)}
    rows: list[Json] = []
    for family in families:
        contract = asked.get(f"{family}-SWAP")
        if contract is None:
            raise ApiError(400, 51000, "Parameter instFamily error")
        rows += [_tier(call, contract, family, number) for number in range(len(contract.brackets))]
    return _reply(rows)


def _tier(call: Call, contract: Contract, family: str, number: int) -> Json:
    """In contracts, at the mark of now."""
    bracket: Bracket = contract.brackets[number]
    each = contract.notional(1.0, call.engine.mark(contract.symbol) or 1.0)
    return {
        "uly": family,
        "instFamily": family,
        "instId": "",
        "tier": str(number + 1),
        "minSz": figure(bracket.floor / each),
        "maxSz": figure(bracket.cap / each),
        "mmr": f"{bracket.rate - LIQUIDATION_FEE:.10g}",
        "imr": f"{1 / bracket.max_leverage:.10g}",
        "maxLever": f"{bracket.max_leverage:g}",
        "optMgnFactor": "0",
        "quoteMaxLoan": "",
        "baseMaxLoan": "",
    }


def _contract_named(call: Call) -> Contract:
    found = [contract for contract in call.contracts if name_of(contract) == call.params.get("instId")]
    if not found:
        raise ApiError(400, 51001, "Instrument ID doesn't exist.")
    return found[0]


def _candles(call: Call) -> Json:
    """The newest first. Hong Kong's days (1D), which nobody asks for, are not served."""
    contract, frame = _contract_named(call), FRAMES.get(call.params.get("bar", ""))
    limit = int(call.params.get("limit", PAGE))
    if frame is None or not 1 <= limit <= CANDLES_AT_MOST:
        raise ApiError(400, 51000, "Parameter bar error")
    bars = call.engine.bars(contract.symbol, frame, limit, call.now_ms)
    rows = [[str(bar.at_ms), *map(amount, bar[1:]), "1", "0.01", "1", "1"] for bar in reversed(bars)]
    return {**_reply([]), "data": rows}


def _books(call: Call) -> Json:
    contract, depth = _contract_named(call), int(call.params.get("sz", "1"))
    if not 1 <= depth <= DEEPEST_BOOK:
        raise ApiError(400, 51000, "Parameter sz error")
    sides = {side: levels(contract, call.engine.resting(contract.symbol, side, depth)) for side in SIDES}
    told = {side: [[*level, "0", "1"] for level in resting] for side, resting in sides.items()}
    return _reply([{**told, "ts": str(call.now_ms), "seqId": 1}])


# --- private ---


def _config(call: Call) -> Json:
    modes = {"acctLv": profile_of(call).acct_lv, "posMode": "long_short_mode" if call.owner.hedge_mode else "net_mode"}
    return _reply([{**CONFIG, **modes, **profile_of(call).config}])


def _balance(call: Call) -> Json:
    return _reply([balance_row(call)])


def _positions(call: Call) -> Json:
    return _reply(position_rows(call))


def _algos(call: Call) -> Json:
    kinds = call.params.get("ordType", "").split(",")
    if kinds == [""] or (len(kinds) > 1 and set(kinds) != {"conditional", "oco"}):
        raise ApiError(400, 51000, "Parameter ordType error")
    return _page(call, [row for row in profile_of(call).algos if row["ordType"] in kinds], "algoId")


def _bills(call: Call) -> Json:
    kind, begin_ms = call.params.get("type"), int(call.params.get("begin", "0"))
    oldest_ms = max(begin_ms, call.now_ms - BILLS_KEPT_MS)
    rows = [*profile_of(call).bills, *bills(call)]
    asked = [row for row in rows if kind in (None, row["type"]) and int(row["ts"]) >= oldest_ms]
    return _page(call, sorted(asked, key=lambda row: int(row["ts"]), reverse=True), "billId")


def _endpoints() -> Mapping[str, Endpoint]:
    public = {
        "time": _time,
        "instruments": _instruments,
        "mark-price": _mark_price,
        "funding-rate": _funding_rate,
        "position-tiers": _position_tiers,
    }
    private = {
        "account/config": _config,
        "account/balance": _balance,
        "account/positions": _positions,
        "account/bills": _bills,
        "trade/orders-algo-pending": _algos,
    }
    told = {f"GET {API}/public/{path}": Endpoint(render) for path, render in public.items()}
    told |= {f"GET {API}/market/candles": Endpoint(_candles), f"GET {API}/market/books": Endpoint(_books)}
    return told | {f"GET {API}/{path}": Endpoint(render, signed=True) for path, render in private.items()}


OKX = Dialect(
    endpoints=_endpoints(),
    key_of=_key_of,
    authorise=authorise,
    error=error,
    refuse=in_words(REFUSALS),
    without_positions=without_positions,
    profile=Profile(),
)
