"""The estimators: against plain Python, laws that they must keep, and what too few candles say."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.domain.study import Candle, Frame, Study
from monitor.risk.volatility import (
    BETAS,
    LEAST_COMMON_DAYS,
    LEAST_DAYS,
    LEAST_HOURS,
    LENGTHS,
    SIGMA_FLOOR,
    SLOW_LAMBDA,
    atr,
    beta,
    correlation,
    daily_returns,
    ewma_sigma,
    portfolio_sigma,
    study_of,
    touch_probability,
    whole,
)
from tests.studies import MIDNIGHT, a_study, candles

MOVES = st.lists(st.floats(-0.3, 0.3), min_size=40, max_size=100)


def slow_sigma(moves: Sequence[float], decay: float) -> float:
    variance = weights = 0.0
    for age, move in enumerate(reversed(moves)):
        variance += decay**age * move**2
        weights += decay**age
    return math.sqrt(variance / weights)


def slow_atr(days: Sequence[Candle]) -> float:
    ranges = [
        max(day.high - day.low, abs(day.high - before.close), abs(day.low - before.close))
        for before, day in pairwise(days)
    ]
    average = sum(ranges[:14]) / len(ranges[:14])
    for true_range in ranges[14:]:
        average = (13 * average + true_range) / 14
    return average


@given(MOVES, st.floats(0.5, 0.99))
def test_a_sigma_is_what_plain_python_makes_of_it(moves: list[float], decay: float) -> None:
    told = ewma_sigma(candles(Frame.DAY, moves), Frame.DAY, decay)
    assert told == pytest.approx(slow_sigma(moves, decay), rel=1e-6, abs=1e-9)


@given(MOVES, st.floats(0.0, 0.2))
def test_a_true_range_is_what_plain_python_makes_of_it(moves: list[float], wick: float) -> None:
    days = candles(Frame.DAY, moves, wick)
    assert atr(days) == pytest.approx(slow_atr(days), rel=1e-9)


@given(MOVES, st.floats(1e-6, 1e6))
def test_sigmas_know_no_unit_and_a_range_grows_with_the_price(moves: list[float], factor: float) -> None:
    days = candles(Frame.DAY, moves, wick=0.01)
    other = candles(Frame.DAY, moves, wick=0.01, price=100.0 * factor)
    assert ewma_sigma(other, Frame.DAY, 0.9) == pytest.approx(ewma_sigma(days, Frame.DAY, 0.9), rel=1e-6, abs=1e-9)
    assert atr(other) == pytest.approx(atr(days) * factor, rel=1e-6)


@given(st.lists(st.floats(0.001, 0.05), min_size=40, max_size=60), st.floats(0.1, 4.0))
def test_moves_that_are_larger_by_a_factor_make_a_sigma_larger_by_it(moves: list[float], factor: float) -> None:
    times = [move * factor for move in moves]
    sigmas = [ewma_sigma(candles(Frame.HOUR, some), Frame.HOUR, 0.94) for some in (moves, times)]
    assert sigmas[1] == pytest.approx(sigmas[0] * factor, rel=1e-6)


def test_a_price_that_stands_still_has_no_sigma_no_range_and_no_beta() -> None:
    still, moving = a_study([0.0] * 60), a_study([0.01, -0.02] * 30)
    assert (still.fast_sigma, still.slow_sigma, still.atr) == (0.0, 0.0, 0.0)
    assert (beta(moving, still), correlation(moving, still)) == (None, None)
    assert beta(still, moving) == 0.0


@given(MOVES, st.floats(BETAS[0], BETAS[1]))
def test_what_moves_c_times_as_far_has_a_beta_of_c(moves: list[float], factor: float) -> None:
    to = a_study(moves)
    if sum(map(abs, moves)) > 0.01:
        assert beta(a_study([move * factor for move in moves]), to) == pytest.approx(factor, abs=1e-6)


@given(MOVES, st.sampled_from([2.0, -0.5]))
def test_what_moves_alike_or_the_other_way_is_correlated_in_full(moves: list[float], factor: float) -> None:
    if sum(map(abs, moves)) > 0.01:
        told = correlation(a_study([move * factor for move in moves]), a_study(moves))
        assert told == pytest.approx(math.copysign(1.0, factor), abs=1e-6)


@pytest.mark.parametrize(("factor", "told"), [(-1.0, BETAS[0]), (40.0, BETAS[1])])
def test_a_beta_beyond_belief_is_cut(factor: float, told: float) -> None:
    moves = [0.01, -0.005] * 20
    assert beta(a_study([factor * move for move in moves]), a_study(moves)) == told


def test_too_few_common_days_tell_nothing_of_two_coins() -> None:
    long, short = a_study([0.01, -0.02] * 40), a_study([0.01, -0.02] * 10)
    assert len(set(long.returns) & set(short.returns)) < LEAST_COMMON_DAYS
    assert (beta(long, short), correlation(long, short)) == (None, None)


def test_a_day_that_is_missing_makes_no_return_and_is_shared_out_in_a_sigma() -> None:
    days = candles(Frame.DAY, [0.02] * 40)
    gap = [*days[:20], *days[21:]]
    assert len(daily_returns(gap)) == len(daily_returns(days)) - 2
    # Two days in one return of twice the size: (2 r)^2 / 2 a day, where they trended.
    assert ewma_sigma(gap, Frame.DAY, SLOW_LAMBDA) == pytest.approx(0.02, rel=0.05)


def test_an_unfinished_hour_counts_as_it_stands_and_an_unfinished_day_does_not() -> None:
    calm = [0.001, -0.001] * 30
    hours, days = candles(Frame.HOUR, calm), candles(Frame.DAY, calm)
    before = study_of(days, hours)
    after = study_of(days, candles(Frame.HOUR, [*calm, -0.15]))
    assert isinstance(before, Study)
    assert isinstance(after, Study)
    assert before.fast_sigma == pytest.approx(0.001 * math.sqrt(24))
    assert after.fast_sigma > 20 * before.fast_sigma
    assert (after.slow_sigma, after.atr) == (before.slow_sigma, before.atr)
    assert len(whole(days, Frame.DAY, days[-1].at + timedelta(hours=3))) == len(days) - 1
    assert len(whole(days, Frame.DAY, days[-1].at + timedelta(days=1))) == len(days)


def test_the_volatility_of_hours_and_days_is_one_figure_where_both_are_of_one_walk() -> None:
    hour = 0.004
    study = study_of(
        candles(Frame.DAY, [hour * math.sqrt(24), -hour * math.sqrt(24)] * 30), candles(Frame.HOUR, [hour, -hour] * 40)
    )
    assert isinstance(study, Study)
    assert study.fast_sigma == pytest.approx(study.slow_sigma)


@pytest.mark.parametrize(("days", "hours"), [(LEAST_DAYS - 1, 100), (100, LEAST_HOURS - 1), (0, 0)])
def test_a_young_listing_has_no_study(days: int, hours: int) -> None:
    assert study_of(candles(Frame.DAY, [0.01] * 99)[:days], candles(Frame.HOUR, [0.01] * 99)[:hours]) is None


@pytest.mark.parametrize("times", [1000.0, 0.001])
def test_a_contract_that_is_told_in_another_unit_has_not_moved(times: float) -> None:
    days, hours = candles(Frame.DAY, [0.01, -0.01] * 40), candles(Frame.HOUR, [0.002, -0.002] * 40)
    before = [
        replace(day, open=day.open * times, high=day.high * times, low=day.low * times, close=day.close * times)
        for day in days[:50]
    ]
    told, alone = study_of([*before, *days[50:]], hours), study_of(days[50:], hours)
    assert told is not None
    assert alone is not None
    assert (told.slow_sigma, told.atr, told.returns) == (alone.slow_sigma, alone.atr, alone.returns)
    assert study_of([*before, *days[50:]][: 49 + LEAST_DAYS], hours) is None


def test_a_crash_by_nine_tenths_within_a_candle_is_a_move() -> None:
    study = study_of(candles(Frame.DAY, [0.01] * 40 + [math.log(0.1)]), candles(Frame.HOUR, [0.01] * 40))
    assert study is not None
    assert study.slow_sigma > 0.5


@pytest.mark.parametrize("flip", [lambda x: x, lambda x: 1 / x])
@pytest.mark.parametrize(("sigma", "days"), [(0.03, 1.0), (0.05, 2.0), (0.01, 0.25)])
def test_a_level_is_touched_twice_as_likely_as_the_end_lies_beyond_it(
    flip: Callable[[float], float], sigma: float, days: float
) -> None:
    level = flip(0.9)
    expected = 2 * NormalDist().cdf(-abs(math.log(level)) / (sigma * math.sqrt(days)))
    assert touch_probability(1.0, level, sigma, days) == pytest.approx(expected)


def test_the_figure_of_the_rule_book_is_a_floor_that_others_know_as_such() -> None:
    """Daily sigma 3 %, a barrier at -10 %, one day: 0.04 %."""
    assert touch_probability(100.0, 90.0, 0.03) == pytest.approx(0.0004, abs=0.00006)


@pytest.mark.parametrize(("level", "sigma", "told"), [(100.0, 0.0, 1.0), (90.0, 0.0, 0.0), (0.0, 0.1, 0.0)])
def test_the_ends_of_a_touch_probability(level: float, sigma: float, told: float) -> None:
    assert touch_probability(100.0, level, sigma) == told


# ---- portfolios

ALIKE = [0.02, -0.03, 0.01, -0.01] * 15


def test_one_coin_has_its_own_sigma_and_of_a_calm_one_the_floor() -> None:
    study = a_study(ALIKE)
    assert portfolio_sigma({"BTC": -200.0}, {"BTC": study}) == pytest.approx(200 * study.sigma)
    assert portfolio_sigma({"USDC": 200.0}, {"USDC": a_study([0.0] * 60)}) == pytest.approx(200 * SIGMA_FLOOR)


@pytest.mark.parametrize(("other", "share"), [(100.0, 2.0), (-100.0, 0.0)])
def test_coins_that_move_as_one_add_up_or_hedge_each_other(other: float, share: float) -> None:
    study = a_study(ALIKE)
    told = portfolio_sigma({"A": 100.0, "B": other}, {"A": study, "B": study})
    assert told == pytest.approx(share * 100 * study.sigma, abs=1e-6)


@pytest.mark.parametrize("other", [100.0, -100.0])
def test_what_is_not_known_of_two_coins_hedges_nothing(other: float) -> None:
    old, young = a_study(ALIKE), a_study(ALIKE[:12])
    told = portfolio_sigma({"A": 100.0, "B": other}, {"A": old, "B": young})
    assert told == pytest.approx(100 * old.sigma + 100 * young.sigma)


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), MOVES), min_size=1, max_size=4), st.floats(0.0, 10.0))
def test_a_portfolio_moves_no_more_than_its_parts_together_and_grows_with_them(
    parts: list[tuple[float, list[float]]], factor: float
) -> None:
    studies = {f"C{index}": a_study(moves) for index, (_, moves) in enumerate(parts)}
    held = {f"C{index}": exposure for index, (exposure, _) in enumerate(parts)}
    told = portfolio_sigma(held, studies)
    alone = sum(portfolio_sigma({coin: exposure}, studies) for coin, exposure in held.items())
    assert 0 <= told <= alone * (1 + 1e-9)
    times = {coin: exposure * factor for coin, exposure in held.items()}
    assert portfolio_sigma(times, studies) == pytest.approx(told * factor, rel=1e-6, abs=1e-2)


def test_candles_end_where_the_next_begins() -> None:
    for frame, length in LENGTHS.items():
        made = candles(frame, [0.01] * 3)
        assert [after.at - before.at for before, after in pairwise(made)] == [length] * 3
        assert made[-1].at + length == MIDNIGHT
