"""The leverage rule: its sums in dollars, what it cannot value, and that its remedy is enough and no more."""

from typing import Any

import pytest

from monitor.domain.account import AccountSnapshot, MarginBalance, MarginMode, Side
from monitor.domain.market import Markets, MarketState, Observed
from monitor.domain.reading import Reading, Scope, Severity, Verdict
from monitor.rules.base import Context
from monitor.rules.book import evaluate_rules
from tests.builders import NOON, a_position, a_rule, a_snapshot, an_instrument

INVERSE = "BTC/USD:BTC"


def judge(snapshot: AccountSnapshot, markets: Markets | None = None, **keys: Any) -> tuple[Reading, ...]:
    rule = a_rule("leverage", **{"warning": "5x", "critical": "7x", **keys})
    return evaluate_rules({"leverage": rule}, Context(snapshot=snapshot, markets=markets or {}, now=NOON))


@pytest.mark.parametrize(
    ("equity", "value", "verdict", "severity"),
    [
        (250.0, 4.0, Verdict.CLEAR, None),
        (215.0, 4.65, Verdict.HOLD, Severity.WARNING),
        (200.0, 5.0, Verdict.BREACH, Severity.WARNING),
        (100.0, 10.0, Verdict.BREACH, Severity.CRITICAL),
        (0.0, None, Verdict.BREACH, Severity.CRITICAL),
        (-5.0, None, Verdict.BREACH, Severity.CRITICAL),
    ],
)
def test_both_sides_of_all_positions_count_against_the_equity(
    equity: float, value: float | None, verdict: Verdict, severity: Severity | None
) -> None:
    positions = (a_position(contracts=6), a_position(symbol="ETH/USDT:USDT", side=Side.SHORT, contracts=4))
    (reading,) = judge(a_snapshot(*positions, equity=equity))
    assert (reading.verdict, reading.severity) == (verdict, severity)
    assert reading.value == (None if value is None else pytest.approx(value, rel=1e-3))
    assert reading.key.scope is Scope.ACCOUNT


def test_a_flat_account_is_clear_though_it_is_empty() -> None:
    (reading,) = judge(a_snapshot(equity=0.0))
    assert (reading.verdict, reading.value) == (Verdict.CLEAR, 0.0)


def test_the_equity_of_all_pools_counts() -> None:
    pool = an_instrument().isolated_pool(Side.LONG)
    position = a_position(contracts=10, pool=pool, margin_mode=MarginMode.ISOLATED)
    cross = MarginBalance(pool="cross:USDT", currency="USDT", equity=990.0, maintenance_margin=0.0)
    snapshot = a_snapshot(position, equity=10.0)
    (reading,) = judge(AccountSnapshot(**{**_fields(snapshot), "margins": (cross, *snapshot.margins)}))
    assert reading.value == pytest.approx(1.0)


def _fields(snapshot: AccountSnapshot) -> dict[str, Any]:
    return {name: getattr(snapshot, name) for name in AccountSnapshot.__dataclass_fields__}


def test_coins_are_valued_at_the_mark_of_their_own_perpetual() -> None:
    """An inverse position of 60,000 dollars on a tenth of a bitcoin: 6x at a mark of 100,000."""
    position = a_position(symbol=INVERSE, contracts=600, mark_price=100_000)
    notional = position.instrument.notional(600, 100_000) * 100_000
    (reading,) = judge(a_snapshot(position, equity=0.1))
    assert reading.value == pytest.approx(notional / 10_000)


@pytest.mark.parametrize("known", [True, False])
def test_a_pool_in_a_coin_without_a_mark_makes_leverage_unknown(known: bool) -> None:
    eth = MarginBalance(pool="cross:ETH", currency="ETH", equity=1.0, maintenance_margin=0.0)
    snapshot = a_snapshot(a_position(contracts=100), equity=1_000.0)
    instrument = an_instrument("ETH/USDT:USDT")
    markets = {"ETH/USDT:USDT": MarketState(instrument=instrument, mark_price=Observed(4_000.0, NOON))}
    with_eth = AccountSnapshot(**{**_fields(snapshot), "margins": (eth, *snapshot.margins)})
    (reading,) = judge(with_eth, markets if known else {})
    if known:
        assert reading.value == pytest.approx(10_000 / 5_000)
    else:
        assert reading.is_unknown
        assert reading.inputs["why"] == "the worth of ETH in dollars is not known"


def test_equity_that_is_not_told_makes_leverage_unknown() -> None:
    (reading,) = judge(a_snapshot(a_position(), equity=None))
    assert reading.is_unknown
    assert reading.inputs["why"] == "the equity of cross:USDT is not known"


def test_a_filter_picks_the_positions_that_count() -> None:
    positions = (a_position(contracts=6), a_position(symbol="DOGE/USDT:USDT", contracts=1))
    (reading,) = judge(a_snapshot(*positions, equity=100.0), where={"symbol": "DOGE/*"}, warning="0.5x", critical="2x")
    assert reading.value == pytest.approx(1.0)
    assert judge(a_snapshot(positions[0]), where={"symbol": "DOGE/*"}) == ()


@pytest.mark.parametrize("equity", [40.0, 100.0, 199.0])
def test_either_remedy_brings_the_account_back_and_is_no_more_than_needed(equity: float) -> None:
    position = a_position(contracts=10)
    (reading,) = judge(a_snapshot(position, equity=equity))
    added, share = reading.inputs["add_collateral"], reading.inputs["cut_share"]
    assert isinstance(added, float)
    assert isinstance(share, float)
    for enough, verdict in ((1.001, Verdict.CLEAR), (0.99, Verdict.HOLD)):
        (after,) = judge(a_snapshot(position, equity=equity + added * enough))
        assert after.verdict is verdict
        (after,) = judge(a_snapshot(a_position(contracts=10 * (1 - share * enough)), equity=equity))
        assert after.verdict is verdict
