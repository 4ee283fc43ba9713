"""exit_liquidity on the order book of BTCUSDT as it was recorded on 10 October 2025."""

from datetime import timedelta

import pytest

from benchmarks.crash_day import DAY_START
from benchmarks.crash_depth import Moment, Replayed, book_of, middle_of, moments, print_report, replayed
from benchmarks.replay_crash import RECORDED
from monitor.domain.account import Side
from monitor.domain.reading import Severity
from tests.builders import needs_shared


@pytest.fixture(scope="module")
def path() -> list[Moment]:
    return list(moments(RECORDED))


def slippage_at(one: Replayed, hour: int, minute: int) -> float:
    after = DAY_START.replace(hour=hour, minute=minute)
    return next(step.slippage_share for step in one.steps if step.at >= after)


@needs_shared
def test_a_large_long_is_told_of_minutes_before_it_is_liquidated(path: list[Moment]) -> None:
    """50 million dollars at 10x: a warning 23 minutes, and a critical alert 5 minutes before the end."""
    one = replayed(path, Side.LONG, 50e6)
    warning, critical = one.first(Severity.WARNING), one.first(Severity.CRITICAL)
    assert warning is not None
    assert critical is not None
    assert one.liquidated_at is not None
    assert one.liquidated_at - warning.at > timedelta(minutes=20)
    assert one.liquidated_at - critical.at > timedelta(minutes=5)
    assert critical.slippage_share > 5 * one.steps[0].slippage_share


@needs_shared
def test_what_the_book_takes_easily_is_told_of_at_no_moment(path: list[Moment]) -> None:
    for side in Side:
        one = replayed(path, side, 1e6)
        assert one.first(Severity.WARNING) is None
        assert max(step.slippage_share for step in one.steps) < 0.001


@needs_shared
def test_buying_back_became_eight_times_as_dear_and_stayed_dear(path: list[Moment]) -> None:
    one = replayed(path, Side.SHORT, 50e6)
    calm, crash, later = (slippage_at(one, *at) for at in ((20, 30), (21, 20), (22, 20)))
    assert crash > 8 * calm
    assert later > 2 * calm
    assert one.liquidated_at is None


@needs_shared
def test_the_record_sees_no_bids_at_the_worst_and_says_nothing_of_them(path: list[Moment]) -> None:
    blind = [moment.at for moment in path if not moment.book.bids]
    assert len(path) == 240
    assert DAY_START.replace(hour=21, minute=30, second=6) in blind
    assert DAY_START.replace(hour=21, minute=0, second=7) not in blind
    assert {step.at for step in replayed(path, Side.LONG, 1e6).steps}.isdisjoint(blind)
    assert all(moment.book.asks for moment in path)


def test_depth_between_edges_is_taken_to_rest_evenly_and_bids_above_the_mark_are_gone() -> None:
    """A middle of 100: a band from 99 to 98 with ten coins, and stale bids above the mark of 99.5."""
    asks = {k: (float(k), sum(100 + p - 0.5 for p in range(1, k + 1))) for k in range(1, 6)}
    depth = {-1: (5.0, 510.0), -2: (15.0, 1_495.0), -3: (15.0, 1_495.0), **asks}
    assert middle_of(depth) == pytest.approx(100.0)
    bids = book_of(depth, 98.8).bids
    assert sum(bid.size for bid in bids) == pytest.approx(10.0)
    assert max(bid.price for bid in bids) < 98.8
    assert min(bid.price for bid in bids) > 98.0


@needs_shared
def test_the_report_names_what_the_record_does_not_show(capsys: pytest.CaptureFixture[str]) -> None:
    print_report(RECORDED)
    told = capsys.readouterr().out
    assert "| long 50M  |" in told
    assert "such moments are left out for longs" in told
