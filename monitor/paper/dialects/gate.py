"""Gate's APIv4: perpetuals settled in USDT and BTC, classic and unified. Figures are text, times seconds."""

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from monitor.domain.account import MarginMode, Side
from monitor.paper.book import Account, PoolTruth, PositionTruth
from monitor.paper.contract import Contract
from monitor.paper.dialect import ApiError, Asked, Call, Dialect, Endpoint, Json
from monitor.paper.engine import Engine
from monitor.paper.faults import Fault, FaultKind, Reply
from monitor.paper.formats import amount

PREFIX = "/api/v4"
SETTLES = ("usdt", "btc")
MODES = ("classic", "multi_currency", "portfolio", "single_currency")
PAGE, LONGEST_PAGE = 100, 1000
WINDOW_S = 60
NO_PRICE = {Side.LONG: "0", Side.SHORT: "99999999"}
RANKS = 5
SHOWN_OF_A_KEY = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What the venue tells of an account beside its books.

    `mode` is its margin mode, `worth` what a unit of each coin counts in dollars in unified accounts. `not_open` are
    settle currencies to which nothing was ever transferred. `stops`, `trails`, `liquidates`, `deleverages` and `keys`
    are rows as the venue writes them, by settle currency but for the keys (None: the key may not ask); `of_account` and
    `of_positions` override figures.
    """

    mode: str = "classic"
    worth: Mapping[str, float] = field(default_factory=dict)
    not_open: frozenset[str] = frozenset()
    stops: Mapping[str, Sequence[Json]] = field(default_factory=dict)
    trails: Mapping[str, Sequence[Json]] = field(default_factory=dict)
    liquidates: Mapping[str, Sequence[Json]] = field(default_factory=dict)
    deleverages: Mapping[str, Sequence[Json]] = field(default_factory=dict)
    keys: Sequence[Json] | None = None
    ip_whitelist: Sequence[str] = ()
    of_account: Json = field(default_factory=dict)
    of_positions: Json = field(default_factory=dict)


def name_of(contract: Contract) -> str:
    return f"{contract.base}_{contract.quote}"


def _settle(call: Call) -> str:
    settle = call.params["settle"]
    if settle not in SETTLES:
        raise ApiError(400, "INVALID_PARAM_VALUE", "invalid argument: settle")
    return settle


def _profile(call: Call) -> Profile:
    assert isinstance(call.profile, Profile)
    return call.profile


def _contracts_of(call: Call, settle: str) -> list[Contract]:
    """Linear ones settled in USDT, and the inverse one settled in BTC."""
    return [
        contract
        for contract in call.contracts
        if contract.settle.lower() == settle and contract.inverse is (settle == "btc")
    ]


def _page(call: Call, rows: Sequence[Any]) -> list[Any]:
    limit, offset = int(call.params.get("limit", PAGE)), int(call.params.get("offset", 0))
    if not 1 <= limit <= LONGEST_PAGE or offset < 0:
        raise ApiError(400, "INVALID_PARAM_VALUE", "invalid argument: limit")
    return list(rows[offset : offset + limit])


# --- public ---


def _server_time(call: Call) -> Json:
    return {"server_time": call.now_ms}


def _contracts(call: Call) -> list[Json]:
    return [_contract(call, contract) for contract in _contracts_of(call, _settle(call))]


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
        for contract in _page(call, _contracts_of(call, _settle(call)))
        for number, bracket in enumerate(contract.brackets, start=1)
    ]


# --- signed ---


def _opened(call: Call) -> str:
    settle = _settle(call)
    if settle in _profile(call).not_open:
        message = "please transfer funds first to create futures account"
        raise ApiError(400, "USER_NOT_FOUND", message)
    return settle


def _pools(call: Call, settle: str) -> tuple[list[PoolTruth], list[PoolTruth]]:
    """Cross and isolated ones of a settle currency."""
    own = [pool for pool in call.engine.pools(call.owner.name) if pool.asset.lower() == settle]
    cross = [pool for pool in own if pool.pool.startswith("cross:")]
    return cross, [pool for pool in own if pool not in cross]


def _accounts(call: Call) -> Json:
    settle, mode = _opened(call), _profile(call).mode
    cross, isolated = _pools(call, settle)
    both = cross + isolated
    equity, initial = _sum(p.equity for p in cross), _sum(p.initial_margin for p in cross)
    owed, in_classic = _sum(p.maintenance_margin for p in cross), float(mode == "classic")
    return {
        "user": 1666,
        "currency": settle.upper(),
        "total": amount(_sum(p.wallet for p in both)),
        "unrealised_pnl": amount(_sum(p.unrealized_pnl for p in both)),
        "position_margin": amount(_sum(p.initial_margin for p in both)),
        "order_margin": "0",
        "available": amount(max(0.0, equity - initial)),
        "point": "0",
        "bonus": "0",
        "in_dual_mode": call.owner.hedge_mode,
        "position_mode": "dual" if call.owner.hedge_mode else "single",
        "enable_credit": mode != "classic",
        "margin_mode": MODES.index(mode),
        "margin_mode_name": mode,
        "position_initial_margin": amount(_sum(p.initial_margin for p in both)),
        "maintenance_margin": amount(_sum(p.maintenance_margin for p in both)),
        "enable_evolved_classic": True,
        "cross_order_margin": "0",
        "cross_initial_margin": amount(initial * in_classic),
        "cross_maintenance_margin": amount(owed * in_classic),
        "cross_unrealised_pnl": amount(_sum(p.unrealized_pnl for p in cross) * in_classic),
        "cross_available": amount(max(0.0, equity - initial) * in_classic),
        "cross_margin_balance": amount(equity * in_classic),
        "isolated_position_margin": amount(_sum(p.wallet for p in isolated)),
        "enable_tiered_mm": True,
        "history": {"dnw": "0", "pnl": "0", "fee": "0", "refr": "0", "fund": "0"},
        **_profile(call).of_account,
    }


def _sum(figures: Iterable[float]) -> float:
    return float(sum(figures))


def _positions(call: Call) -> list[Json]:
    """Those held, where asked for so; otherwise also what was once held."""
    settle = _opened(call)
    contracts = {contract.symbol: contract for contract in _contracts_of(call, settle)}
    truths = [truth for truth in call.engine.positions(call.owner.name) if truth.symbol in contracts]
    rows = [_position(call, contracts[truth.symbol], truth) for truth in truths]
    if call.params.get("holding") != "true":
        held = {truth.symbol for truth in truths}
        rows += [_nothing_in(contract) for symbol, contract in contracts.items() if symbol not in held]
    return _page(call, rows)


def _position(call: Call, contract: Contract, truth: PositionTruth) -> Json:
    isolated, price = truth.margin_mode is MarginMode.ISOLATED, truth.liquidation_price
    margin = truth.initial_margin if truth.isolated_wallet is None else truth.isolated_wallet
    return {
        "user": 1666,
        "contract": name_of(contract),
        "size": f"{truth.side.sign * truth.contracts:.10g}",
        "leverage": f"{truth.leverage:g}" if isolated else "0",
        "cross_leverage_limit": "0" if isolated else f"{truth.leverage:g}",
        "lever": f"{truth.leverage:g}",
        "pos_margin_mode": str(truth.margin_mode),
        "risk_limit": "1000000",
        "leverage_max": f"{contract.bracket(truth.notional).max_leverage:g}",
        "maintenance_rate": str(contract.bracket(truth.notional).rate),
        "average_maintenance_rate": f"{truth.maintenance_margin / truth.notional:.10f}",
        "value": f"{truth.notional:.12f}",
        "margin": f"{margin:.12f}",
        "initial_margin": f"{truth.initial_margin:.12f}",
        "maintenance_margin": f"{truth.maintenance_margin:.12f}",
        "entry_price": f"{truth.entry_price:.10f}",
        "mark_price": f"{truth.mark_price:.10f}",
        "liq_price": NO_PRICE[truth.side] if price is None else f"{price:.10f}",
        "unrealised_pnl": f"{truth.unrealized_pnl:.12f}",
        "realised_pnl": "0",
        "history_pnl": "0",
        "last_close_pnl": "0",
        "adl_ranking": RANKS - truth.adl_quantile,
        "pending_orders": 0,
        "close_order": None,
        "mode": f"dual_{truth.side}" if call.owner.hedge_mode else "single",
        "update_time": round(truth.updated_at.timestamp()),
        "update_id": 1,
        **_profile(call).of_positions,
    }


def _nothing_in(contract: Contract) -> Json:
    """The row of a contract in which nothing is held any more."""
    figures = ("value", "margin", "initial_margin", "maintenance_margin", "entry_price", "liq_price", "unrealised_pnl")
    return {
        "user": 1666,
        "contract": name_of(contract),
        "size": "0",
        "leverage": "0",
        "cross_leverage_limit": "10",
        "adl_ranking": RANKS + 1,
        "mode": "single",
        "mark_price": "0",
        **dict.fromkeys(figures, "0"),
    }


def _unified_accounts(call: Call) -> Json:
    """Totals in dollars but in single_currency mode, where USDT alone stands behind the positions settled in it."""
    mode, worth = _profile(call).mode, _profile(call).worth
    cross = [p for p in call.engine.pools(call.owner.name) if p.pool.startswith("cross:") and p.asset in worth]
    together = mode in ("multi_currency", "portfolio")
    counted = cross if together else []
    return {
        "mode": mode,
        "user_id": 1666,
        "refresh_time": call.now_ms // 1000,
        "locked": False,
        "balances": {pool.asset: _balance(pool, single=mode == "single_currency") for pool in cross},
        **_totals(counted, worth),
    }


def _totals(pools: Sequence[PoolTruth], worth: Mapping[str, float]) -> Json:
    equity = _sum(p.equity * worth[p.asset] for p in pools)
    initial = _sum(p.initial_margin * worth[p.asset] for p in pools)
    owed = _sum(p.maintenance_margin * worth[p.asset] for p in pools)
    return {
        "total_margin_balance": amount(equity),
        "total_initial_margin": amount(initial),
        "total_maintenance_margin": amount(owed),
        "total_available_margin": amount(max(0.0, equity - initial)),
        "total_initial_margin_rate": _rate(equity, initial),
        "total_maintenance_margin_rate": _rate(equity, owed),
        "unified_account_total_equity": amount(equity),
        "borrowed": "0",
    }


def _balance(pool: PoolTruth, *, single: bool) -> Json:
    told = single and pool.asset == "USDT"
    return {
        "available": amount(pool.wallet),
        "freeze": "0",
        "borrowed": "0",
        "equity": amount(pool.equity),
        "cross_balance": amount(pool.wallet),
        "margin_balance": amount(pool.equity) if told else "0",
        "im": amount(pool.initial_margin) if told else "0",
        "mm": amount(pool.maintenance_margin) if told else "0",
        "imr": _rate(pool.equity, pool.initial_margin) if told else "0",
        "mmr": _rate(pool.equity, pool.maintenance_margin) if told else "0",
        "available_margin": amount(max(0.0, pool.equity - pool.initial_margin)) if told else "0",
    }


def _rate(equity: float, margin: float) -> str:
    return f"{equity / margin:.12f}" if margin else "0"


def _price_orders(call: Call) -> list[Json]:
    if call.params.get("status") != "open":
        raise ApiError(400, "INVALID_PARAM_VALUE", "invalid argument: status")
    return _page(call, _profile(call).stops.get(_opened(call), ()))


def _trail_list(call: Call) -> Json:
    rows, size = _profile(call).trails.get(_opened(call), ()), int(call.params.get("page_size", PAGE))
    first = (int(call.params["page_num"]) - 1) * size
    data = {"orders": list(rows[first : first + size]), "total": len(rows)}
    return {"code": 0, "message": "success", "data": data, "timestamp": call.now_ms}


def _since(call: Call, rows: Sequence[Json]) -> list[Json]:
    return _page(call, [row for row in rows if row["time"] >= int(call.params.get("from", 0))])


def _liquidates(call: Call) -> list[Json]:
    return _since(call, _profile(call).liquidates.get(_opened(call), ()))


def _auto_deleverages(call: Call) -> list[Json]:
    return _since(call, _profile(call).deleverages.get(_opened(call), ()))


def _detail(call: Call) -> Json:
    return {
        "user_id": 1666,
        "ip_whitelist": list(_profile(call).ip_whitelist),
        "currency_pairs": [],
        "key": {"mode": 1},
        "tier": 0,
        "copy_trading_role": 0,
    }


def _main_keys(call: Call) -> list[Json]:
    keys = _profile(call).keys
    if keys is None:
        raise ApiError(403, "FORBIDDEN", "Request forbidden")
    own = {"state": 1, "mode": 1, "name": "own", "key": f"{call.owner.api_key[:SHOWN_OF_A_KEY]}*****"}
    return [{**own, **row} for row in keys]


# --- what it says of itself ---


def _key_of(asked: Asked) -> str:
    return asked.headers.get("key", "")


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


def refuse(fault: Fault, _now_ms: int) -> ApiError | None:
    """Of a restricted country and of a ban Gate's documents tell no label: the status decides."""
    match fault.kind:
        case FaultKind.RATE_LIMITED:
            return ApiError(429, "TOO_MANY_REQUESTS", "Request Rate limit Exceeded")
        case FaultKind.BANNED:
            return ApiError(418, "TOO_MANY_REQUESTS", "Request Rate limit Exceeded")
        case FaultKind.OVERLOADED:
            return ApiError(500, "TOO_BUSY", "System is too busy")
        case FaultKind.REGION:
            return ApiError(451, "RESTRICTED", "Service is not available in your country")
        case FaultKind.BAD_KEY:
            return ApiError(401, "INVALID_KEY", "Invalid key provided")
        case _:
            return None


def without_positions(name: str, payload: Any) -> Any:
    return [] if name.endswith("/positions") else payload


GATE = Dialect(
    endpoints={
        f"GET {PREFIX}/spot/time": Endpoint(_server_time),
        f"GET {PREFIX}/futures/{{settle}}/contracts": Endpoint(_contracts),
        f"GET {PREFIX}/futures/{{settle}}/risk_limit_tiers": Endpoint(_risk_limit_tiers),
        f"GET {PREFIX}/futures/{{settle}}/accounts": Endpoint(_accounts, signed=True),
        f"GET {PREFIX}/futures/{{settle}}/positions": Endpoint(_positions, signed=True),
        f"GET {PREFIX}/futures/{{settle}}/price_orders": Endpoint(_price_orders, signed=True),
        f"GET {PREFIX}/futures/{{settle}}/autoorder/v1/trail/list": Endpoint(_trail_list, signed=True),
        f"GET {PREFIX}/futures/{{settle}}/liquidates": Endpoint(_liquidates, signed=True),
        f"GET {PREFIX}/futures/{{settle}}/auto_deleverages": Endpoint(_auto_deleverages, signed=True),
        f"GET {PREFIX}/unified/accounts": Endpoint(_unified_accounts, signed=True),
        f"GET {PREFIX}/account/detail": Endpoint(_detail, signed=True),
        f"GET {PREFIX}/account/main_keys": Endpoint(_main_keys, signed=True),
    },
    key_of=_key_of,
    authorise=authorise,
    error=error,
    refuse=refuse,
    without_positions=without_positions,
    profile=Profile(),
)
