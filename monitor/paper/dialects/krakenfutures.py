"""Kraken Futures' API v3: a multi-collateral wallet in US dollars, and a wallet of its coin behind each pair's inverse
contracts."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from monitor.domain.account import MarginMode
from monitor.domain.ledger import EntryKind
from monitor.domain.study import Frame
from monitor.paper.book import Account, PositionTruth
from monitor.paper.bookings import Booking, bookings_asked_for
from monitor.paper.contract import Contract
from monitor.paper.dialect import ApiError, Asked, Call, Dialect, Endpoint, Json, header, in_words
from monitor.paper.engine import Engine
from monitor.paper.faults import FaultKind, Reply, page
from monitor.paper.tape import SIDES

API = "/derivatives/api/v3"
ACCOUNTS, POSITIONS, TICKERS = f"{API}/accounts", f"{API}/openpositions", f"{API}/tickers"
CHARTS = "/api/charts/v1/trade"
CHECK = "/api/auth/v1/api-keys/v3/check"
FORBIDDEN = 403
# Kraken's names where they are not the usual ones.
COINS = {"BTC": "XBT"}
# Thresholds below maintenance that single-collateral wallets tell as well.
LIQUIDATION, TERMINATION = 0.75, 0.5
PAGE, LONGEST_LOG = 100, 100_000
DENIED = ApiError(200, "authenticationError", "")
KEY_DENIED = ApiError(401, "AUTHENTICATION_ERROR", "API key is not found or request signature is invalid")


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What Kraken tells of an account beside its books. `flex` and `single` change what wallets tell of themselves,
    `unlisted` are raw symbols that openpositions leaves out. `log` are entries beside those of what was booked."""

    flex: Mapping[str, Any] | None = None
    unlisted: tuple[str, ...] = ()
    orders: tuple[Json, ...] = ()
    fills: tuple[Json, ...] = ()
    log: tuple[Json, ...] = ()
    general: str = "READ_ONLY"
    transfer: str = "NO_ACCESS"
    addresses: tuple[str, ...] | None = None


def symbol_of(contract: Contract) -> str:
    return f"P{'I' if contract.inverse else 'F'}_{COINS.get(contract.base, contract.base)}USD"


def iso(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _good(time: datetime, **told: Any) -> Json:
    return {"result": "success", **told, "serverTime": iso(time)}


def _now(call: Call) -> datetime:
    return datetime.fromtimestamp(call.now_ms / 1000, UTC)


def _mark(call: Call, contract: Contract) -> float:
    mark = call.engine.mark(contract.symbol)
    assert mark is not None, "contracts without a mark are not told"
    return mark


# --- public ---


def _instrument_row(call: Call, contract: Contract) -> Json:
    mark, key = _mark(call, contract), "contracts" if contract.inverse else "numNonContractUnits"
    levels = [
        {
            key: bracket.floor * mark / contract.contract_size if contract.inverse else bracket.floor,
            "initialMargin": 1 / bracket.max_leverage,
            "maintenanceMargin": bracket.rate,
        }
        for bracket in contract.brackets
    ]
    return {
        "symbol": symbol_of(contract),
        "type": "futures_inverse" if contract.inverse else "flexible_futures",
        "base": contract.base,
        "quote": "USD",
        "pair": f"{contract.base}:USD",
        "tickSize": contract.tick,
        "contractSize": contract.contract_size,
        "contractValueTradePrecision": 0 if contract.inverse else 4,
        "tradeable": True,
        "impactMidSize": 1,
        "maxPositionSize": 75_000_000,
        "openingDate": "2022-01-01T00:00:00.000Z",
        "fundingRateCoefficient": 8,
        "maxRelativeFundingRate": 0.001,
        "marginLevels": levels,
        "isExpired": False,
    }


def _instruments(call: Call) -> Json:
    """The levels that all may see are those of professionals, twice what this account is asked for."""
    contracts = [_instrument_row(call, contract) for contract in call.contracts]
    for row in contracts:
        row["marginLevels"] = [
            {**level, "maintenanceMargin": level["maintenanceMargin"] / 2} for level in row["marginLevels"]
        ]
    index = {"symbol": "in_xbtusd", "type": "spot index", "tradeable": False}
    return _good(_now(call), instruments=[*contracts, index])


def _trading_instruments(call: Call) -> Json:
    return _good(_now(call), instruments=[_instrument_row(call, contract) for contract in call.contracts])


def _ticker_row(call: Call, contract: Contract) -> Json:
    mark, rate = _mark(call, contract), call.engine.market(contract.symbol).funding_rate
    absolute = rate / mark if contract.inverse else rate * mark
    return {
        "symbol": symbol_of(contract),
        "tag": "perpetual",
        "pair": f"{contract.base}:USD",
        "last": mark,
        "lastTime": iso(call.engine.now),
        "markPrice": mark,
        "indexPrice": mark,
        "bid": mark,
        "ask": mark,
        "openInterest": 1000.5,
        "fundingRate": absolute,
        "fundingRatePrediction": absolute,
        "suspended": False,
        "postOnly": False,
    }


def _tickers(call: Call) -> Json:
    """Of the engine's time, as its marks and payments of funding are."""
    rows = [_ticker_row(call, contract) for contract in call.contracts]
    index = {"symbol": "in_xbtusd", "last": 40_411.5, "lastTime": iso(call.engine.now)}
    return _good(call.engine.now, tickers=[*rows, index])


def _asked_for(call: Call) -> Contract:
    found = [contract for contract in call.contracts if symbol_of(contract) == call.params["symbol"]]
    if not found:
        raise ApiError(200, "invalidArgument: symbol", "")
    return found[0]


def _candles(call: Call) -> Json:
    """Asked for in seconds, told in milliseconds."""
    bars = call.bars_since(_asked_for(call), Frame(call.params["interval"]), 1000 * int(call.params["from"]))
    rows = [
        {
            "time": bar.at_ms,
            "open": f"{bar.open:.11f}",
            "high": f"{bar.high:.11f}",
            "low": f"{bar.low:.11f}",
            "close": f"{bar.close:.11f}",
            "volume": "31.0000000",
        }
        for bar in bars
    ]
    return {"candles": rows, "more_candles": False}


def _orderbook(call: Call) -> Json:
    contract = _asked_for(call)
    sides = {side: [list(level) for level in call.engine.resting(contract.symbol, side, 10_000)] for side in SIDES}
    return _good(_now(call), orderBook=sides)


# --- the account ---


def _truths(call: Call) -> Sequence[tuple[PositionTruth, Contract]]:
    return [
        (truth, call.engine.market(truth.symbol).contract)
        for truth in call.engine.positions(call.owner.name, with_liquidation_prices=False)
    ]


def _accounts(call: Call) -> Json:
    wallets = {"cash": {"balances": {"usd": "0.0", "xbt": "0.0"}, "type": "cashAccount"}, "flex": _flex(call)}
    coins = {contract.settle for contract in call.contracts if contract.inverse}
    for coin in coins & call.owner.wallets.keys():
        wallets[f"fi_{COINS.get(coin, coin)}usd".lower()] = _single(call, coin)
    return _good(_now(call), accounts=wallets)


def _flex(call: Call) -> Json:
    """Totals over positions margined across and isolated ones."""
    isolated = [truth for truth, _ in _truths(call) if truth.margin_mode is MarginMode.ISOLATED]
    cross = call.engine.pool(call.owner.name, "cross:USD")
    given = sum(truth.isolated_wallet or 0.0 for truth in isolated)
    profit = cross.unrealized_pnl + sum(truth.unrealized_pnl for truth in isolated)
    initial, balance = cross.initial_margin + given, cross.wallet + given
    told = {
        "currencies": {"USD": {"quantity": balance, "value": balance, "collateral": balance, "available": balance}},
        "initialMargin": initial,
        "initialMarginWithOrders": initial,
        "maintenanceMargin": cross.maintenance_margin + sum(truth.maintenance_margin for truth in isolated),
        "balanceValue": balance,
        "portfolioValue": balance + profit,
        "collateralValue": balance,
        "pnl": profit,
        "unrealizedFunding": 0.0,
        "totalUnrealized": profit,
        "totalUnrealizedAsMargin": profit,
        "availableMargin": balance + profit - initial,
        "marginEquity": balance + profit,
        "type": "multiCollateralMarginAccount",
    }
    return {**told, **(call.profile.flex or {})}


def _single(call: Call, coin: str) -> Json:
    pool = call.engine.pool(call.owner.name, f"cross:{coin}")
    held = {
        symbol_of(contract): truth.side.sign * truth.contracts
        for truth, contract in _truths(call)
        if contract.settle == coin
    }
    owed = pool.maintenance_margin
    return {
        "auxiliary": {
            "usd": 0,
            "pv": pool.equity,
            "pnl": pool.unrealized_pnl,
            "af": pool.equity - pool.initial_margin,
            "funding": 0.0,
        },
        "marginRequirements": {
            "im": pool.initial_margin,
            "mm": owed,
            "lt": owed * LIQUIDATION,
            "tt": owed * TERMINATION,
        },
        "triggerEstimates": {"im": 0, "mm": 0, "lt": 0, "tt": 0},
        "balances": {COINS.get(coin, coin).lower(): pool.wallet, **held},
        "currency": COINS.get(coin, coin).lower(),
        "type": "marginAccount",
    }


def _open_positions(call: Call) -> Json:
    rows = [_position_row(truth, contract) for truth, contract in _truths(call)]
    return _good(_now(call), openPositions=[row for row in rows if row["symbol"] not in call.profile.unlisted])


def _position_row(truth: PositionTruth, contract: Contract) -> Json:
    row = {
        "side": str(truth.side),
        "symbol": symbol_of(contract),
        "price": truth.entry_price,
        "fillTime": iso(truth.updated_at),
        "size": truth.contracts,
        "unrealizedFunding": 0.0,
        "unrealizedPnl": truth.unrealized_pnl,
    }
    if not contract.inverse:
        row["pnlCurrency"] = "USD"
    if truth.margin_mode is MarginMode.ISOLATED:
        row["maxFixedLeverage"] = truth.leverage
    return row


def _open_orders(call: Call) -> Json:
    return _good(_now(call), openOrders=list(call.profile.orders))


def _fills(call: Call) -> Json:
    before = call.params.get("lastFillTime")
    fills = [fill for fill in call.profile.fills if before is None or fill["fillTime"] < before]
    return _good(_now(call), fills=fills[:PAGE])


WORDS = {EntryKind.FUNDING: "funding rate change", EntryKind.TRANSFER: "cross-exchange transfer"}
COLUMNS = {EntryKind.FUNDING: "realized_funding", EntryKind.REALISED: "realized_pnl", EntryKind.FEE: "fee"}


def _account_log(call: Call) -> Json:
    """The newest first; a trade is told as the change of a balance, and as that of a position."""
    start, end = (datetime.fromtimestamp(int(call.params[name]) / 1000, UTC) for name in ("since", "before"))
    rows = [row for b in bookings_asked_for(call) for row in _log_rows(call, b)] + list(call.profile.log)
    found = [row for row in rows if start <= datetime.fromisoformat(row["date"]) <= end]
    found = [row for row in found if row["id"] <= int(call.params.get("to", row["id"]))]
    logs = sorted(found, key=lambda row: -row["id"])[: min(int(call.params.get("count", 500)), LONGEST_LOG)]
    return {"accountUid": "f92fc7de-2fce-4265-b806-4f3c1efb37ee", "logs": logs}


def _log_rows(call: Call, booking: Booking) -> Iterator[Json]:
    contract = symbol_of(call.engine.market(booking.symbol).contract).lower() if booking.symbol else None
    row = {
        "id": 2 * booking.number,
        "date": iso(booking.time),
        "asset": COINS.get(booking.asset, booking.asset).lower(),
        "contract": contract,
        "info": WORDS.get(booking.kind, "futures trade"),
        "booking_uid": f"10ca244e-1b73-4467-8c3c-{booking.number:012}",
        "margin_account": "flex",
        "old_balance": 1.0,
        "new_balance": 1.0 + booking.amount,
        **dict.fromkeys(COLUMNS.values()),
    }
    if (column := COLUMNS.get(booking.kind)) is not None:
        row[column] = -booking.amount if booking.kind is EntryKind.FEE else booking.amount
    yield row
    if row["info"] == "futures trade":
        yield {**row, "id": 2 * booking.number + 1, "asset": contract, "old_balance": 0.0, "new_balance": 2.0}


def _check(call: Call) -> Json:
    return {
        "apiKey": call.owner.api_key,
        "accountUid": "f92fc7de-2fce-4265-b806-4f3c1efb37ee",
        "iiban": "AA08 N84G CPAR UN7A",
        "createdAt": "2026-01-01T00:00:00Z",
        "permissions": {"general": call.profile.general, "transfer": call.profile.transfer},
        "allowedCidrBlock": None,
        "allowedCidrBlocks": call.profile.addresses,
    }


# --- who asks ---


def _authorise(engine: Engine, asked: Asked, _now_ms: int) -> Account:
    """Signed are the query and the path without /derivatives, by the secret that base64 hides."""
    refusal = KEY_DENIED if asked.path == CHECK else DENIED
    account = engine.account_of_key(_key_of(asked))
    if account is None:
        raise refusal
    signed = hashlib.sha256((asked.query + asked.path.removeprefix("/derivatives")).encode()).digest()
    expected = base64.b64encode(hmac.new(account.secret.encode(), signed, hashlib.sha512).digest()).decode()
    if not hmac.compare_digest(expected, asked.headers.get("authent", "")):
        raise refusal
    return account


def secret_of(account: Account) -> str:
    """As its owner got it."""
    return base64.b64encode(account.secret.encode()).decode()


_key_of = header("apikey")


def _error(refusal: ApiError) -> Reply:
    """Most refusals come with HTTP 200; what stops a request before Kraken answers with a page."""
    if refusal.status == FORBIDDEN:
        return page(FORBIDDEN)
    if refusal is KEY_DENIED:
        return Reply(refusal.status, json.dumps({"error": refusal.code, "message": refusal.message, "suberror": None}))
    return Reply(refusal.status, json.dumps({"result": "error", "error": refusal.code}))


REFUSALS: Mapping[FaultKind, ApiError] = {
    FaultKind.RATE_LIMITED: ApiError(200, "apiLimitExceeded", ""),
    FaultKind.OVERLOADED: ApiError(200, "Unavailable", ""),
    FaultKind.REGION: ApiError(FORBIDDEN, FORBIDDEN, "Forbidden"),
    FaultKind.BANNED: ApiError(FORBIDDEN, FORBIDDEN, "Forbidden"),
    FaultKind.BAD_KEY: DENIED,
}


def _without_positions(name: str, payload: Any) -> Any:
    return {**payload, "openPositions": []} if name == POSITIONS else payload


KRAKENFUTURES = Dialect(
    endpoints={
        f"GET {API}/instruments": Endpoint(_instruments),
        f"GET {TICKERS}": Endpoint(_tickers),
        f"GET {API}/orderbook": Endpoint(_orderbook),
        f"GET {CHARTS}/{{symbol}}/{{interval}}": Endpoint(_candles),
        f"GET {API}/trading/instruments": Endpoint(_trading_instruments, signed=True),
        f"GET {ACCOUNTS}": Endpoint(_accounts, signed=True),
        f"GET {POSITIONS}": Endpoint(_open_positions, signed=True),
        f"GET {API}/openorders": Endpoint(_open_orders, signed=True),
        f"GET {API}/fills": Endpoint(_fills, signed=True),
        "GET /api/history/v3/account-log": Endpoint(_account_log, signed=True),
        f"GET {CHECK}": Endpoint(_check, signed=True),
    },
    key_of=_key_of,
    authorise=_authorise,
    error=_error,
    refuse=in_words(REFUSALS),
    without_positions=_without_positions,
    profile=Profile(),
    name_of=lambda asked: CHARTS if asked.path.startswith(CHARTS) else asked.path,
)
