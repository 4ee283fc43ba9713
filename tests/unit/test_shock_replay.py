"""The real crash of 10 October 2025 over a long book of alts: when a common shock was told of, beside all else."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from benchmarks.crash_day import DAY_END, DAY_START, prices
from benchmarks.oracle_cases import ACCOUNT, real_brackets
from monitor.domain.account import AccountSnapshot, MarginBalance, MarginMode, Side
from monitor.domain.market import Markets, MarketState, Observed, Tier
from monitor.domain.reading import Severity, Verdict
from monitor.paper.book import EventKind
from monitor.paper.contract import Contract
from monitor.paper.engine import Engine
from monitor.risk.liquidation import liquidation_prices, solved_price
from monitor.risk.margin import maintenance
from monitor.risk.reprice import reprice
from monitor.rules.base import Context
from monitor.rules.book import evaluate_rules
from tests.builders import SHARED, a_position, a_rule, needs_shared

ALTS = ("AVAX", "DOT", "BCH")
EQUITY = 10_000.0
STEP_S = 20
RULES = {
    "common_shock": a_rule("common_shock", warning="15%", critical="8%"),
    "liquidation_distance": a_rule("liquidation_distance", warning="12%", critical="6%"),
    "margin_ratio": a_rule("margin_ratio", warning="20%", critical="40%"),
    "leverage": a_rule("leverage", warning="5x", critical="7x"),
}


@dataclass
class Told:
    """When each rule was first past each threshold, and when the exchange liquidated first."""

    at: dict[tuple[str, Severity], datetime] = field(default_factory=dict)
    first_value: float | None = None
    liquidated_at: datetime | None = None

    def when(self, rule: str, severity: Severity) -> datetime | None:
        return self.at.get((rule, severity))


def a_book(leverage: float, start: Mapping[str, float]) -> tuple[Engine, AccountSnapshot, Markets]:
    """The same notional in each alt, long, across one pool; leverage is that of the whole book."""
    brackets = {coin: real_brackets()[f"{coin}/USDT:USDT"] for coin in ALTS}
    engine, each = Engine(DAY_START), EQUITY * leverage / len(ALTS)
    engine.add_account(ACCOUNT, api_key="key", secret="secret")
    engine.deposit(ACCOUNT, "USDT", EQUITY)
    positions, markets = [], dict[str, MarketState]()
    for coin in ALTS:
        symbol = f"{coin}/USDT:USDT"
        contract = Contract(
            symbol=symbol, base=coin, quote="USDT", settle="USDT", brackets=brackets[coin], fee_rate=0.0
        )
        engine.add_contract(contract)
        engine.open(ACCOUNT, symbol, Side.LONG, each / start[coin], start[coin], 20)
        tiers = tuple(Tier(b.floor, b.cap, b.rate, b.amount) for b in brackets[coin])
        position = a_position(
            symbol=symbol,
            contracts=each / start[coin],
            mark_price=start[coin],
            maintenance_margin=maintenance(tiers, each),
            margin_mode=MarginMode.CROSS,
        )
        positions.append(position)
        markets[symbol] = MarketState(instrument=position.instrument, tiers=Observed(tiers, DAY_START))
    owed = sum(position.maintenance_margin or 0.0 for position in positions)
    balance = MarginBalance(pool="cross:USDT", currency="USDT", equity=EQUITY, maintenance_margin=owed)
    snapshot = AccountSnapshot(
        account=ACCOUNT,
        venue="binanceusdm",
        observed_at=DAY_START,
        margins=(balance,),
        positions=tuple(positions),
    )
    return engine, snapshot, markets


def with_prices(snapshot: AccountSnapshot, markets: Markets) -> AccountSnapshot:
    """As a venue tells it: each position with its own liquidation price."""
    solved = [
        (position, *solved_price(liquidation_prices(snapshot, position, markets), position.mark_price))
        for position in snapshot.positions
    ]
    positions = tuple(
        replace(position, liquidation_price=price, liquidation_price_origin=origin)
        for position, price, origin in solved
    )
    return replace(snapshot, positions=positions)


def replayed(leverage: float) -> Told:
    paths = {coin: prices(SHARED / "market" / "2025-10-10", coin, DAY_START, DAY_END) for coin in ALTS}
    engine, opened, markets = a_book(leverage, {coin: path[0] for coin, path in paths.items()})
    told = Told()
    for second in range(0, len(paths[ALTS[0]]), STEP_S):
        now = DAY_START + timedelta(seconds=second)
        marks = {f"{coin}/USDT:USDT": path[second] for coin, path in paths.items()}
        engine.set_marks(marks, now)
        if any(event.kind in (EventKind.PARTIAL, EventKind.FULL) for event in engine.events):
            told.liquidated_at = now
            break
        snapshot = with_prices(reprice(opened, marks, markets), markets)
        for reading in evaluate_rules(RULES, Context(snapshot=snapshot, markets=markets, now=now)):
            if reading.key.rule == "common_shock" and told.first_value is None:
                told.first_value = reading.value
            for level in reading.levels:
                if level.verdict is Verdict.BREACH:
                    told.at.setdefault((reading.key.rule, level.severity), now)
    return told


@needs_shared
@pytest.mark.parametrize(("leverage", "value"), [(2.0, 0.198), (3.0, 0.131)])
def test_a_long_book_of_alts_is_warned_of_long_before_any_liquidation_price_is_near(
    leverage: float, value: float
) -> None:
    told = replayed(leverage)
    assert told.first_value == pytest.approx(value, abs=0.002)
    assert told.liquidated_at is not None
    shock, distance = (told.when(rule, Severity.WARNING) for rule in ("common_shock", "liquidation_distance"))
    assert shock is not None
    assert distance is None or distance - shock >= timedelta(minutes=2)
    critical = told.when("common_shock", Severity.CRITICAL)
    assert critical is not None
    assert told.liquidated_at - critical >= timedelta(minutes=1)
