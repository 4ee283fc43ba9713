"""stop_missing against the exchange's own truth, its orders read by the real client in the words of two venues."""

# ruff: noqa: F401, F811 - fixtures are imported, and named again as parameters

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

import pytest

from monitor.domain.account import AccountSnapshot, FailureKind, Side
from monitor.domain.reading import Need, Reading, Verdict
from monitor.exchange.resting import EVERY_S
from monitor.exchange.source import AccountSource
from monitor.paper.faults import Fault, FaultKind
from monitor.rules.base import Context
from monitor.rules.book import evaluate_rules
from tests.builders import a_rule
from tests.reading import Open, ShiftedClock, clock, engine, exchanges, good, open_account, server
from tests.venues import test_bybit as bybit
from tests.venues.binance import USDM
from tests.venues.bybit import LINEAR
from tests.venues.kit import AccountCase, House, a_house, book_of
from tests.venues.test_binance_orders import an_algo_order

ALGO = "/fapi/v1/openAlgoOrders"
LONG = "BTC/USDT:USDT long"
CASE = AccountCase(account="mixed", name="mixed", pools=lambda _engine, _owner: ())


@pytest.fixture
async def house(clock: ShiftedClock) -> AsyncIterator[House]:
    """`mixed` is long half a bitcoin, and little else besides: a fall of a third liquidates it."""
    async with a_house(USDM, clock, book_of(USDM, clock.now())) as opened:
        opened.engine.close("mixed", "ETHUSDT", Side.SHORT, 3.0, 4_000.0)
        opened.engine.withdraw("mixed", "USDT", 20_000.0)
        yield opened


def rest(house: House, *rows: Mapping[str, Any]) -> None:
    house.server.set_profile("mixed", listed={ALGO: rows})


def opened(house: House, **changes: Any) -> AccountSource:
    return house.open(CASE, **{"needs": {Need.ORDERS}, **changes})


def judged(source: AccountSource, snapshot: AccountSnapshot, subject: str = LONG) -> Reading | None:
    rules = {"stop_missing": a_rule("stop_missing", warning="any")}
    context = Context(snapshot=snapshot, markets=source.markets(), now=snapshot.observed_at)
    return next((r for r in evaluate_rules(rules, context) if r.key.subject == subject), None)


async def uncovered(house: House, *rows: Mapping[str, Any]) -> tuple[float | None, object]:
    rest(house, *rows)
    source = opened(house)
    reading = judged(source, good(await source.observe()))
    assert reading is not None
    return reading.value, reading.inputs["problem"]


def liquidation_of(house: House) -> float:
    price = house.engine.position("mixed", "BTCUSDT", Side.LONG).liquidation_price
    assert price is not None
    return price


@pytest.mark.parametrize(
    ("changes", "value", "problem"),
    [
        ({}, 0.0, None),
        ({"closePosition": True, "quantity": "0"}, 0.0, None),
        ({"quantity": "0.25"}, 0.5, "its stops are smaller than the position"),
        ({"triggerPrice": "117000"}, 1.0, "a stop lies on the wrong side of the mark"),
        ({"side": "BUY"}, 1.0, "no stop rests at the venue"),
        ({"orderType": "TAKE_PROFIT_MARKET"}, 1.0, "no stop rests at the venue"),
        ({"orderType": "TRAILING_STOP_MARKET", "activatePrice": "118000", "callbackRate": "1"}, 0.0, None),
    ],
)
async def test_what_rests_at_binance_covers_a_position_or_does_not(
    house: House, changes: dict[str, Any], value: float, problem: str | None
) -> None:
    told, why = await uncovered(house, an_algo_order(**changes))
    assert told == pytest.approx(value)
    assert why == problem


@pytest.mark.parametrize("survives", [True, False])
async def test_a_stop_counts_exactly_where_the_position_lives_until_its_price_is_reached(
    house: House, survives: bool
) -> None:
    """The engine's book decides: the mark goes to the trigger, and the position is still there to be closed, or not."""
    trigger = liquidation_of(house) * (1.0001 if survives else 0.9999)
    value, problem = await uncovered(house, an_algo_order(triggerPrice=f"{trigger:.3f}"))
    house.engine.set_mark("BTCUSDT", trigger)
    is_there = any(p.symbol == "BTCUSDT" for p in house.engine.positions("mixed"))
    assert is_there is survives
    assert value == (0.0 if survives else 1.0)
    assert (problem is None) is survives


async def test_the_stop_that_is_advised_covers_the_position_once_it_rests_there(house: House) -> None:
    rest(house, an_algo_order(quantity="0.2"))
    source = opened(house)
    reading = judged(source, good(await source.observe()))
    assert reading is not None
    size, within = reading.inputs["stop_size"], reading.inputs["stop_within"]
    assert isinstance(within, float)
    assert within == pytest.approx(liquidation_of(house), rel=1e-6)
    placed = an_algo_order(algoId=2, quantity=f"{size:.3f}", triggerPrice=f"{within + 1:.3f}")
    assert (await uncovered(house, an_algo_order(quantity="0.2"), placed))[0] == pytest.approx(0.0)


async def test_orders_are_asked_for_where_a_rule_needs_them_alone(house: House) -> None:
    snapshot = good(await opened(house, needs=frozenset()).observe())
    assert (snapshot.orders, snapshot.orders_failure) == (None, None)
    assert house.server.counts[f"GET {ALGO}"] == 0


async def test_orders_that_cannot_be_read_are_unknown_once_they_are_old_and_never_missing(
    house: House, clock: ShiftedClock
) -> None:
    rest(house, an_algo_order())
    source = opened(house)
    good(await source.observe())
    house.server.misbehave(Fault(kind=FaultKind.SERVER_ERROR, status=503, path=ALGO))
    verdicts = []
    for _ in range(5):
        clock.ahead += timedelta(seconds=EVERY_S)
        house.engine.advance(clock.now())
        reading = judged(source, good(await source.observe()))
        assert reading is not None
        verdicts.append(reading.verdict)
        if reading.is_unknown:
            assert str(reading.inputs["why"]).startswith("stop orders could not be read: overloaded: HTTP 503")
    assert verdicts == [Verdict.CLEAR, Verdict.CLEAR, *[Verdict.UNKNOWN] * 3]
    house.server.clear_faults()
    clock.ahead += timedelta(seconds=EVERY_S)
    reading = judged(source, good(await source.observe()))
    assert reading is not None
    assert reading.verdict is Verdict.CLEAR


async def test_a_venue_that_never_tells_orders_is_not_asked_and_not_judged(open_account: Open) -> None:
    """Through the generic reader, whose declaration says so."""
    source = open_account("single", venue="aster", needs=frozenset({Need.ORDERS}))
    assert any("whether a position has a stop is not watched" in sentence for sentence in source.coverage)
    assert source._resting._every_s is None


@pytest.mark.parametrize(
    ("changes", "value"),
    [
        ({}, 0.0),
        ({"qty": "0"}, 0.0),
        ({"qty": "0.1"}, 0.8),
        ({"triggerPrice": "120000"}, 1.0),
        ({"stopOrderType": "TakeProfit"}, 1.0),
    ],
)
async def test_what_rests_at_bybit_covers_a_position_or_does_not(
    clock: ShiftedClock, changes: dict[str, Any], value: float
) -> None:
    async with a_house(LINEAR, clock, book_of(LINEAR, clock.now())) as bybit_house:
        rested = bybit.an_account("mixed", stops=(bybit.a_stop(**changes),))
        source = bybit_house.open(rested, needs=frozenset({Need.ORDERS}))
        reading = judged(source, good(await source.observe()))
        assert reading is not None
        assert reading.value == pytest.approx(value)
