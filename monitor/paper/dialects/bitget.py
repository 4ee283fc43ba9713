"""Bitget: classic accounts (v2: perpetuals settled in USDT and USDC) and unified ones (v3: these, and coin-settled).

Figures are text. A request is signed over the query as it reads before it is encoded. One path answers for several
product types, so that a request is named by both.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

from monitor.domain.study import Frame
from monitor.paper.book import Account
from monitor.paper.contract import Contract
from monitor.paper.dialect import ApiError, Asked, Call, Dialect, Endpoint, Json
from monitor.paper.dialects import bitget_account as accounts
from monitor.paper.dialects.bitget_account import Profile, figure, good, product_of, symbol_of
from monitor.paper.dialects.bitget_bills import bills, financial_records
from monitor.paper.engine import Engine
from monitor.paper.faults import Fault, FaultKind, Reply
from monitor.paper.formats import amount, decimals, milliseconds
from monitor.paper.tape import SIDES

PASSPHRASE = "paper-passphrase"  # noqa: S105 - of accounts that do not exist
# How far a timestamp may be from the server's.
WINDOW_MS = 30_000
PAGE = 100
DAY_MS = 86_400_000
LONGEST_OF_FILLS, LONGEST_OF_ORDERS = 7 * DAY_MS, 30 * DAY_MS
MAX_LEVERAGE = 125
FRAMES = {"1H": Frame.HOUR, "1Dutc": Frame.DAY}
UNIFIED_FRAMES = {"1H": Frame.HOUR, "1D": Frame.DAY}
DEEPEST_BOOK = 200


# --- public ---


def _time(call: Call) -> Json:
    return good({"serverTime": str(call.now_ms)})


def _listed(call: Call, product: str) -> list[Contract]:
    return [contract for contract in call.contracts if product_of(contract) == product]


def _instruments(call: Call) -> Json:
    product = call.params["category"]
    return good([_instrument(contract, product) for contract in _listed(call, product)])


def _instrument(contract: Contract, product: str) -> Json:
    return {
        "symbol": symbol_of(contract),
        "category": product,
        "baseCoin": contract.base,
        "quoteCoin": contract.quote,
        "type": "perpetual",
        "symbolType": "crypto",
        "status": "online",
        "isRwa": "NO",
        "makerFeeRate": "0.0002",
        "takerFeeRate": figure(contract.fee_rate),
        "minOrderQty": f"{contract.step:g}",
        "pricePrecision": str(decimals(contract.tick)),
        "quantityPrecision": str(decimals(contract.step)),
        "priceMultiplier": f"{contract.tick:g}",
        "quantityMultiplier": f"{contract.step:g}",
        "minLeverage": "1",
        "maxLeverage": str(MAX_LEVERAGE),
        "fundInterval": str(_hours(contract)),
    }


def _contracts(call: Call) -> Json:
    """The classic API's list; the one settled in coin is empty since those contracts ended."""
    product = call.params["productType"]
    listed = [] if product == accounts.COIN else _listed(call, product)
    return good([_contract(contract) for contract in listed])


def _contract(contract: Contract) -> Json:
    return {
        "symbol": symbol_of(contract),
        "baseCoin": contract.base,
        "quoteCoin": contract.quote,
        "supportMarginCoins": [contract.settle],
        "symbolType": "perpetual",
        "symbolStatus": "normal",
        "makerFeeRate": "0.0002",
        "takerFeeRate": figure(contract.fee_rate),
        "minTradeNum": f"{contract.step:g}",
        "priceEndStep": "1",
        "volumePlace": str(decimals(contract.step)),
        "pricePlace": str(decimals(contract.tick)),
        "sizeMultiplier": f"{contract.step:g}",
        "minTradeUSDT": "5",
        "minLever": "1",
        "maxLever": str(MAX_LEVERAGE),
        "fundInterval": str(_hours(contract)),
    }


def _hours(contract: Contract) -> int:
    return int(contract.funding_interval.total_seconds() // 3600)


def _tickers(call: Call) -> Json:
    product = call.params["category"]
    return good([_ticker(call, contract, product) for contract in _listed(call, product)])


def _ticker(call: Call, contract: Contract, product: str) -> Json:
    mark = repr(call.engine.mark(contract.symbol))
    return {
        "category": product,
        "symbol": symbol_of(contract),
        "lastPrice": mark,
        "markPrice": mark,
        "indexPrice": mark,
        "fundingRate": figure(call.engine.market(contract.symbol).funding_rate),
        "openInterest": "1000",
        "ts": str(call.now_ms),
    }


def _fund_rates(call: Call) -> Json:
    """Of one product type, or of one symbol."""
    product, symbol = call.params.get("productType"), call.params.get("symbol")
    listed = [c for c in call.contracts if symbol in (None, symbol_of(c)) and product in (None, product_of(c))]
    return good([_fund_rate(call, contract) for contract in listed])


def _fund_rate(call: Call, contract: Contract) -> Json:
    market = call.engine.market(contract.symbol)
    return {
        "symbol": symbol_of(contract),
        "fundingRate": figure(market.funding_rate),
        "fundingRateInterval": str(int(market.funding_interval.total_seconds() // 3600)),
        "nextUpdate": str(milliseconds(market.next_funding_at)),
        "minFundingRate": "-0.003",
        "maxFundingRate": "0.003",
    }


def _contract_named(call: Call) -> Contract:
    wanted = call.params["symbol"]
    contract = next((c for c in call.contracts if symbol_of(c) == wanted), None)
    if contract is None:
        raise ApiError(400, "40034", f"Parameter {wanted} does not exist")
    return contract


def _candles(call: Call) -> Json:
    """Of either API. The classic one knows no contract settled in coin; its days are of UTC where so asked for."""
    contract, classic = _contract_named(call), "productType" in call.params
    if classic and product_of(contract) == accounts.COIN:
        raise ApiError(400, "40034", f"Parameter {call.params['symbol']} does not exist")
    frame = (FRAMES if classic else UNIFIED_FRAMES)[call.params["granularity" if classic else "interval"]]
    bars = call.engine.bars(contract.symbol, frame, int(call.params["limit"]), call.now_ms)
    return good([[str(bar.at_ms), *map(amount, bar[1:]), "1", "1"] for bar in bars])


def _orderbook(call: Call) -> Json:
    """Its figures are numbers."""
    contract, depth = _contract_named(call), int(call.params["limit"])
    if depth > DEEPEST_BOOK:
        raise ApiError(400, "40017", "Parameter verification failed limit")
    bids, asks = ([list(level) for level in call.engine.resting(contract.symbol, side, depth)] for side in SIDES)
    return good({"a": asks, "b": bids, "ts": str(call.now_ms)})


def _tiers(call: Call) -> Json:
    contract = _contract_named(call)
    return good(
        [
            {
                "tier": str(number),
                "minTierValue": figure(bracket.floor),
                "maxTierValue": figure(bracket.cap),
                "leverage": f"{bracket.max_leverage:g}",
                "mmr": figure(bracket.rate - contract.fee_rate),
            }
            for number, bracket in enumerate(contract.brackets, start=1)
        ]
    )


# --- orders, fills, keys ---


def _product_named(symbol: str) -> str:
    if symbol.endswith("_CM"):
        return accounts.COIN
    return accounts.USDC if symbol.endswith("PERP") else accounts.USDT


def _plans(call: Call) -> Json:
    accounts.classic(call)
    product, asked = call.params["productType"], call.params["planType"]
    wanted = [r for r in call.profile.plans if _product_named(r["symbol"]) == product and asked == _asked_as(r)]
    rows, end = _page(call, wanted, "orderId", "idLessThan")
    return good({"entrustedList": rows or None, "endId": end})


def _asked_as(row: Json) -> str:
    plan = str(row["planType"])
    return plan if plan in ("normal_plan", "track_plan") else "profit_loss"


def _fills(call: Call) -> Json:
    accounts.classic(call)
    rows = _within(call, call.profile.fills, "cTime", call.params["productType"], LONGEST_OF_FILLS)
    rows, end = _page(call, rows, "tradeId", "idLessThan")
    return good({"fillList": rows or None, "endId": end})


def _strategies(call: Call) -> Json:
    accounts.unified(call)
    product, kind = call.params["category"], call.params["type"]
    return good(
        [r for r in call.profile.strategies if _product_named(r["symbol"]) == product and r["type"] == kind] or None
    )


def _orders(call: Call) -> Json:
    accounts.unified(call)
    rows = _within(call, call.profile.orders, "updatedTime", call.params["category"], LONGEST_OF_ORDERS)
    rows, end = _page(call, rows, "orderId", "cursor")
    return good({"list": rows or None, "cursor": end})


def _within(call: Call, rows: Sequence[Json], time: str, product: str, longest_ms: int) -> list[Json]:
    start, end = int(call.params["startTime"]), int(call.params["endTime"])
    if end - start > longest_ms:
        raise ApiError(400, "40054", "The time range is too long")
    return [r for r in rows if start <= int(r[time]) <= end and _product_named(r["symbol"]) == product]


def _page(call: Call, rows: Sequence[Json], name: str, cursor: str) -> tuple[list[Json], str | None]:
    """The newest first: those before the one named by the cursor, and the last one's name."""
    after = call.params.get(cursor)
    found = [row for row in rows if after is None or int(row[name]) < int(after)]
    found = sorted(found, key=lambda row: -int(row[name]))[: int(call.params.get("limit", PAGE))]
    return found, found[-1][name] if found else None


def _classic_key(call: Call) -> Json:
    accounts.classic(call)
    told = {"userId": "1", "ips": call.profile.ips, "authorities": list(call.profile.authorities), "traderType": "not"}
    return good(told)


def _unified_key(call: Call) -> Json:
    accounts.unified(call)
    profile = call.profile
    words = {"permType": profile.permission_kind, "permissions": list(profile.permissions), "ips": profile.ips}
    return good({"userId": "1", **words})


# --- words ---


def _key_of(asked: Asked) -> str:
    return asked.headers.get("access-key", "")


def _name_of(asked: Asked) -> str:
    product = asked.params.get("productType") or asked.params.get("category")
    return asked.path if product is None else f"{asked.path} {product}"


def authorise(engine: Engine, asked: Asked, now_ms: int) -> Account:
    """The account a signed request is for; ApiError in Bitget's words otherwise."""
    for name, code in (("key", "40001"), ("sign", "40002"), ("timestamp", "40003"), ("passphrase", "40011")):
        if not asked.headers.get(f"access-{name}"):
            raise ApiError(400, code, f"ACCESS_{name.upper()} cannot be empty")
    account = engine.account_of_key(_key_of(asked))
    if account is None:
        raise ApiError(400, "40037", "Apikey does not exist")
    stamp = asked.headers["access-timestamp"]
    if not stamp.isdecimal():
        raise ApiError(400, "40005", "Invalid ACCESS_TIMESTAMP")
    if abs(int(stamp) - now_ms) > WINDOW_MS:
        raise ApiError(400, "40008", "Request timestamp expired")
    target = f"{asked.path}?{unquote(asked.query)}" if asked.query else asked.path
    said = f"{stamp}{asked.method}{target}{asked.body}"
    expected = base64.b64encode(hmac.new(account.secret.encode(), said.encode(), hashlib.sha256).digest()).decode()
    if not hmac.compare_digest(expected, asked.headers["access-sign"]):
        raise ApiError(400, "40009", "sign signature error")
    if asked.headers["access-passphrase"] != PASSPHRASE:
        raise ApiError(400, "40012", "apikey/password is incorrect")
    return account


def error(refusal: ApiError) -> Reply:
    told = {"code": str(refusal.code), "msg": refusal.message, "requestTime": 0, "data": None}
    return Reply(refusal.status, json.dumps(told))


def refuse(fault: Fault, _now_ms: int) -> ApiError | None:
    match fault.kind:
        case FaultKind.RATE_LIMITED:
            return ApiError(429, "429", "Too Many Requests")
        case FaultKind.OVERLOADED:
            return ApiError(400, "40015", "System is abnormal, please try again later")
        case FaultKind.REGION:
            return ApiError(403, "40024", "Account related IP is banned")
        case FaultKind.BAD_KEY:
            return ApiError(400, "40037", "Apikey does not exist")
        case _:
            return None


def without_positions(name: str, payload: Any) -> Any:
    path = name.partition(" ")[0]
    if path == "/api/v2/mix/position/all-position":
        return good([])
    return good({"list": None}) if path == "/api/v3/position/current-position" else payload


def _signed(render: Any) -> Endpoint:
    return Endpoint(render, signed=True)


BITGET = Dialect(
    endpoints={
        "GET /api/v2/public/time": Endpoint(_time),
        "GET /api/v2/mix/market/contracts": Endpoint(_contracts),
        "GET /api/v2/mix/market/current-fund-rate": Endpoint(_fund_rates),
        "GET /api/v3/market/instruments": Endpoint(_instruments),
        "GET /api/v3/market/tickers": Endpoint(_tickers),
        "GET /api/v3/market/current-fund-rate": Endpoint(_fund_rates),
        "GET /api/v3/market/position-tier": Endpoint(_tiers),
        "GET /api/v2/mix/market/candles": Endpoint(_candles),
        "GET /api/v3/market/candles": Endpoint(_candles),
        "GET /api/v3/market/orderbook": Endpoint(_orderbook),
        "GET /api/v2/mix/position/all-position": _signed(accounts.classic_positions),
        "GET /api/v2/mix/account/accounts": _signed(accounts.classic_accounts),
        "GET /api/v2/mix/position/adlRank": _signed(accounts.classic_ranks),
        "GET /api/v2/mix/order/orders-plan-pending": _signed(_plans),
        "GET /api/v2/mix/order/fill-history": _signed(_fills),
        "GET /api/v2/mix/account/bill": _signed(bills),
        "GET /api/v2/spot/account/info": _signed(_classic_key),
        "GET /api/v3/account/settings": _signed(accounts.settings),
        "GET /api/v3/account/assets": _signed(accounts.unified_assets),
        "GET /api/v3/account/info": _signed(_unified_key),
        "GET /api/v3/account/financial-records": _signed(financial_records),
        "GET /api/v3/position/current-position": _signed(accounts.unified_positions),
        "GET /api/v3/position/adlRank": _signed(accounts.unified_ranks),
        "GET /api/v3/trade/unfilled-strategy-orders": _signed(_strategies),
        "GET /api/v3/trade/history-orders": _signed(_orders),
    },
    key_of=_key_of,
    authorise=authorise,
    error=error,
    refuse=refuse,
    without_positions=without_positions,
    profile=Profile(),
    name_of=_name_of,
)
