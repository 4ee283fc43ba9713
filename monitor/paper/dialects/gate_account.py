"""What Gate tells of an account: settings beside its books, accounts by settle currency, positions, unified totals."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from monitor.domain.account import MarginMode, Side
from monitor.paper.book import PoolTruth, PositionTruth
from monitor.paper.contract import Contract
from monitor.paper.dialect import ApiError, Call, Json
from monitor.paper.formats import amount

SETTLES = ("usdt", "btc")
MODES = ("classic", "multi_currency", "portfolio", "single_currency")
PAGE, LONGEST_PAGE = 100, 1000
NO_PRICE = {Side.LONG: "0", Side.SHORT: "99999999"}
RANKS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What the venue tells of an account beside its books.

    `mode` is its margin mode, `worth` what a unit of each coin counts in dollars in unified accounts. `not_open` are
    settle currencies to which nothing was ever transferred. `stops`, `trails`, `liquidates`, `deleverages`, `booked`
    (beside what the engine booked) and `keys` are rows as the venue writes them, by settle currency but for the keys
    (None: the key may not ask); `of_account` and `of_positions` override figures.
    """

    mode: str = "classic"
    worth: Mapping[str, float] = field(default_factory=dict)
    not_open: frozenset[str] = frozenset()
    stops: Mapping[str, Sequence[Json]] = field(default_factory=dict)
    trails: Mapping[str, Sequence[Json]] = field(default_factory=dict)
    liquidates: Mapping[str, Sequence[Json]] = field(default_factory=dict)
    deleverages: Mapping[str, Sequence[Json]] = field(default_factory=dict)
    booked: Mapping[str, Sequence[Json]] = field(default_factory=dict)
    keys: Sequence[Json] | None = None
    ip_whitelist: Sequence[str] = ()
    of_account: Json = field(default_factory=dict)
    of_positions: Json = field(default_factory=dict)


def name_of(contract: Contract) -> str:
    return f"{contract.base}_{contract.quote}"


def settle_of(call: Call) -> str:
    settle = call.params["settle"]
    if settle not in SETTLES:
        raise ApiError(400, "INVALID_PARAM_VALUE", "invalid argument: settle")
    return settle


def profile_of(call: Call) -> Profile:
    assert isinstance(call.profile, Profile)
    return call.profile


def contracts_of(call: Call, settle: str) -> list[Contract]:
    """Linear ones settled in USDT, and the inverse one settled in BTC."""
    return [
        contract
        for contract in call.contracts
        if contract.settle.lower() == settle and contract.inverse is (settle == "btc")
    ]


def page_of(call: Call, rows: Sequence[Any]) -> list[Any]:
    limit, offset = int(call.params.get("limit", PAGE)), int(call.params.get("offset", 0))
    if not 1 <= limit <= LONGEST_PAGE or offset < 0:
        raise ApiError(400, "INVALID_PARAM_VALUE", "invalid argument: limit")
    return list(rows[offset : offset + limit])


def opened(call: Call) -> str:
    settle = settle_of(call)
    if settle in profile_of(call).not_open:
        message = "please transfer funds first to create futures account"
        raise ApiError(400, "USER_NOT_FOUND", message)
    return settle


def _pools(call: Call, settle: str) -> tuple[list[PoolTruth], list[PoolTruth]]:
    """Cross and isolated ones of a settle currency."""
    own = [pool for pool in call.engine.pools(call.owner.name) if pool.asset.lower() == settle]
    cross = [pool for pool in own if pool.pool.startswith("cross:")]
    return cross, [pool for pool in own if pool not in cross]


def accounts(call: Call) -> Json:
    settle, mode = opened(call), profile_of(call).mode
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
        **profile_of(call).of_account,
    }


def _sum(figures: Iterable[float]) -> float:
    return float(sum(figures))


def positions(call: Call) -> list[Json]:
    """Those held, where asked for so; otherwise also what was once held."""
    settle = opened(call)
    contracts = {contract.symbol: contract for contract in contracts_of(call, settle)}
    truths = [truth for truth in call.engine.positions(call.owner.name) if truth.symbol in contracts]
    rows = [_position(call, contracts[truth.symbol], truth) for truth in truths]
    if call.params.get("holding") != "true":
        held = {truth.symbol for truth in truths}
        rows += [_nothing_in(contract) for symbol, contract in contracts.items() if symbol not in held]
    return page_of(call, rows)


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
        **profile_of(call).of_positions,
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


def unified_accounts(call: Call) -> Json:
    """Totals in dollars but in single_currency mode, where USDT alone stands behind the positions settled in it."""
    mode, worth = profile_of(call).mode, profile_of(call).worth
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
