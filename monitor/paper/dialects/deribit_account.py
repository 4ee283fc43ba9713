"""A Deribit account as the venue tells it, by its margin model.

The engine's maintenance is that of standard margin; under portfolio margin a pool owes a share of it, as one whose
positions offset each other. Isolated positions lie in subaccounts of their own, shown to whoever asks for them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from monitor.domain.account import MarginMode
from monitor.paper.book import PoolTruth, PositionTruth
from monitor.paper.contract import Contract
from monitor.paper.dialect import ApiError, Call, Json
from monitor.paper.unified import worth

SEGREGATED_SM, SEGREGATED_PM, CROSS_SM, CROSS_PM = "segregated_sm", "segregated_pm", "cross_sm", "cross_pm"
PORTFOLIO_SHARE = 0.6
# How the venue takes the wish to see isolated positions.
SHOWN, IGNORED, REFUSED = "shown", "ignored", "refused"
FIRST_SLOT = 1001
# Positions gain from the last daily settlement on, and this far from the mark that was.
SETTLED_AT = 1.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What the venue tells of an account beside its books.

    `of_summaries` and `of_positions` override fields of their rows; `others` are positions of other kinds, `orders`,
    `trades`, `log` (beside what was booked) and `keys` rows, as the venue writes them.
    """

    model: str = SEGREGATED_SM
    isolated: str = IGNORED
    of_summaries: Json = field(default_factory=dict)
    of_positions: Json = field(default_factory=dict)
    others: tuple[Json, ...] = ()
    orders: tuple[Json, ...] = ()
    trades: tuple[Json, ...] = ()
    log: tuple[Json, ...] = ()
    keys: tuple[Json, ...] | None = None


def profile_of(call: Call) -> Profile:
    assert isinstance(call.profile, Profile)
    return call.profile


def name_of(contract: Contract) -> str:
    return f"{contract.base}-PERPETUAL" if contract.inverse else f"{contract.base}_{contract.settle}-PERPETUAL"


def owed(maintenance: float, model: str) -> float:
    """Of a pool under that margin model."""
    return maintenance * (PORTFOLIO_SHARE if model in (SEGREGATED_PM, CROSS_PM) else 1.0)


def _shows_isolated(call: Call) -> bool:
    if "include_isolated" not in call.params:
        return False
    how = profile_of(call).isolated
    if how == REFUSED:
        raise ApiError(400, -32602, "Invalid params")
    return how == SHOWN and call.params["include_isolated"] == "true"


def _contract(call: Call, truth: PositionTruth) -> Contract:
    return call.engine.market(truth.symbol).contract


# --- summaries ---


def summaries(call: Call) -> Json:
    told: Json = {
        "id": 1000,
        "type": "main",
        "username": call.owner.name,
        "summaries": [row | profile_of(call).of_summaries for row in _coins(call)],
    }
    if _shows_isolated(call):
        told["isolated_account_summaries"] = [
            {"id": slot, "summaries": [_coin(call.engine.pool(call.owner.name, truth.pool), SEGREGATED_SM, {})]}
            for truth, slot in _held(call)
            if slot is not None
        ]
    return told


def _coins(call: Call) -> Iterator[Json]:
    model = profile_of(call).model
    pools = [pool for pool in call.engine.pools(call.owner.name) if pool.pool.startswith("cross:")]
    for pool in pools:
        deltas = _deltas(call, pool.asset)
        yield _unified(call, pools, pool.asset, deltas) if model in (CROSS_SM, CROSS_PM) else _coin(pool, model, deltas)
    # No collateral, in any account.
    figures = ("wallet", "unrealized_pnl", "equity", "initial_margin", "maintenance_margin")
    nothing = PoolTruth(account=call.owner.name, pool="cross:BNB", asset="BNB", **dict.fromkeys(figures, 0.0))
    yield _coin(nothing, model.replace("cross", "segregated"), {})


def _deltas(call: Call, asset: str) -> Json:
    """What of the positions margined across moves with each index, in units of its base."""
    sums: Json = {}
    for truth, slot in _held(call):
        contract = _contract(call, truth)
        if slot is None and contract.settle == asset:
            index = f"{contract.base}_{contract.quote}".lower()
            sums[index] = sums.get(index, 0.0) + truth.side.sign * _base_units(contract, truth)
    return sums


def _coin(pool: PoolTruth, model: str, deltas: Json) -> Json:
    maintenance = owed(pool.maintenance_margin, model)
    return {
        **_common(pool.asset, model, deltas),
        "balance": pool.wallet,
        "equity": pool.equity,
        "margin_balance": pool.equity,
        "maintenance_margin": maintenance,
        "projected_maintenance_margin": maintenance,
        "initial_margin": pool.initial_margin,
        "projected_initial_margin": pool.initial_margin,
        "available_funds": pool.equity - pool.initial_margin,
    }


def _unified(call: Call, pools: Sequence[PoolTruth], asset: str, deltas: Json) -> Json:
    """Each currency tells the whole pool, converted."""
    rates, model = worth(call.engine), profile_of(call).model
    equity = sum(pool.equity * rates[pool.asset] for pool in pools)
    maintenance = owed(sum(pool.maintenance_margin * rates[pool.asset] for pool in pools), model)
    initial = sum(pool.initial_margin * rates[pool.asset] for pool in pools)
    own = next(pool for pool in pools if pool.asset == asset)
    return {
        **_common(asset, model, deltas),
        "balance": own.wallet,
        "equity": own.equity,
        "margin_balance": equity / rates[asset],
        "maintenance_margin": maintenance / rates[asset],
        "projected_maintenance_margin": maintenance / rates[asset],
        "initial_margin": initial / rates[asset],
        "projected_initial_margin": initial / rates[asset],
        "available_funds": (equity - initial) / rates[asset],
        "total_equity_usd": equity,
        "total_margin_balance_usd": equity,
        "total_maintenance_margin_usd": maintenance,
        "total_initial_margin_usd": initial,
        "total_delta_total_usd": 0.0,
    }


def _common(asset: str, model: str, deltas: Json) -> Json:
    return {
        "currency": asset,
        "margin_model": model,
        "portfolio_margining_enabled": model in (SEGREGATED_PM, CROSS_PM),
        "cross_collateral_enabled": model in (CROSS_SM, CROSS_PM),
        "delta_total": sum(deltas.values()),
        "delta_total_map": deltas,
        "fee_balance": 0.0,
        "spot_reserve": 0.0,
        "additional_reserve": 0.0,
        "locked_balance": 0.0,
        "limits": {"limits_per_currency": False, "non_matching_engine": {"rate": 20, "burst": 100}},
    }


# --- positions ---


def _held(call: Call) -> list[tuple[PositionTruth, int | None]]:
    """Each with the subaccount it lies in, where it is isolated."""
    slots = iter(range(FIRST_SLOT, FIRST_SLOT + 1000))
    return [
        (truth, next(slots) if truth.margin_mode is MarginMode.ISOLATED else None)
        for truth in call.engine.positions(call.owner.name)
    ]


def _base_units(contract: Contract, truth: PositionTruth) -> float:
    return truth.notional if contract.inverse else truth.contracts * contract.contract_size


def position_rows(call: Call) -> list[Json]:
    shows_isolated = _shows_isolated(call)
    told = [
        _position_row(call, truth, slot) | profile_of(call).of_positions
        for truth, slot in _held(call)
        if slot is None or shows_isolated
    ]
    return [*told, *profile_of(call).others]


def _position_row(call: Call, truth: PositionTruth, slot: int | None) -> Json:
    contract, sign = _contract(call, truth), truth.side.sign
    quote = truth.contracts * contract.contract_size if contract.inverse else truth.notional
    settled_at = truth.mark_price * SETTLED_AT
    row: Json = {
        "instrument_name": name_of(contract),
        "kind": "future",
        "direction": "buy" if sign > 0 else "sell",
        "size": sign * quote,
        "size_currency": sign * _base_units(contract, truth),
        "delta": sign * _base_units(contract, truth),
        "average_price": truth.entry_price,
        "mark_price": truth.mark_price,
        "index_price": truth.mark_price,
        "settlement_price": settled_at,
        "initial_margin": truth.initial_margin,
        "maintenance_margin": truth.maintenance_margin,
        "open_orders_margin": 0.0,
        "leverage": round(truth.leverage),
        "floating_profit_loss": contract.gain(sign * truth.contracts, settled_at, truth.mark_price),
        "realized_profit_loss": 0.0,
        "realized_funding": 0.0,
        "total_profit_loss": truth.unrealized_pnl,
        "interest_value": 0.0,
        "estimated_liquidation_price": _price_told(call, truth, slot),
    }
    return row if slot is None else {**row, "isolated": True, "user_id": slot, "main_uid": 1000}


def _price_told(call: Call, truth: PositionTruth, slot: int | None) -> float | None:
    if slot is None and profile_of(call).model != SEGREGATED_SM:
        return None
    return truth.liquidation_price or 0.0
