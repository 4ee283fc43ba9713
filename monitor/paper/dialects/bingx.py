"""BingX's perpetual futures margined in stablecoins (swap v1 to v3), and the question of what a key may do."""

import hashlib
import hmac
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from monitor.domain.account import MarginMode, Side
from monitor.domain.ledger import EntryKind
from monitor.domain.study import Frame
from monitor.paper.book import Account, PositionTruth
from monitor.paper.bookings import Booking, bookings_asked_for
from monitor.paper.contract import Contract
from monitor.paper.dialect import ApiError, Asked, Call, Dialect, Endpoint, Json, header
from monitor.paper.engine import Engine
from monitor.paper.faults import Fault, FaultKind, Reply, page
from monitor.paper.formats import amount, milliseconds, quantity
from monitor.paper.tape import SIDES

SWAP = "/openApi/swap"
WINDOW_MS = 5000
TAKER_FEE = 0.0005
SMALLEST = 0.0001
STABLES = ("USDT", "USDC")
LONGEST_INCOME = 1000
FORBIDDEN = 403
BAD_KEY = ApiError(200, 100413, "Incorrect apiKey")
NO_PERMISSION = ApiError(200, 100004, "Permission denied as the API key was created without the permission")


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What BingX tells of an account beside its books. `reads_only` keys are refused what those that trade are told."""

    asset_mode: str = "singleAssetMode"
    position_mode: str | None = None
    reads_only: bool = False
    frozen: float = 0.0
    untold_prices: bool = False
    orders: tuple[Json, ...] = ()
    ends: tuple[Json, ...] = ()
    incomes: tuple[Json, ...] = ()
    key: Json | None = None


def symbol_of(contract: Contract) -> str:
    return f"{contract.base}-{contract.quote}"


def _linear(call: Call) -> Iterable[Contract]:
    return (contract for contract in call.contracts if not contract.inverse)


def _good(data: Any) -> Json:
    return {"code": 0, "msg": "", "data": data}


def _server_time(call: Call) -> Json:
    return _good({"serverTime": call.now_ms})


def _contracts(call: Call) -> Json:
    return _good(
        [
            {
                "contractId": "100",
                "symbol": symbol_of(contract),
                "size": str(SMALLEST),
                "quantityPrecision": 4,
                "pricePrecision": 1,
                "feeRate": TAKER_FEE,
                "makerFeeRate": 0.0002,
                "takerFeeRate": TAKER_FEE,
                "tradeMinQuantity": SMALLEST,
                "tradeMinUSDT": 2,
                "currency": contract.settle,
                "asset": contract.base,
                "status": 1,
                "apiStateOpen": "true",
                "apiStateClose": "true",
            }
            for contract in _linear(call)
        ]
    )


def _premium_index(call: Call) -> Json:
    return _good([_mark_row(call, contract) for contract in _linear(call)])


def _mark_row(call: Call, contract: Contract) -> Json:
    market = call.engine.market(contract.symbol)
    mark = amount(call.engine.mark(contract.symbol) or 0.0)
    return {
        "symbol": symbol_of(contract),
        "markPrice": mark,
        "indexPrice": mark,
        "lastFundingRate": amount(market.funding_rate),
        "nextFundingTime": milliseconds(market.next_funding_at),
        "fundingIntervalHours": int(market.funding_interval.total_seconds() // 3600),
        "updateTime": call.now_ms,
    }


def _asked_for(call: Call) -> Contract:
    contract = next((c for c in _linear(call) if symbol_of(c) == call.params["symbol"]), None)
    if contract is None:
        raise ApiError(200, 109425, f"{call.params['symbol']} not exist, please verify it")
    return contract


def _klines(call: Call) -> Json:
    """The newest first."""
    bars = call.engine.bars(
        _asked_for(call).symbol, Frame(call.params["interval"]), int(call.params["limit"]), call.now_ms
    )
    return _good(
        [
            {
                "open": amount(bar.open),
                "close": amount(bar.close),
                "high": amount(bar.high),
                "low": amount(bar.low),
                "volume": "110.05",
                "time": bar.at_ms,
            }
            for bar in reversed(bars)
        ]
    )


def _depth(call: Call) -> Json:
    """Asks the dearest first; what is said to be in coin is that times the smallest order."""
    contract, limit = _asked_for(call), int(call.params["limit"])
    bids, asks = (call.engine.resting(contract.symbol, side, limit) for side in SIDES)
    told: Json = {"T": call.now_ms}
    for side, levels in (("bids", bids), ("asks", asks[::-1])):
        told[side] = [[amount(price), f"{size:.4f}"] for price, size in levels]
        told[f"{side}Coin"] = [[amount(price), f"{size * SMALLEST:.4f}"] for price, size in levels]
    return _good(told)


def _maint_margin_ratio(call: Call) -> Json:
    contract = _asked_for(call)
    return _good(
        [
            {
                "tier": f"Tier {number}",
                "symbol": symbol_of(contract),
                "minPositionVal": amount(bracket.floor),
                "maxPositionVal": amount(bracket.cap),
                "maintMarginRatio": amount(bracket.rate - TAKER_FEE),
                "maintAmount": amount(bracket.amount),
            }
            for number, bracket in enumerate(contract.brackets, start=1)
        ]
    )


def initial_of(truth: PositionTruth, contract: Contract) -> float:
    """By the value at entry."""
    return contract.notional(truth.contracts, truth.entry_price) / truth.leverage


def _margin_of(truth: PositionTruth, contract: Contract) -> float:
    """`margin`: with the profit, and with what an isolated position was given."""
    held = initial_of(truth, contract) if truth.isolated_wallet is None else truth.isolated_wallet
    return held + truth.unrealized_pnl


def _positions_of(call: Call) -> list[tuple[PositionTruth, Contract]]:
    truths = call.engine.positions(call.owner.name)
    pairs = [(truth, call.engine.market(truth.symbol).contract) for truth in truths]
    return [(truth, contract) for truth, contract in pairs if not contract.inverse]


def _positions(call: Call) -> Json:
    return _good([_position_row(call, truth, contract) for truth, contract in _positions_of(call)])


def _position_row(call: Call, truth: PositionTruth, contract: Contract) -> Json:
    pool = call.engine.pool(call.owner.name, truth.pool)
    return {
        "positionId": str(1792480725958881280 + sorted(call.owner.legs).index((truth.symbol, truth.side))),
        "symbol": symbol_of(contract),
        "currency": contract.settle,
        "positionAmt": quantity(contract, truth.contracts),
        "availableAmt": quantity(contract, truth.contracts),
        "positionSide": "LONG" if truth.side is Side.LONG else "SHORT",
        "isolated": truth.margin_mode is MarginMode.ISOLATED,
        "avgPrice": amount(truth.entry_price),
        "initialMargin": amount(initial_of(truth, contract)),
        "margin": amount(_margin_of(truth, contract)),
        "leverage": int(truth.leverage),
        "unrealizedProfit": amount(truth.unrealized_pnl),
        "realisedProfit": amount(0.0),
        "liquidationPrice": 0 if call.profile.untold_prices else (truth.liquidation_price or 0),
        "pnlRatio": amount(truth.unrealized_pnl / initial_of(truth, contract)),
        "maxMarginReduction": "0.0000",
        "riskRate": f"{pool.maintenance_margin / pool.equity:.12f}",
        "markPrice": amount(truth.mark_price),
        "positionValue": amount(truth.notional),
        "onlyOnePosition": not call.owner.hedge_mode,
        "createTime": milliseconds(truth.updated_at),
        "updateTime": milliseconds(truth.updated_at),
    }


def _balance(call: Call) -> Json:
    return _good([_balance_row(call, asset) for asset in STABLES])


def _balance_row(call: Call, asset: str) -> Json:
    pairs = [(truth, contract) for truth, contract in _positions_of(call) if contract.settle == asset]
    cross = call.engine.pool(call.owner.name, f"cross:{asset}")
    apart = sum(truth.isolated_wallet + truth.unrealized_pnl for truth, _ in pairs if truth.isolated_wallet is not None)
    profit = sum(truth.unrealized_pnl for truth, _ in pairs)
    equity = cross.equity + apart + call.profile.frozen
    return {
        "userId": "116***295",
        "asset": asset,
        "balance": amount(equity - profit),
        "equity": amount(equity),
        "unrealizedProfit": amount(profit),
        "realisedProfit": amount(0.0),
        "availableMargin": amount(max(0.0, cross.equity - cross.initial_margin)),
        "usedMargin": amount(sum(initial_of(truth, contract) for truth, contract in pairs)),
        "freezedMargin": amount(call.profile.frozen),
        "shortUid": "12851936",
    }


def _to_traders(call: Call, data: Any) -> Json:
    if call.profile.reads_only:
        raise NO_PERMISSION
    return _good(data)


def _position_mode(call: Call) -> Json:
    told = call.profile.position_mode or ("true" if call.owner.hedge_mode else "false")
    return _to_traders(call, {"dualSidePosition": told})


def _asset_mode(call: Call) -> Json:
    return _to_traders(call, {"assetMode": call.profile.asset_mode})


def _open_orders(call: Call) -> Json:
    return _to_traders(call, {"orders": list(call.profile.orders)})


def _force_orders(call: Call) -> Json:
    asked = call.params["autoCloseType"]
    told = [row for row in call.profile.ends if row["autoCloseType"] == asked]
    return _to_traders(call, {"orders": told[: int(call.params["limit"])]})


WORDS = {
    EntryKind.FUNDING: "FUNDING_FEE",
    EntryKind.TRANSFER: "TRANSFER",
    EntryKind.REALISED: "REALIZED_PNL",
    EntryKind.FEE: "TRADING_FEE",
}


def _income(call: Call) -> Json:
    """The newest of a stretch of time; null where there are none."""
    booked = [_income_row(call, booking) for booking in bookings_asked_for(call) if booking.asset in STABLES]
    start, end = int(call.params["startTime"]), int(call.params["endTime"])
    rows = [row for row in (*booked, *call.profile.incomes) if start <= row["time"] <= end]
    limit = int(call.params.get("limit", 100))
    if not 1 <= limit <= LONGEST_INCOME:
        raise ApiError(200, 109400, "limit: This field must be less than or equal to 1000.")
    return _good(sorted(rows, key=lambda row: -row["time"])[:limit] or None)


def _income_row(call: Call, booking: Booking) -> Json:
    is_trade = booking.kind in (EntryKind.REALISED, EntryKind.FEE)
    return {
        "symbol": symbol_of(call.engine.market(booking.symbol).contract) if booking.symbol else "",
        "incomeType": WORDS[booking.kind],
        "income": amount(booking.amount),
        "asset": booking.asset,
        "info": WORDS[booking.kind],
        "time": milliseconds(booking.time),
        "tranId": str(booking.number),
        "tradeId": str(booking.number) if is_trade else "",
    }


def _permissions(call: Call) -> Json:
    if call.profile.key is not None:
        return dict(call.profile.key)
    return {"apiKey": call.owner.api_key, "permissions": [2], "ipAddresses": ["192.0.2.1"], "note": "watch"}


_key_of = header("x-bx-apikey")


def _authorise(engine: Engine, asked: Asked, now_ms: int) -> Account:
    account = engine.account_of_key(_key_of(asked))
    if account is None:
        raise BAD_KEY
    sent = asked.params.get("timestamp", "")
    if not sent.isdecimal() or abs(now_ms - int(sent)) > WINDOW_MS:
        raise ApiError(200, 100421, "Null timestamp or timestamp mismatch")
    signed = unquote(asked.query.rpartition("&signature=")[0])
    expected = hmac.new(account.secret.encode(), signed.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, asked.params.get("signature", "")):
        raise ApiError(200, 100001, "signature verification failed")
    return account


def _error(refusal: ApiError) -> Reply:
    """Refusals come with HTTP 200; what stops a request before BingX answers with a page."""
    if refusal.status == FORBIDDEN:
        return page(FORBIDDEN)
    return Reply(refusal.status, json.dumps({"code": refusal.code, "msg": refusal.message, "data": {}}))


def _refuse(fault: Fault, now_ms: int) -> ApiError | None:
    match fault.kind:
        case FaultKind.RATE_LIMITED:
            until = now_ms + 1000 * (fault.retry_after_s or 60)
            return ApiError(200, 100410, f"code:100410:The endpoint will be unblocked after {until}")
        case FaultKind.OVERLOADED:
            return ApiError(200, 109500, "The current system is busy, please try again later")
        case FaultKind.REGION:
            return ApiError(FORBIDDEN, FORBIDDEN, "Forbidden")
        case FaultKind.BANNED:
            return ApiError(418, 418, "IP has been auto-banned")
        case FaultKind.BAD_KEY:
            return BAD_KEY
        case _:
            return None


def _without_positions(name: str, payload: Any) -> Any:
    return {**payload, "data": []} if name.endswith("user/positions") else payload


BINGX = Dialect(
    endpoints={
        f"GET {SWAP}/v2/server/time": Endpoint(_server_time),
        f"GET {SWAP}/v2/quote/contracts": Endpoint(_contracts),
        f"GET {SWAP}/v2/quote/premiumIndex": Endpoint(_premium_index),
        f"GET {SWAP}/v3/quote/klines": Endpoint(_klines),
        f"GET {SWAP}/v2/quote/depth": Endpoint(_depth),
        f"GET {SWAP}/v1/maintMarginRatio": Endpoint(_maint_margin_ratio, signed=True),
        f"GET {SWAP}/v1/positionSide/dual": Endpoint(_position_mode, signed=True),
        f"GET {SWAP}/v1/trade/assetMode": Endpoint(_asset_mode, signed=True),
        f"GET {SWAP}/v3/user/balance": Endpoint(_balance, signed=True),
        f"GET {SWAP}/v2/user/positions": Endpoint(_positions, signed=True),
        f"GET {SWAP}/v2/user/income": Endpoint(_income, signed=True),
        f"GET {SWAP}/v2/trade/openOrders": Endpoint(_open_orders, signed=True),
        f"GET {SWAP}/v2/trade/forceOrders": Endpoint(_force_orders, signed=True),
        "GET /openApi/v1/account/apiPermissions": Endpoint(_permissions, signed=True),
    },
    key_of=_key_of,
    authorise=_authorise,
    error=_error,
    refuse=_refuse,
    without_positions=_without_positions,
    profile=Profile(),
    volatile=frozenset({"timestamp", "signature", "recvWindow"}),
)
