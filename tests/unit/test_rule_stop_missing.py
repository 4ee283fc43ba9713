"""The rule on stops: which orders cover a position, what is wrong with those that do not, and what to place."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from monitor.domain.account import AccountSnapshot, OrderKind, Position, PriceOrigin, Side, StopOrder
from monitor.domain.market import Markets, Tier
from monitor.domain.reading import Reading, Scope, Severity, Verdict
from monitor.notify.message import render
from monitor.rules.base import Context
from monitor.rules.book import evaluate_rules
from tests.builders import NOON, a_market, a_position, a_rule, a_snapshot, an_instrument
from tests.outbox import a_row, facts, key

INVERSE = "BTC/USD:BTC"
BELOW: dict[str, Any] = {"liquidation_price": 88_400.0, "liquidation_price_origin": PriceOrigin.VENUE}
ABOVE: dict[str, Any] = {"liquidation_price": 111_600.0, "liquidation_price_origin": PriceOrigin.VENUE}


def a_long(**changes: Any) -> Position:
    """Of 1 BTC at a mark of 100,000, liquidated at 88,400."""
    return a_position(**{"mark_price": 100_000.0, **BELOW, **changes})


def a_stop(of: Position, trigger: float | None, size: float | None = None, **changes: Any) -> StopOrder:
    order = StopOrder(
        instrument=of.instrument,
        side=of.side,
        kind=OrderKind.STOP,
        trigger_price=trigger,
        callback_rate=None,
        size=size,
        reduce_only=True,
    )
    return replace(order, **changes)


def held(position: Position, *orders: StopOrder) -> AccountSnapshot:
    return a_snapshot(position, equity=20_000.0, orders=orders, orders_at=NOON - timedelta(seconds=30))


def judge(snapshot: AccountSnapshot, *, markets: Markets | None = None, **keys: Any) -> tuple[Reading, ...]:
    rule = a_rule("stop_missing", **{"warning": "any", **keys})
    return evaluate_rules({"stop_missing": rule}, Context(snapshot=snapshot, markets=markets or {}, now=NOON))


LONG, SHORT = a_long(), a_long(side=Side.SHORT, **ABOVE)
NONE, SMALL, BEYOND, WRONG, OPENS = (
    "no stop rests at the venue",
    "its stops are smaller than the position",
    "a stop lies beyond the liquidation price and would never fire",
    "a stop lies on the wrong side of the mark",
    "a stop is not reduce-only: it may open a position the other way",
)
TRAILING: dict[str, Any] = {"kind": OrderKind.TRAILING}
CASES: tuple[tuple[str, Position, tuple[StopOrder, ...], float, str | None], ...] = (
    ("nothing rests", LONG, (), 1.0, NONE),
    ("all of it", LONG, (a_stop(LONG, 95_000.0),), 0.0, None),
    ("a size of its own", LONG, (a_stop(LONG, 95_000.0, 1.0),), 0.0, None),
    ("more than is held", LONG, (a_stop(LONG, 95_000.0, 7.0),), 0.0, None),
    ("in parts", LONG, tuple(a_stop(LONG, 95_000.0 - n, 0.1) for n in range(10)), 0.0, None),
    ("half", LONG, (a_stop(LONG, 95_000.0, 0.5),), 0.5, SMALL),
    ("one lot is missing", LONG, (a_stop(LONG, 95_000.0, 0.999),), 0.001, SMALL),
    ("beyond liquidation", LONG, (a_stop(LONG, 88_000.0),), 1.0, BEYOND),
    ("at liquidation", LONG, (a_stop(LONG, 88_400.0),), 1.0, BEYOND),
    ("half beyond", LONG, (a_stop(LONG, 95_000.0, 0.5), a_stop(LONG, 88_000.0)), 0.5, f"{SMALL}; {BEYOND}"),
    ("on the wrong side", LONG, (a_stop(LONG, 101_000.0),), 1.0, WRONG),
    ("of the other side", LONG, (a_stop(SHORT, 95_000.0),), 1.0, NONE),
    ("of another contract", LONG, (a_stop(a_position(symbol="ETH/USDT:USDT"), 95.0),), 1.0, NONE),
    ("a take-profit", LONG, (a_stop(LONG, 110_000.0, kind=OrderKind.TAKE_PROFIT),), 1.0, NONE),
    ("not reduce-only", LONG, (a_stop(LONG, 95_000.0, 1.0, reduce_only=False),), 1.0, OPENS),
    ("trails", LONG, (a_stop(LONG, 95_000.0, **TRAILING),), 0.0, None),
    ("waits to trail, at no price", LONG, (a_stop(LONG, None, 1.0, **TRAILING),), 0.0, None),
    ("waits to trail, at a price", LONG, (a_stop(LONG, 118_000.0, 1.0, **TRAILING),), 0.0, None),
    ("trails beyond liquidation", LONG, (a_stop(LONG, 80_000.0, **TRAILING),), 1.0, BEYOND),
    ("a short", SHORT, (a_stop(SHORT, 105_000.0),), 0.0, None),
    ("a short's beyond liquidation", SHORT, (a_stop(SHORT, 112_000.0),), 1.0, BEYOND),
    ("a short's on the wrong side", SHORT, (a_stop(SHORT, 95_000.0),), 1.0, WRONG),
)


@pytest.mark.parametrize(("position", "orders", "value", "problem"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_a_stop_covers_what_it_would_close(
    position: Position, orders: tuple[StopOrder, ...], value: float, problem: str | None
) -> None:
    (reading,) = judge(held(position, *orders))
    assert reading.value == pytest.approx(value)
    assert reading.inputs["problem"] == problem
    assert reading.verdict is (Verdict.BREACH if value else Verdict.CLEAR)
    assert (reading.key.scope, reading.key.subject) == (Scope.POSITION, position.subject)


@pytest.mark.parametrize("side", list(Side))
def test_an_inverse_order_is_counted_in_contracts_wherever_its_price_lies(side: Side) -> None:
    """A size in base units is worth another number of contracts at the trigger than at the mark."""
    trigger = 100_000 * (1 - side.sign * 0.2)
    position = a_position(symbol=INVERSE, side=side, contracts=600, mark_price=100_000.0)
    for contracts, uncovered in ((600, 0.0), (300, 0.5), (900, 0.0)):
        order = a_stop(position, trigger, position.instrument.size(contracts, trigger))
        (reading,) = judge(a_snapshot(position, equity=5.0, orders=(order,), orders_at=NOON))
        assert reading.value == pytest.approx(uncovered)


def test_the_own_liquidation_price_stands_in_for_one_that_is_not_told() -> None:
    """1 BTC on 11,950 dollars at a rate of 0.4 %: liquidated at about 88,400."""
    position = a_long(liquidation_price=None, liquidation_price_origin=PriceOrigin.UNKNOWN)
    for trigger, value in ((88_000.0, 1.0), (89_000.0, 0.0)):
        (reading,) = judge(a_snapshot(position, equity=11_950.0, orders=(a_stop(position, trigger),)))
        assert reading.value == value
        assert reading.inputs["liquidation_price"] == pytest.approx(88_400, abs=20)


@pytest.mark.parametrize("price", [None, 100_000.0])
def test_without_a_liquidation_price_ahead_any_stop_on_the_losing_side_counts(price: float | None) -> None:
    """A venue's word that there is none is believed."""
    origin = PriceOrigin.NONE if price is None else PriceOrigin.VENUE
    position = a_long(liquidation_price=price, liquidation_price_origin=origin)
    (reading,) = judge(held(position, a_stop(position, 10.0)))
    assert reading.value == 0.0
    (reading,) = judge(held(position))
    assert (reading.inputs["stop_size"], reading.inputs["stop_within"]) == (1.0, None)


def test_a_hedge_that_a_rise_would_end_sooner_needs_its_longs_stop_above_what_a_fall_would_end() -> None:
    """A hundredth of it is open: a fall costs that, and from 110,000 dollars a leg on maintenance rises by more."""
    tiers = (Tier(0, 110_000, 0.004, 0), Tier(110_000, 1e12, 0.05, 5_060))
    long = a_long(liquidation_price=111_390.0)
    short = a_position(side=Side.SHORT, contracts=0.99, mark_price=100_000.0)
    for trigger, uncovered in ((48_000.0, 1.0), (50_000.0, 0.0)):
        snapshot = a_snapshot(long, short, equity=900.0, orders=(a_stop(long, trigger),))
        reading = judge(snapshot, markets=a_market(tiers=tiers))[0]
        assert reading.inputs["liquidation_price"] == pytest.approx(49_020, abs=1)
        assert reading.value == uncovered


# --- what is not known ---


@pytest.mark.parametrize("is_pending", [True, False])
def test_orders_that_could_not_be_read_are_unknown_and_not_missing(is_pending: bool) -> None:
    failure = "stop orders could not be read: timeout: no answer"
    snapshot = a_snapshot(LONG, orders=None, orders_failure=failure, orders_pending=is_pending)
    (reading,) = judge(snapshot, critical="50%", take_profit="required")
    assert reading.is_unknown
    assert {level.verdict for level in reading.levels} == {Verdict.UNKNOWN}
    assert reading.inputs == {"why": failure} | ({"is_pending": True} if is_pending else {})


def test_nothing_is_said_where_the_venue_never_tells_orders() -> None:
    assert judge(a_snapshot(LONG, orders=None)) == ()


# --- levels ---


@pytest.mark.parametrize(
    ("keys", "covered", "severity"),
    [
        ({"warning": "any"}, 0.999, Severity.WARNING),
        ({"warning": "any"}, 1.0, None),
        ({"warning": "any", "critical": "any"}, 0.5, Severity.CRITICAL),
        ({"warning": "any", "critical": "60%"}, 0.5, Severity.WARNING),
        ({"warning": "25%", "critical": "60%"}, 0.8, None),
        ({"warning": None, "critical": "any"}, 0.0, Severity.CRITICAL),
    ],
)
def test_a_share_is_judged_by_its_thresholds(keys: dict[str, Any], covered: float, severity: Severity | None) -> None:
    orders = (a_stop(LONG, 95_000.0, covered),) if covered else ()
    (reading,) = judge(held(LONG, *orders), **keys)
    assert reading.severity == severity


@pytest.mark.parametrize("keys", [{"warning": "60%", "critical": "any"}, {"warning": "0%"}, {"warning": "120%"}, {}])
def test_thresholds_that_mean_nothing_are_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        a_rule("stop_missing", **keys)


@pytest.mark.parametrize("levels", [{"warning": "any"}, {"critical": "any"}, {"warning": "any", "critical": "any"}])
def test_a_take_profit_is_asked_for_where_its_owner_says_so(levels: dict[str, Any]) -> None:
    keys = {"warning": None, **levels}
    stop, target = a_stop(LONG, 95_000.0), a_stop(LONG, 110_000.0, 0.3, kind=OrderKind.TAKE_PROFIT)
    (reading,) = judge(held(LONG, stop), **keys)
    assert reading.verdict is Verdict.CLEAR
    (reading,) = judge(held(LONG, stop), take_profit="required", **keys)
    assert (reading.severity, reading.value) == (Severity.WARNING, 0.0)
    (reading,) = judge(held(LONG, stop, target), take_profit="required", **keys)
    assert reading.verdict is Verdict.CLEAR
    (reading,) = judge(held(LONG), take_profit="required", **keys)
    assert (reading.severity, reading.value) == (max(level.severity for level in reading.levels), 1.0)


def test_a_filter_picks_positions() -> None:
    assert judge(held(LONG), where={"symbol": "DOGE/*"}) == ()
    assert judge(held(LONG), where={"account": "other"}) == ()


# --- what to do ---

positions = st.builds(
    lambda symbol, side, contracts, mark, distance, covered: (symbol, side, contracts, mark, distance, covered),
    st.sampled_from(["BTC/USDT:USDT", INVERSE]),
    st.sampled_from(Side),
    st.floats(0.001, 1e6),
    st.floats(1e-6, 1e6),
    st.floats(1e-4, 0.9),
    st.floats(0.0, 0.99),
)


@settings(max_examples=300, deadline=None)
@given(positions)
def test_the_stop_that_is_advised_is_enough_and_no_less_would_be(drawn: Any) -> None:
    symbol, side, contracts, mark, distance, covered = drawn
    liquidation = mark * (1 - side.sign * distance)
    told: dict[str, Any] = {"liquidation_price": liquidation, "liquidation_price_origin": PriceOrigin.VENUE}
    position = a_position(symbol=symbol, side=side, contracts=contracts, mark_price=mark, **told)
    near, instrument = (mark + liquidation) / 2, position.instrument

    def of(units: float, trigger: float) -> StopOrder:
        return a_stop(position, trigger, units / trigger if instrument.inverse else units)

    rests = [of(covered * contracts * instrument.contract_size, near)] if covered > 1e-6 else []
    (reading,) = judge(held(position, *rests))
    size, within = reading.inputs["stop_size"], reading.inputs["stop_within"]
    assert isinstance(size, float)
    assert within == liquidation
    for share, trigger, verdict in (
        (1.0, near, Verdict.CLEAR),
        (1.0, liquidation + (mark - liquidation) * 1e-3, Verdict.CLEAR),
        (0.99, near, Verdict.BREACH),
        (1.0, liquidation, Verdict.BREACH),
    ):
        (after,) = judge(held(position, *rests, of(size * share, trigger)))
        assert after.verdict is verdict, (share, trigger)


# --- words ---


def told(snapshot: AccountSnapshot, **keys: Any) -> list[str]:
    (reading,) = judge(snapshot, **keys)
    assert reading.severity is not None
    row = a_row(
        key=replace(key(), rule="stop_missing", subject=reading.key.subject),
        severity=reading.severity,
        facts=facts(
            rule_kind="stop_missing",
            value=reading.value,
            threshold=reading.threshold,
            unit=reading.unit,
            inputs=dict(reading.inputs),
        ),
    )
    message = render([row], NOON, 4_000)
    return [message.title, *message.body.splitlines()]


def test_a_message_says_what_rests_what_is_wrong_with_it_and_what_to_place() -> None:
    assert told(held(LONG, a_stop(LONG, 88_000.0, 0.5), a_stop(LONG, 95_000.0, 0.5))) == [
        "WARNING main: BTC/USDT:USDT long has no stop for 50% of it",
        "Not covered by stops 50% (any share is a warning)",
        f"{SMALL}; {BEYOND}",
        "1 BTC · mark 100,000 · liquidation 88,400",
        "orders as of 11:59 UTC · since 12:00 UTC",
        "Do: place a reduce-only stop for 0.5 BTC above 88,400, where liquidation is (11.6% below the mark)",
    ]


@pytest.mark.parametrize(
    ("snapshot", "keys", "title", "todo"),
    [
        (held(LONG), {}, "has no stop", "1 BTC above 88,400, where liquidation is (11.6% below the mark)"),
        (held(SHORT), {}, "has no stop", "1 BTC below 111,600, where liquidation is (11.6% above the mark)"),
        (held(LONG, a_stop(LONG, 80_000.0)), {}, "has no stop that would fire", "(11.6% below the mark)"),
        (held(a_long(liquidation_price=88_400.04)), {}, "has no stop", "above 88,400.1, where"),
        (held(replace(SHORT, liquidation_price=111_600.04)), {}, "has no stop", "below 111,600, where"),
        (held(a_long(liquidation_price_origin=PriceOrigin.NONE, liquidation_price=None)), {}, "stop", "below the mark"),
        (held(LONG, a_stop(LONG, 95_000.0)), {"take_profit": "required"}, "has no take-profit", "above the mark"),
    ],
)
def test_the_price_that_is_named_is_on_the_right_side_of_liquidation(
    snapshot: AccountSnapshot, keys: dict[str, Any], title: str, todo: str
) -> None:
    lines = told(snapshot, **keys)
    assert lines[0].endswith(title)
    assert lines[-1].startswith("Do: place a ")
    assert lines[-1].endswith(todo) or todo in lines[-1]


def test_an_inverse_stop_is_named_in_dollars() -> None:
    position = a_position(symbol=INVERSE, contracts=600, mark_price=100_000.0, **BELOW)
    assert "a reduce-only stop for 60,000 USD above" in told(a_snapshot(position, equity=5.0, orders=()))[-1]


def test_contracts_of_a_size_are_the_size_of_contracts_turned_round() -> None:
    for symbol in ("BTC/USDT:USDT", INVERSE):
        instrument = an_instrument(symbol)
        assert instrument.contracts(instrument.size(7.0, 90_000.0), 90_000.0) == pytest.approx(7.0)
