"""position_size, concentration and loss: their figures, what they cannot value, and that a remedy is just enough."""

import random
from dataclasses import replace
from typing import Any

import pytest

from monitor.domain.account import AccountSnapshot, Estimate, MarginBalance, MarginMode, Position, Side
from monitor.domain.market import Markets
from monitor.domain.reading import Reading, Scope, Severity, Verdict
from monitor.risk.remedy import with_collateral, with_cut
from monitor.rules.base import Context
from monitor.rules.book import evaluate_rules
from tests.builders import NOON, a_position, a_rule, a_snapshot

BREACH, HOLD, CLEAR = Verdict.BREACH, Verdict.HOLD, Verdict.CLEAR
WARNING, CRITICAL = Severity.WARNING, Severity.CRITICAL
ETH = "ETH/USDT:USDT"
LEVELS = {
    "position_size": {"warning": "10%", "critical": "15%"},
    "concentration": {"warning": "60%", "critical": "80%"},
    "loss": {"warning": "20%", "critical": "40%"},
}


def judge(kind: str, snapshot: AccountSnapshot, markets: Markets | None = None, **keys: Any) -> tuple[Reading, ...]:
    rule = a_rule(kind, **{**LEVELS[kind], **keys})
    return evaluate_rules({kind: rule}, Context(snapshot=snapshot, markets=markets or {}, now=NOON))


# --- position_size ---


@pytest.mark.parametrize(
    ("margin", "equity", "value", "verdict", "severity"),
    [
        (89.0, 1000.0, 0.089, CLEAR, None),
        (95.0, 1000.0, 0.095, HOLD, WARNING),
        (100.0, 1000.0, 0.10, BREACH, WARNING),
        (150.0, 1000.0, 0.15, BREACH, CRITICAL),
        (1.0, 0.0, None, BREACH, CRITICAL),
        (1.0, -5.0, None, BREACH, CRITICAL),
    ],
)
def test_what_one_trade_stakes_is_its_initial_margin_in_the_equity(
    margin: float, equity: float, value: float | None, verdict: Verdict, severity: Severity | None
) -> None:
    (reading,) = judge("position_size", a_snapshot(a_position(initial_margin=margin), equity=equity))
    assert (reading.verdict, reading.severity, reading.key.scope) == (verdict, severity, Scope.POSITION)
    assert reading.value == (None if value is None else pytest.approx(value))


def test_each_position_is_judged_against_the_equity_of_all_pools() -> None:
    alone = a_position(pool="isolated:x", margin_mode=MarginMode.ISOLATED, initial_margin=150.0)
    cross = MarginBalance(pool="cross:USDT", currency="USDT", equity=850.0, maintenance_margin=0.0)
    snapshot = a_snapshot(alone, equity=150.0)
    (reading,) = judge("position_size", replace(snapshot, margins=(cross, *snapshot.margins)))
    assert reading.value == pytest.approx(0.15)


def test_coin_margin_counts_in_dollars() -> None:
    """0.1 BTC of margin at a mark of 100,000 beside an equity of 1 BTC."""
    inverse = a_position(symbol="BTC/USD:BTC", contracts=1000, mark_price=100_000, initial_margin=0.1)
    (reading,) = judge("position_size", a_snapshot(inverse, equity=1.0))
    assert reading.value == pytest.approx(0.1)
    assert reading.inputs["initial_margin"] == pytest.approx(10_000)
    assert reading.inputs["equity"] == pytest.approx(100_000)


@pytest.mark.parametrize(
    ("told", "basis"),
    [
        ({"initial_margin": 10.0, "leverage": 5.0}, None),
        ({"initial_margin": 10.0, "estimates": (Estimate("initial_margin", "value / leverage"),)}, "value / leverage"),
        ({"leverage": 10.0}, "notional / leverage"),
        ({"initial_margin": 0.0, "leverage": 10.0}, "notional / leverage"),
    ],
)
@pytest.mark.parametrize("kind", ["position_size", "loss"])
def test_a_margin_of_our_own_making_is_marked(kind: str, told: dict[str, Any], basis: str | None) -> None:
    (reading,) = judge(kind, a_snapshot(a_position(contracts=1, mark_price=100, **told)))
    assert (reading.inputs["initial_margin"], reading.inputs["initial_margin_basis"]) == (10.0, basis)


@pytest.mark.parametrize("kind", ["position_size", "loss"])
def test_where_neither_margin_nor_leverage_is_told_there_is_no_reading(kind: str) -> None:
    """Margined as a portfolio: unknown for ever would be a warning for ever."""
    assert judge(kind, a_snapshot(a_position())) == ()


def test_an_equity_nobody_told_is_unknown_and_says_so() -> None:
    (reading,) = judge("position_size", a_snapshot(a_position(leverage=5.0), equity=None))
    assert reading.is_unknown
    assert reading.inputs["why"] == "the equity of cross:USDT is not known"


# --- concentration ---


def held(**contracts: float) -> tuple[Position, ...]:
    """Positions of a hundred dollars a contract; below 0 a short."""
    return tuple(
        a_position(symbol=f"{base}/USDT:USDT", side=Side.LONG if n > 0 else Side.SHORT, contracts=abs(n))
        for base, n in contracts.items()
    )


@pytest.mark.parametrize(
    ("positions", "value", "verdict", "severity"),
    [
        ((), None, CLEAR, None),
        (held(BTC=5), None, CLEAR, None),
        (held(BTC=5, ETH=5), 0.5, CLEAR, None),
        (held(BTC=5, ETH=-5), 0.5, CLEAR, None),
        (held(BTC=58, ETH=42), 0.58, HOLD, WARNING),
        (held(BTC=6, ETH=4), 0.6, BREACH, WARNING),
        (held(BTC=-8, ETH=1, SOL=1), 0.8, BREACH, CRITICAL),
    ],
)
def test_the_largest_underlying_is_judged_where_there_are_two_or_more(
    positions: tuple[Position, ...], value: float | None, verdict: Verdict, severity: Severity | None
) -> None:
    (reading,) = judge("concentration", a_snapshot(*positions))
    assert (reading.verdict, reading.severity, reading.key.scope) == (verdict, severity, Scope.ACCOUNT)
    assert reading.value == (None if value is None else pytest.approx(value))


def test_a_hedged_pair_is_one_underlying_and_so_no_concentration() -> None:
    inverse = a_position(symbol="BTC/USD:BTC", side=Side.SHORT, contracts=1)
    (reading,) = judge("concentration", a_snapshot(*held(BTC=1), inverse))
    assert (reading.verdict, reading.inputs["underlyings"]) == (CLEAR, 1)


def test_contracts_of_one_underlying_count_together_in_dollars() -> None:
    inverse = a_position(symbol="BTC/USD:BTC", contracts=3)
    (reading,) = judge("concentration", a_snapshot(*held(BTC=-1, ETH=1), inverse))
    assert reading.value == pytest.approx(400 / 500)
    assert reading.inputs["underlying"] == "BTC"


def test_a_coin_without_a_mark_makes_concentration_unknown() -> None:
    odd = a_position(symbol="SOL/USDT:XRP", contracts=1)
    (reading,) = judge("concentration", a_snapshot(*held(BTC=1), odd))
    assert reading.is_unknown
    assert reading.inputs["why"] == "the worth of XRP in dollars is not known"


def test_no_cut_is_offered_where_another_underlying_would_be_too_large_after_it() -> None:
    (reading,) = judge("concentration", a_snapshot(*held(BTC=6, ETH=4)), warning="50%")
    assert reading.verdict is BREACH
    assert "cut_share" not in reading.inputs


# --- loss ---


@pytest.mark.parametrize(
    ("side", "entry", "value", "verdict", "severity"),
    [
        (Side.LONG, 99.0, 0.0, CLEAR, None),
        (Side.LONG, 101.7, 0.17, CLEAR, None),
        (Side.LONG, 101.9, 0.19, HOLD, WARNING),
        (Side.SHORT, 98.0, 0.2, BREACH, WARNING),
        (Side.LONG, 104.0, 0.4, BREACH, CRITICAL),
        (Side.SHORT, 88.0, 1.2, BREACH, CRITICAL),
    ],
)
def test_a_loss_is_judged_against_what_was_staked(
    side: Side, entry: float, value: float, verdict: Verdict, severity: Severity | None
) -> None:
    position = a_position(side=side, mark_price=100, entry_price=entry, leverage=10.0)
    (reading,) = judge("loss", a_snapshot(position))
    assert (reading.verdict, reading.severity, reading.key.scope) == (verdict, severity, Scope.POSITION)
    assert reading.value == pytest.approx(value)
    assert reading.inputs["loss_basis"] is None


def test_a_loss_that_the_venue_does_not_tell_is_made_of_the_prices_and_marked() -> None:
    untold = replace(a_position(mark_price=100, entry_price=104, leverage=10.0), unrealized_pnl=None)
    (reading,) = judge("loss", a_snapshot(untold))
    assert reading.value == pytest.approx(0.4)
    assert reading.inputs["loss_basis"] == "entry price and mark"
    assert judge("loss", a_snapshot(replace(untold, entry_price=None))) == ()


def test_a_loss_says_that_no_collateral_makes_it_smaller() -> None:
    (reading,) = judge("loss", a_snapshot(a_position(mark_price=100, entry_price=104, leverage=10.0)))
    assert reading.severity is CRITICAL
    assert not {"add_collateral", "cut_share"} & set(reading.inputs)
    assert "adding margin" in str(reading.inputs["advice"])


# --- all of them ---


@pytest.mark.parametrize("kind", LEVELS)
def test_a_filter_picks_the_positions_that_count(kind: str) -> None:
    positions = [replace(p, leverage=5.0) for p in held(BTC=1, ETH=1)]
    snapshot = a_snapshot(*positions)
    assert judge(kind, snapshot, where={"account": "other"}) == ()
    assert judge(kind, snapshot, where={"symbol": "DOGE/*"}) == ()
    (reading,) = judge(kind, snapshot, where={"symbol": "ETH/*"})
    assert reading.key.subject == ("main" if kind == "concentration" else f"{ETH} long")


def _random_account(dice: random.Random) -> AccountSnapshot:
    """Up to six positions, cross and isolated, linear and inverse, of any size beside the equity."""
    symbols = ["BTC/USDT:USDT", ETH, "SOL/USDT:USDT", "BTC/USDC:USDC", "BTC/USD:BTC", "ETH/USD:ETH"]
    marks = {"BTC": 100_000.0, "ETH": 4_000.0, "SOL": 200.0}
    positions = []
    for symbol in dice.sample(symbols, dice.randint(1, len(symbols))):
        mark = marks[symbol.split("/")[0]]
        worth = 10 ** dice.uniform(1, 6)
        contracts = worth / (100.0 if symbol.count("USD") == 1 else mark)
        leverage = dice.choice([1.0, 2.0, 5.0, 20.0, 125.0])
        side = dice.choice(list(Side))
        position = a_position(symbol=symbol, side=side, contracts=contracts, mark_price=mark, leverage=leverage)
        told = position.notional / leverage * dice.uniform(0.9, 1.1)
        positions.append(replace(position, initial_margin=dice.choice([None, told])))
    snapshot = a_snapshot(*positions)
    margins = tuple(
        replace(m, equity=10 ** dice.uniform(1, 6) / (marks.get(m.currency, 1.0))) for m in snapshot.margins
    )
    return replace(snapshot, margins=margins)


def _after(snapshot: AccountSnapshot, reading: Reading, share: float, added: float) -> Verdict:
    """The same rule's verdict on the account with that much of the remedy applied."""
    if added:
        dollars = MarginBalance(pool="cross:USDT", currency="USDT", equity=0.0, maintenance_margin=0.0)
        known = snapshot if snapshot.margin("cross:USDT") else replace(snapshot, margins=(*snapshot.margins, dollars))
        changed = with_collateral(known, "cross:USDT", added)
    else:
        one, base = reading.key.subject, reading.inputs.get("base")
        cut = {
            p.subject: share
            for p in snapshot.positions
            if (p.subject == one if reading.key.scope is Scope.POSITION else p.instrument.base == base)
        }
        changed = with_cut(snapshot, cut, {})
    return next(r for r in judge(reading.key.rule, changed) if r.key == reading.key).verdict


@pytest.mark.parametrize("kind", ["position_size", "concentration"])
def test_a_remedy_clears_its_rule_on_any_account_and_is_no_more_than_needed(kind: str) -> None:
    proven = 0
    for seed in range(400):
        snapshot = _random_account(random.Random(seed))
        for reading in judge(kind, snapshot):
            share, added = reading.inputs.get("cut_share"), reading.inputs.get("add_collateral")
            if isinstance(share, float):
                proven += 1
                assert _after(snapshot, reading, share, 0.0) is CLEAR, seed
                assert _after(snapshot, reading, share * 0.99, 0.0) is not CLEAR, seed
            if isinstance(added, float):
                proven += 1
                assert _after(snapshot, reading, 0.0, added) is CLEAR, seed
                assert _after(snapshot, reading, 0.0, added * 0.99) is not CLEAR, seed
    assert proven > 100
