"""The decisive minutes of 10 October 2025 through the production path; the whole evening is a benchmark."""

import asyncio
from datetime import timedelta

import pytest

from benchmarks.crash_cases import LEVELS, Stay, cases_of
from benchmarks.crash_day import COINS, DAY_END, DAY_START, prices
from benchmarks.crash_replay import Outcome, replay
from benchmarks.crash_report import Verdict, judge, missed, report
from benchmarks.oracle_cases import SHARED, real_brackets
from benchmarks.stepped_clock import SteppedClock
from tests.builders import NOON, at, needs_shared

RECORDED = SHARED / "market" / "2025-10-10"
OPENED, LAST = DAY_START.replace(hour=21, minute=9), DAY_START.replace(hour=21, minute=18)


@pytest.fixture(scope="module")
def avax() -> Outcome:
    """AVAX falls by a third in these nine minutes."""
    path = prices(RECORDED, "AVAX", OPENED, LAST)
    return asyncio.run(replay(cases_of(["AVAX"], [5, 10]), {"AVAX": path}, OPENED, real_brackets()))


@needs_shared
def test_owners_are_told_before_the_exchange_liquidates(avax: Outcome) -> None:
    assert missed(avax) == []
    assert len(avax.watched) == 8
    for one in avax.watched:
        assert one.failures == []
        for severity in LEVELS:
            judged = judge(avax, one, severity)
            assert judged.verdict is Verdict.IN_TIME, one.case.name
            assert judged.lead is not None
            assert judged.lead >= max(judged.stay - judged.needed, timedelta(seconds=1)), one.case.name


@needs_shared
def test_a_message_that_never_came_counts_as_missed(avax: Outcome) -> None:
    one = next(one for one in avax.watched if one.case.name == "avax-10x-cross-linear")
    sent = one.channel.sent
    one.channel.sent = []
    try:
        assert "avax-10x-cross-linear: critical by liquidation_distance" in missed(avax)
        assert "MISSED avax-10x-cross-linear: warning by" in report(avax)
    finally:
        one.channel.sent = sent


@needs_shared
def test_the_report_says_what_was_simplified(avax: Outcome) -> None:
    text = report(avax)
    for words in ("Last price serves as mark", "interpolated", "synthetic coin brackets", "In breach when opened"):
        assert words in text


@needs_shared
@pytest.mark.parametrize("coin", COINS)
def test_the_recorded_evening_has_a_price_for_every_second(coin: str) -> None:
    path = prices(RECORDED, coin, DAY_START, DAY_END)
    assert len(path) == 7200
    assert min(path) > 0


def test_a_stay_past_a_threshold_is_the_longest_unbroken_one() -> None:
    stay = Stay()
    for second, breached in enumerate([False, True, True, True, False, True, True, False]):
        stay.note(breached, at(second))
    assert stay.first_at == at(1)
    assert stay.longest == timedelta(seconds=2)


async def test_a_stepped_clock_wakes_what_is_due() -> None:
    clock = SteppedClock(NOON)
    sleeping = [asyncio.create_task(clock.sleep(seconds)) for seconds in (5, 10, 20)]
    await asyncio.sleep(0)
    clock.advance_to(at(10))
    await asyncio.gather(*sleeping[:2])
    assert not sleeping[2].done()
    clock.advance_to(at(20))
    await sleeping[2]
    assert clock.now() == at(20)


async def overrun(clock: SteppedClock, deadline_s: float, taken_s: float) -> None:
    async with clock.deadline(deadline_s):
        clock.advance_to(at(taken_s))
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("deadline_s", [5, 4.9999999, 0])
async def test_a_block_that_reaches_its_deadline_on_the_stepped_clock_is_ended(deadline_s: float) -> None:
    with pytest.raises(TimeoutError):
        await overrun(SteppedClock(NOON), deadline_s, 5)


async def test_a_block_that_ends_in_time_is_left_alone_when_its_deadline_passes() -> None:
    clock = SteppedClock(NOON)
    await overrun(clock, 5, 4)
    clock.advance_to(at(6))
    await asyncio.sleep(0)
    assert clock.monotonic() == 6
