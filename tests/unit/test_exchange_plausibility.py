"""Readings that parse and are still not to be believed."""

from datetime import timedelta

import pytest

from monitor.domain.account import FailureKind, Position
from monitor.domain.market import MarketState, Observed
from monitor.exchange.failures import ReadError
from monitor.exchange.plausibility import Plausibility
from monitor.exchange.venues.venue import AccountReading
from tests.builders import NOON, a_position, an_instrument, at


def a_reading(*positions: Position, in_use: float | None = 4.0) -> AccountReading:
    return AccountReading(margins=(), positions=positions, margin_in_use=in_use)


def a_market(mark_price: float, second: float) -> dict[str, MarketState]:
    state = MarketState(instrument=an_instrument(), mark_price=Observed(mark_price, at(second)))
    return {"BTC/USDT:USDT": state}


def refused(plausibility: Plausibility, reading: AccountReading, market: dict[str, MarketState], second: float) -> bool:
    try:
        plausibility.check(reading, market, at(second))
    except ReadError as failure:
        return failure.kind is FailureKind.IMPLAUSIBLE
    return False


@pytest.mark.parametrize(
    ("before", "after", "believed"),
    [(4.0, 0.0, True), (4.0, 1.0, True), (4.0, 4.0, False), (4.0, 5.0, False), (None, None, True), (4.0, None, True)],
)
def test_a_sudden_flat_is_read_twice_and_believed_only_if_the_margin_fell(
    before: float | None, after: float | None, believed: bool
) -> None:
    judge = Plausibility()
    judge.check(a_reading(a_position(), in_use=before), {}, NOON)
    flat = a_reading(in_use=after)
    assert refused(judge, flat, {}, 1)
    assert refused(judge, flat, {}, 2) is not believed
    assert refused(judge, flat, {}, 3) is not believed


def test_an_account_that_was_flat_from_the_start_is_believed() -> None:
    judge = Plausibility()
    assert not refused(judge, a_reading(in_use=0.0), {}, 0)
    assert not refused(judge, a_reading(in_use=0.0), {}, 1)


def test_a_flat_reply_between_good_ones_leaves_no_trace() -> None:
    judge = Plausibility()
    for second in range(0, 10, 2):
        judge.check(a_reading(a_position()), {}, at(second))
        assert refused(judge, a_reading(), {}, second + 1)


def test_a_mark_that_stands_while_the_market_moves_is_stale() -> None:
    judge = Plausibility()
    standing = a_reading(a_position(mark_price=100))
    assert not refused(judge, standing, a_market(100, 0), 0)
    assert not refused(judge, standing, a_market(100.9, 10), 10)
    assert refused(judge, standing, a_market(95, 20), 20)
    assert refused(judge, standing, a_market(95, 20), 30)
    assert not refused(judge, a_reading(a_position(mark_price=95)), a_market(95, 20), 40)


def test_a_fast_market_is_not_taken_for_a_stale_reply() -> None:
    judge = Plausibility()
    for second, mark in ((0, 100.0), (10, 90.0), (20, 70.0), (30, 50.0)):
        assert not refused(judge, a_reading(a_position(mark_price=mark)), a_market(mark * 1.1, second - 5), second)


def test_a_market_that_stands_while_the_position_moves_is_no_ground_to_doubt_the_position() -> None:
    judge = Plausibility()
    for second, mark in ((0, 100.0), (10, 90.0), (20, 80.0), (30, 80.0)):
        assert not refused(judge, a_reading(a_position(mark_price=mark)), a_market(100, 0), second)


def test_marks_from_elsewhere_are_not_compared() -> None:
    judge = Plausibility()
    reading = AccountReading(
        margins=(), positions=(a_position(mark_price=100),), margin_in_use=None, marks_are_the_markets=False
    )
    assert not refused(judge, reading, {}, 0)
    assert not refused(judge, reading, a_market(50, 10), 10 + timedelta(seconds=1).total_seconds())
