"""collateral: which price of a stablecoin counts, what is dust, and where nothing is said."""

from dataclasses import replace
from typing import Any

import pytest

from monitor.domain.account import AccountSnapshot, Collateral, MarginBalance, Side
from monitor.domain.market import Markets, MarketState, Observed
from monitor.domain.reading import Reading, Scope, Severity, Verdict
from monitor.exchange.venues.coins import collateral_of
from monitor.rules.base import Context
from monitor.rules.book import evaluate_rules
from tests.builders import NOON, a_position, a_rule, a_snapshot, an_instrument, at

DOLLARS = MarginBalance(pool="cross:USD", currency="USD", equity=1_000.0, maintenance_margin=10.0)


def judge(snapshot: AccountSnapshot, markets: Markets | None = None, **keys: Any) -> tuple[Reading, ...]:
    rule = a_rule("collateral", **{"warning": "0.5%", "critical": "2%", **keys})
    return evaluate_rules({"collateral": rule}, Context(snapshot=snapshot, markets=markets or {}, now=NOON))


def margined(*coins: Collateral, **changes: Any) -> AccountSnapshot:
    position = a_position(pool="cross:USD", **changes)
    return replace(a_snapshot(position), margins=(DOLLARS,), collateral=coins)


def a_mark(symbol: str, price: float, age_s: float = 0.0) -> Markets:
    return {symbol: MarketState(instrument=an_instrument(symbol), mark_price=Observed(price, at(-age_s)))}


@pytest.mark.parametrize(
    ("price", "verdict", "severity"),
    [
        (1.0, Verdict.CLEAR, None),
        (0.9956, Verdict.CLEAR, None),
        (0.9953, Verdict.HOLD, Severity.WARNING),
        (0.9949, Verdict.BREACH, Severity.WARNING),
        (1.0051, Verdict.BREACH, Severity.WARNING),
        (0.9799, Verdict.BREACH, Severity.CRITICAL),
        (0.65, Verdict.BREACH, Severity.CRITICAL),
        (1.03, Verdict.BREACH, Severity.CRITICAL),
    ],
)
def test_a_coin_off_its_dollar_is_told_on_either_side(
    price: float, verdict: Verdict, severity: Severity | None
) -> None:
    (reading,) = judge(margined(Collateral(coin="USDE", price=price, amount=500.0)))
    assert (reading.verdict, reading.severity) == (verdict, severity)
    assert reading.value == pytest.approx(abs(price - 1))
    assert (reading.key.scope, reading.key.subject) == (Scope.ACCOUNT, "USDE")


def test_each_coin_is_judged_by_itself_and_what_is_no_stablecoin_is_not() -> None:
    coins = [Collateral(coin=coin, price=price, amount=500.0) for coin, price in (("USDT", 1.0), ("BTC", 90_000.0))]
    readings = judge(margined(*coins, Collateral(coin="USDC", price=0.9, amount=-5.0)))
    assert {reading.key.subject: reading.verdict for reading in readings} == {
        "USDC": Verdict.BREACH,
        "USDT": Verdict.CLEAR,
    }


@pytest.mark.parametrize(("amount", "is_told"), [(0.9, False), (-0.9, False), (1.2, True), (-1.2, True), (None, True)])
def test_dust_endangers_nobody(amount: float | None, is_told: bool) -> None:
    """A thousandth of the equity of 1,000."""
    assert bool(judge(margined(Collateral(coin="USDE", price=0.9, amount=amount)))) is is_told


@pytest.mark.parametrize(
    ("age_s", "collateral", "price"),
    [
        (0.0, (), 0.97),
        (300.0, (), 0.97),
        (301.0, (), None),
        (0.0, (Collateral(coin="USDC", price=0.999, amount=500.0),), 0.999),
    ],
)
def test_without_a_price_of_the_venue_the_mark_of_the_coins_own_perpetual_counts(
    age_s: float, collateral: tuple[Collateral, ...], price: float | None
) -> None:
    snapshot = replace(a_snapshot(a_position(symbol="BTC/USDC:USDC")), collateral=collateral)
    readings = judge(snapshot, a_mark("USDC/USDT:USDT", 0.97, age_s))
    assert [reading.inputs["coin_price"] for reading in readings] == ([] if price is None else [price])
    for reading in readings:
        assert reading.inputs["origin"] == ("the venue" if collateral else "the mark of USDC/USDT:USDT")


def test_where_nobody_tells_a_price_nothing_is_said() -> None:
    assert judge(a_snapshot(a_position())) == ()
    assert judge(margined()) == ()


def test_a_filter_picks_the_accounts() -> None:
    snapshot = margined(Collateral(coin="USDE", price=0.9, amount=500.0))
    assert judge(snapshot, where={"venue": "bybit"}) == ()
    assert judge(snapshot, where={"symbol": "DOGE/*"}) == ()
    assert len(judge(snapshot, where={"symbol": "BTC/*"})) == 1


@pytest.mark.parametrize(("contracts", "share"), [(5.0, 0.4), (-5.0, None)])
def test_what_falls_with_the_positions_is_told_beside_it(contracts: float, share: float | None) -> None:
    side = Side.LONG if contracts > 0 else Side.SHORT
    coins = (Collateral(coin="USDE", price=0.9, amount=500.0), Collateral(coin="ETH", price=4_000.0, amount=0.1))
    (reading,) = judge(margined(*coins, side=side, contracts=abs(contracts)))
    assert reading.inputs["falling_share"] == (None if share is None else pytest.approx(share))


def test_a_price_made_of_how_a_venue_rounds_is_none() -> None:
    """Of nine dollars two decimals tell no price; of an empty row nothing does."""
    rows = {
        "USDC": {"usd": "9.1", "held": "9.2"},
        "USDT": {"usd": "99.0", "held": "100"},
        "DAI": {"usd": "", "held": "100"},
        "TUSD": {"usd": "-50", "held": "-50.5"},
        "USDE": {"usd": "-50", "held": "50"},
    }
    told = {one.coin: one for one in collateral_of(rows, value="usd", equity="held")}
    assert told.keys() == {"USDT", "TUSD"}
    assert told["USDT"].price == pytest.approx(0.99)
    assert told["TUSD"].amount == -50.5
