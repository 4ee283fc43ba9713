"""Gate: contracts settled in USDT and BTC, in classic and unified accounts."""

from dataclasses import replace

from monitor.domain.account import FailureKind
from monitor.paper.book import Account
from monitor.paper.dialects.gate import GATE
from monitor.paper.engine import Engine
from monitor.paper.faults import FaultKind
from tests.venues.books import MARKS
from tests.venues.kit import AccountCase, PoolTruth, VenueCase, all_together, isolated_alone, per_currency

SETTLED_IN = ("USDT", "BTC")
# What a unit of each coin counts in dollars in a unified account; what else lies there is no collateral.
WORTH = {"USDT": 1.0, "BTC": MARKS["BTC"]}
SIZES = {("BTC", "USDT"): 0.0001, ("ETH", "USDT"): 0.01, ("*", "USDT"): 1.0, ("BTC", "BTC"): 1.0}
USDT_POSITIONS = "/api/v4/futures/usdt/positions"


def shown(symbol: str) -> bool:
    """Gate has no contracts settled in USDC, and of the inverse ones BTC's alone."""
    return symbol.endswith("USDT") or symbol == "BTCUSD_PERP"


def _classic(engine: Engine, owner: Account) -> tuple[PoolTruth, ...]:
    return per_currency(engine, owner, SETTLED_IN)


def _with_ratio(pool: PoolTruth) -> PoolTruth:
    return replace(pool, venue_margin_ratio=pool.maintenance_margin / pool.equity)


def _dollars(engine: Engine, owner: Account) -> tuple[PoolTruth, ...]:
    return (_with_ratio(all_together(engine, owner, WORTH)), *isolated_alone(engine, owner))


def _tethers(engine: Engine, owner: Account) -> tuple[PoolTruth, ...]:
    together = all_together(engine, owner, {"USDT": 1.0}, "cross:USDT", "USDT")
    return (_with_ratio(together), *isolated_alone(engine, owner))


def classic(account: str) -> AccountCase:
    return AccountCase(account=account, name=f"classic-{account}", pools=_classic, shows=shown)


def unified(account: str, mode: str) -> AccountCase:
    return AccountCase(
        account=account,
        name=f"{mode}-{account}",
        profile={"mode": mode, "worth": WORTH},
        pools=_tethers if mode == "single_currency" else _dollars,
        shows=shown,
    )


GATE_CASE = VenueCase(
    venue="gate",
    dialect=GATE,
    sizes=SIZES,
    accounts=(
        classic("mixed"),
        classic("hedged"),
        classic("coin"),
        unified("mixed", "multi_currency"),
        unified("hedged", "single_currency"),
    ),
    reads=(USDT_POSITIONS, "/api/v4/futures/usdt/accounts", "/api/v4/futures/btc/accounts"),
    kinds={(USDT_POSITIONS, FaultKind.EMPTY_LIST): FailureKind.IMPLAUSIBLE},
    crowd=classic("many"),
)
