"""An OKX trading account as the venue tells it, by its account mode.

The engine's maintenance is all that a position owes before it is liquidated; OKX tells it in two parts, `mmr` and a fee
that stands in its ratio alone. A coin that is no stablecoin counts for less than it is worth as collateral.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from monitor.domain.account import MarginMode
from monitor.paper.book import Account, PoolTruth, PositionTruth
from monitor.paper.contract import Contract
from monitor.paper.dialect import Call, Json
from monitor.paper.engine import Engine
from monitor.paper.formats import milliseconds, quantity
from monitor.paper.unified import STABLECOINS, unified_liquidation_price, worth

LIQUIDATION_FEE = 0.0005
DISCOUNT = 0.975
SPOT, FUTURES, MULTI, PORTFOLIO = "1", "2", "3", "4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What the venue tells of an account beside its books.

    `acct_lv` is its mode. `config`, `of_balance`, `of_details` and `of_positions` override fields of their replies;
    `others` are positions of other kinds, `algos` and `bills` rows, as the venue writes them.
    """

    acct_lv: str = FUTURES
    config: Json = field(default_factory=dict)
    of_balance: Json = field(default_factory=dict)
    of_details: Json = field(default_factory=dict)
    of_positions: Json = field(default_factory=dict)
    others: tuple[Json, ...] = ()
    algos: tuple[Json, ...] = ()
    bills: tuple[Json, ...] = ()


def profile_of(call: Call) -> Profile:
    assert isinstance(call.profile, Profile)
    return call.profile


def figure(value: float) -> str:
    """OKX sends as many digits as it has."""
    return f"{value:.16f}"


def name_of(contract: Contract) -> str:
    return f"{contract.base}-{contract.quote}-SWAP"


def mmr_of(truth: PositionTruth) -> float:
    """Maintenance without the fee of liquidation."""
    return truth.maintenance_margin - LIQUIDATION_FEE * truth.notional


def counted(engine: Engine, pool: PoolTruth) -> float:
    """What of a coin's equity counts, in dollars."""
    return pool.equity * worth(engine)[pool.asset] * (1.0 if pool.asset in STABLECOINS else DISCOUNT)


def cross_pools(engine: Engine, owner: Account) -> list[PoolTruth]:
    return [pool for pool in engine.pools(owner.name) if pool.pool.startswith("cross:")]


def liquidation_price_of(engine: Engine, owner: Account, symbol: str) -> float | None:
    """Of a position margined across under multi-currency margin."""
    rates = worth(engine)
    haircut = sum(p.equity * rates[p.asset] - counted(engine, p) for p in cross_pools(engine, owner))
    return unified_liquidation_price(engine, owner, symbol, haircut)


def _held(call: Call) -> Sequence[PositionTruth]:
    return () if profile_of(call).acct_lv == SPOT else call.engine.positions(call.owner.name)


def _ratio(equity: float, owed: float) -> str:
    return figure(equity / owed) if owed else ""


# --- balance ---


def balance_row(call: Call) -> Json:
    rates, isolated = worth(call.engine), _isolated_equity(call)
    pools = cross_pools(call.engine, call.owner)
    unified = profile_of(call).acct_lv in (MULTI, PORTFOLIO)
    equity = sum(counted(call.engine, pool) for pool in pools)
    owed = sum(pool.maintenance_margin * rates[pool.asset] for pool in pools)
    initial = sum(pool.initial_margin * rates[pool.asset] for pool in pools)
    held = _held(call)
    cross = [truth for truth in held if truth.margin_mode is MarginMode.CROSS]
    told = {
        "adjEq": figure(equity),
        "availEq": figure(max(0.0, equity - initial)),
        "imr": figure(initial),
        "mmr": figure(sum(mmr_of(truth) * rates[_settle(call, truth)] for truth in cross)),
        "mgnRatio": _ratio(equity, owed),
        "notionalUsd": figure(sum(_dollars(call, truth) for truth in held)),
        "notionalUsdForSwap": figure(sum(_dollars(call, truth) for truth in held)),
        "notionalUsdForFutures": "0",
        "notionalUsdForOption": "0",
        "notionalUsdForBorrow": "0",
        "borrowFroz": "0",
        "ordFroz": "0",
        "upl": figure(sum(truth.unrealized_pnl * rates[_settle(call, truth)] for truth in cross)),
    }
    return {
        "uTime": str(call.now_ms),
        "totalEq": figure(sum((p.equity + isolated.get(p.asset, (0, 0))[0]) * rates[p.asset] for p in pools)),
        "isoEq": figure(sum(equity * rates[coin] for coin, (equity, _) in isolated.items())),
        **(told if unified else dict.fromkeys(told, "")),
        "details": [_detail(call, pool, *isolated.get(pool.asset, (0.0, 0.0))) for pool in pools],
        **profile_of(call).of_balance,
    }


def _detail(call: Call, pool: PoolTruth, isolated: float, isolated_profit: float) -> Json:
    """The figures of a currency's own pool are told in futures mode alone."""
    rate = worth(call.engine)[pool.asset]
    futures = profile_of(call).acct_lv == FUTURES
    mine = [t for t in _held(call) if t.margin_mode is MarginMode.CROSS and _settle(call, t) == pool.asset]
    return {
        "ccy": pool.asset,
        "eq": figure(pool.equity + isolated),
        "eqUsd": figure((pool.equity + isolated) * rate),
        "disEq": figure(counted(call.engine, pool)),
        "cashBal": figure(pool.wallet),
        "availBal": figure(max(0.0, pool.equity - pool.initial_margin)),
        "availEq": figure(max(0.0, pool.equity - pool.initial_margin)),
        "frozenBal": figure(isolated + pool.initial_margin),
        "isoEq": figure(isolated),
        "isoUpl": figure(isolated_profit),
        "upl": figure(pool.unrealized_pnl + isolated_profit),
        "imr": figure(pool.initial_margin) if futures else "",
        "mmr": figure(sum(map(mmr_of, mine))) if futures else "",
        "mgnRatio": _ratio(pool.equity, pool.maintenance_margin) if futures else "",
        "ordFrozen": "0",
        "stgyEq": "0",
        "uTime": str(call.now_ms),
        **profile_of(call).of_details,
    }


def _settle(call: Call, truth: PositionTruth) -> str:
    return call.engine.market(truth.symbol).contract.settle


def _isolated_equity(call: Call) -> Mapping[str, tuple[float, float]]:
    """(equity, profit) of isolated positions, by currency."""
    sums: dict[str, tuple[float, float]] = {}
    for truth in _held(call):
        if truth.isolated_wallet is not None:
            equity, profit = sums.get(_settle(call, truth), (0.0, 0.0))
            gain = truth.unrealized_pnl
            sums[_settle(call, truth)] = equity + truth.isolated_wallet + gain, profit + gain
    return sums


def _dollars(call: Call, truth: PositionTruth) -> float:
    contract = call.engine.market(truth.symbol).contract
    if contract.inverse:
        return truth.contracts * contract.contract_size
    return truth.notional * worth(call.engine)[contract.settle]


# --- positions ---


def position_rows(call: Call) -> list[Json]:
    rows = [_position_row(call, truth) | profile_of(call).of_positions for truth in _held(call)]
    return [*rows, *profile_of(call).others]


def _position_row(call: Call, truth: PositionTruth) -> Json:
    contract = call.engine.market(truth.symbol).contract
    cross = truth.margin_mode is MarginMode.CROSS
    of_unit = cross and profile_of(call).acct_lv == PORTFOLIO
    pool = call.engine.pool(call.owner.name, truth.pool)
    price = _price_told(call, truth)
    sign = truth.side.sign if not call.owner.hedge_mode else 1
    mmr = mmr_of(truth)
    return {
        "instId": name_of(contract),
        "instType": "SWAP",
        "posId": f"{name_of(contract)} {truth.side} {truth.margin_mode}",
        "mgnMode": str(truth.margin_mode),
        "posSide": str(truth.side) if call.owner.hedge_mode else "net",
        "pos": quantity(contract, sign * truth.contracts),
        "availPos": "",
        "posCcy": "",
        "ccy": contract.settle,
        "avgPx": figure(truth.entry_price),
        "markPx": figure(truth.mark_price),
        "last": figure(truth.mark_price),
        "idxPx": figure(truth.mark_price),
        "lever": "" if of_unit else f"{truth.leverage:.1f}",
        "liqPx": "" if price is None else figure(price),
        # Of the risk unit: more than the position's own.
        "imr": figure(truth.initial_margin * (3 if of_unit else 1)) if cross else "",
        "mmr": figure(mmr * (3 if of_unit else 1)),
        "margin": "" if truth.isolated_wallet is None else figure(truth.isolated_wallet),
        "mgnRatio": _ratio(pool.equity, pool.maintenance_margin),
        "notionalUsd": figure(_dollars(call, truth)),
        "usdPx": "",
        "upl": figure(truth.unrealized_pnl),
        "uplRatio": figure(truth.unrealized_pnl / truth.initial_margin),
        "adl": str(truth.adl_quantile + 1),
        "closeOrderAlgo": [],
        "cTime": str(milliseconds(truth.updated_at)),
        "uTime": str(milliseconds(truth.updated_at)),
    }


def _price_told(call: Call, truth: PositionTruth) -> float | None:
    """Under portfolio margin none, as of accounts whose positions offset each other."""
    mode = profile_of(call).acct_lv
    if mode == FUTURES or truth.margin_mode is MarginMode.ISOLATED:
        return truth.liquidation_price
    return None if mode == PORTFOLIO else liquidation_price_of(call.engine, call.owner, truth.symbol)
