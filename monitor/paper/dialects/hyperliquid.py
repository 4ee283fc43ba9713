"""Hyperliquid: one path, `POST /info`, answers all questions; accounts are asked for by address, without a key.

Contracts settled in USDC are the main dex's, those in USDT the `cash` dex's; one whose symbol has a prefix ("xyz:TSLA")
is that dex's. Inverse contracts are not told. Standard accounts keep their money on the dex, pooled ones in spot.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from monitor.domain.account import MarginMode
from monitor.paper.book import Account, PositionTruth
from monitor.paper.contract import Contract
from monitor.paper.dialect import ApiError, Asked, Call, Dialect, Endpoint, Json
from monitor.paper.dialects.hyperliquid_bookings import questions
from monitor.paper.dialects.hyperliquid_market import CASH, MAIN, PUBLIC, TOKENS, UNREADABLE, coin_of, decimal, dex_of
from monitor.paper.engine import Engine
from monitor.paper.faults import Fault, FaultKind, Reply, page

LEAST_OWED = 20.0
FORBIDDEN = 403
# Whoever asks for public figures.
NOBODY = Account("", "", "", hedge_mode=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What Hyperliquid tells of an account beside its books; `orders`, `fills` and `updates` as it writes them.

    `age_s` is how old the states told are, `spot` what a standard account holds in spot of each token.
    """

    abstraction: str = "disabled"
    role: str = "user"
    borrowed: float = 0.0
    spot: float = 25.0
    age_s: float = 0.0
    orders: tuple[Json, ...] = ()
    fills: tuple[Json, ...] = ()
    updates: tuple[Json, ...] = ()

    @property
    def pooled(self) -> bool:
        return self.abstraction in ("unifiedAccount", "portfolioMargin")


def address_of(account: Account) -> str:
    return "0x" + hashlib.sha256(account.api_key.encode()).hexdigest()[:40]


# --- accounts ---


def _truths(call: Call) -> list[tuple[PositionTruth, Contract]]:
    """Of an address that nobody has there is nothing, as the venue tells it."""
    if all(account is not call.owner for account in call.engine.accounts):
        return []
    pairs = [(t, call.engine.market(t.symbol).contract) for t in call.engine.positions(call.owner.name)]
    return [(truth, contract) for truth, contract in pairs if not contract.inverse]


def _apart(truth: PositionTruth) -> float:
    """The margin of an isolated position with its gain; 0 of any other."""
    return 0.0 if truth.isolated_wallet is None else truth.isolated_wallet + truth.unrealized_pnl


def _is_cross(truth: PositionTruth) -> bool:
    return truth.isolated_wallet is None


def _state(call: Call, dex: str) -> Any:
    pairs = [(truth, contract) for truth, contract in _truths(call) if dex_of(contract) == dex]
    truths = [truth for truth, _ in pairs]
    cross = [truth for truth in truths if _is_cross(truth)]
    bound = sum(truth.initial_margin for truth in cross)
    equity = bound if call.profile.pooled else _cross_equity(call, dex)
    apart = sum(_apart(truth) for truth in truths)
    return {
        "marginSummary": _summary(equity + apart, truths, bound + apart),
        "crossMarginSummary": _summary(equity, cross, bound),
        "crossMaintenanceMarginUsed": decimal(sum(truth.maintenance_margin for truth in cross)),
        "withdrawable": decimal(max(0.0, equity - bound)),
        "assetPositions": [_position(truth, contract) for truth, contract in pairs],
        "time": call.now_ms - round(1000 * call.profile.age_s),
    }


def _cross_equity(call: Call, dex: str) -> float:
    settle = {MAIN: "USDC", CASH: "USDT"}.get(dex)
    return call.engine.pool(call.owner.name, f"cross:{settle}").equity if settle in call.owner.wallets else 0.0


def _summary(value: float, truths: list[PositionTruth], used: float) -> Json:
    signed = sum(truth.side.sign * truth.notional for truth in truths)
    return {
        "accountValue": decimal(value),
        "totalNtlPos": decimal(sum(truth.notional for truth in truths)),
        "totalRawUsd": decimal(value - signed),
        "totalMarginUsed": decimal(used),
    }


def _position(truth: PositionTruth, contract: Contract) -> Json:
    leverage: Json = {"type": str(truth.margin_mode), "value": int(truth.leverage)}
    if truth.margin_mode is MarginMode.ISOLATED:
        leverage["rawUsd"] = decimal(_apart(truth) - truth.side.sign * truth.notional)
    used = truth.initial_margin if _is_cross(truth) else _apart(truth)
    price = truth.liquidation_price
    return {
        "type": "oneWay",
        "position": {
            "coin": coin_of(contract),
            "szi": decimal(truth.side.sign * truth.contracts),
            "leverage": leverage,
            "entryPx": decimal(truth.entry_price),
            "positionValue": decimal(truth.notional),
            "unrealizedPnl": decimal(truth.unrealized_pnl),
            "returnOnEquity": decimal(truth.unrealized_pnl / truth.initial_margin),
            "liquidationPx": None if price is None else decimal(price),
            "marginUsed": decimal(used),
            "maxLeverage": int(contract.brackets[0].max_leverage),
            "cumFunding": {"allTime": "0.0", "sinceOpen": "0.0", "sinceChange": "0.0"},
        },
    }


def _spot_state(call: Call, _dex: str) -> Any:
    balances = [_balance(call, token) for token in TOKENS]
    told: Json = {"balances": balances}
    if call.profile.pooled:
        told["tokenToAvailableAfterMaintenance"] = [
            [TOKENS[token], decimal(_total(call, token) - _owed(call, token))] for token in TOKENS
        ]
    if call.profile.abstraction == "portfolioMargin":
        owed = LEAST_OWED + call.profile.borrowed + sum(_maintenance(call, token) for token in TOKENS)
        told["portfolioMarginEnabled"] = True
        told["portfolioMarginRatio"] = decimal(owed / sum(_total(call, token) for token in TOKENS))
    return told


def _balance(call: Call, token: str) -> Json:
    held = [truth for truth, contract in _truths(call) if contract.settle == token]
    hold = sum(truth.initial_margin if _is_cross(truth) else _apart(truth) for truth in held)
    row = {
        "coin": token,
        "token": TOKENS[token],
        "total": decimal(_total(call, token)),
        "hold": decimal(hold if call.profile.pooled else 0.0),
        "entryNtl": "0.0",
    }
    borrowed = call.profile.borrowed if TOKENS[token] == 0 else 0.0
    return row | ({"borrowed": decimal(borrowed)} if borrowed else {})


def _total(call: Call, token: str) -> float:
    """A pooled account's balance has the gains of its positions in it."""
    if not call.profile.pooled or token not in call.owner.wallets:
        return call.profile.spot if token in call.owner.wallets else 0.0
    apart = sum(_apart(truth) for truth, contract in _truths(call) if contract.settle == token)
    return call.engine.pool(call.owner.name, f"cross:{token}").equity + apart


def _maintenance(call: Call, token: str) -> float:
    return sum(t.maintenance_margin for t, contract in _truths(call) if contract.settle == token and _is_cross(t))


def _owed(call: Call, token: str) -> float:
    apart = sum(_apart(truth) for truth, contract in _truths(call) if contract.settle == token)
    return apart + _maintenance(call, token)


def _role(call: Call, _dex: str) -> Any:
    if all(account is not call.owner for account in call.engine.accounts):
        return {"role": "missing"}
    extra = {"data": {"user": "0x" + "1" * 40}} if call.profile.role == "agent" else {}
    return {"role": call.profile.role, **extra}


def _abstraction(call: Call, _dex: str) -> Any:
    return call.profile.abstraction


def _orders(call: Call, dex: str) -> Any:
    return [row for row in call.profile.orders if row["coin"].rpartition(":")[0] == dex]


# --- the venue ---

OF_USERS = {
    "clearinghouseState": _state,
    "spotClearinghouseState": _spot_state,
    "userRole": _role,
    "userAbstraction": _abstraction,
    "frontendOpenOrders": _orders,
    **questions(coin_of, address_of),
}


def _question(body: str) -> Json:
    try:
        question = json.loads(body)
    except ValueError:
        raise UNREADABLE from None
    if not isinstance(question, dict):
        raise UNREADABLE
    return question


def _answer(call: Call) -> Any:
    question = _question(call.body)
    answer = {**PUBLIC, **OF_USERS}.get(question.get("type", ""))
    if answer is None:
        raise UNREADABLE
    return answer(call, question.get("dex", MAIN))


def _name_of(asked: Asked) -> str:
    """By what is asked, and of which dex."""
    try:
        question = _question(asked.body)
    except ApiError:
        return asked.path
    return " ".join(str(question[part]) for part in ("type", "dex") if question.get(part))


def _key_of(asked: Asked) -> str:
    try:
        return str(_question(asked.body).get("user", ""))
    except ApiError:
        return ""


def _authorise(engine: Engine, asked: Asked, _now_ms: int) -> Account:
    """Whose address it is; anybody may ask, and of an address that nobody has as well."""
    user = _key_of(asked)
    if _question(asked.body).get("type") in OF_USERS and not user.startswith("0x"):
        raise UNREADABLE
    return next((account for account in engine.accounts if address_of(account) == user.lower()), NOBODY)


def _error(refusal: ApiError) -> Reply:
    if refusal.status == FORBIDDEN:
        return page(FORBIDDEN)
    return Reply(refusal.status, refusal.message, "text/plain")


def _refuse(fault: Fault, _now_ms: int) -> ApiError | None:
    match fault.kind:
        case FaultKind.RATE_LIMITED:
            return ApiError(429, "", "null")
        case FaultKind.OVERLOADED:
            return ApiError(502, "", "null")
        case FaultKind.REGION:
            return ApiError(FORBIDDEN, "", "Forbidden")
        case FaultKind.BANNED:
            return ApiError(418, "", "null")
        case FaultKind.BAD_KEY:
            return UNREADABLE
        case _:
            return None


def _without_positions(name: str, payload: Any) -> Any:
    return {**payload, "assetPositions": []} if name.startswith("clearinghouseState") else payload


HYPERLIQUID = Dialect(
    endpoints={"POST /info": Endpoint(_answer, signed=True)},
    key_of=_key_of,
    authorise=_authorise,
    error=_error,
    refuse=_refuse,
    without_positions=_without_positions,
    profile=Profile(),
    name_of=_name_of,
)
