"""The request budget of one address: weights of the last minute, the venue's own count, and stops for everybody."""

import asyncio
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest
from asyncio_throttle import throttler
from hypothesis import given
from hypothesis import strategies as st

from monitor.clock import SystemClock
from monitor.domain.account import FailureKind
from monitor.exchange.budget import LEISURE_SHARE, WINDOW_S, Budget, at_leisure
from monitor.exchange.failures import ReadError
from tests.builders import NOON


class HandClock(SystemClock):
    """Time that moves only when told to, or when somebody sleeps."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.elapsed_s)

    def monotonic(self) -> float:
        return self.elapsed_s

    async def sleep(self, seconds: float) -> None:
        self.elapsed_s += seconds
        await asyncio.sleep(0)


# A hundredth of what a budget of 1,000 a minute allows us.
UNIT = 9


def a_budget(clock: HandClock) -> Budget:
    return Budget(weight_per_minute=1000, clock=clock)


async def test_what_fits_leaves_at_once() -> None:
    clock = HandClock()
    budget = a_budget(clock)
    for _ in range(10):
        await budget.spend(10 * UNIT, patience_s=0)
    assert (clock.elapsed_s, budget.used) == (0, 100 * UNIT)


async def test_what_does_not_fit_waits_until_the_oldest_is_a_minute_old() -> None:
    clock = HandClock()
    budget = a_budget(clock)
    clock.elapsed_s = 5
    await budget.spend(60 * UNIT, patience_s=0)
    clock.elapsed_s = 20
    await budget.spend(40 * UNIT, patience_s=0)
    await budget.spend(50 * UNIT, patience_s=50)
    assert clock.elapsed_s == pytest.approx(65)


async def test_a_wait_beyond_ones_patience_is_a_rate_limit_with_its_end() -> None:
    clock = HandClock()
    budget = a_budget(clock)
    await budget.spend(100 * UNIT, patience_s=0)
    with pytest.raises(ReadError) as failure:
        await budget.spend(1 * UNIT, patience_s=10)
    assert failure.value.kind is FailureKind.RATE_LIMIT
    assert failure.value.retry_at == NOON + timedelta(seconds=60)
    assert clock.elapsed_s == 0


async def test_the_venues_own_count_holds_until_its_minute_ends() -> None:
    clock = HandClock()
    budget = a_budget(clock)
    clock.elapsed_s = 30
    budget.note_used(95 * UNIT)
    with pytest.raises(ReadError):
        await budget.spend(10 * UNIT, patience_s=29)
    await budget.spend(10 * UNIT, patience_s=30)
    assert clock.elapsed_s == pytest.approx(60)


async def test_own_spending_adds_to_the_venues_count_until_it_counts_anew() -> None:
    budget = a_budget(HandClock())
    budget.note_used(50 * UNIT)
    await budget.spend(10 * UNIT, patience_s=0)
    assert budget.used == 60 * UNIT


async def test_a_stop_holds_everybody_until_its_end() -> None:
    clock = HandClock()
    budget = a_budget(clock)
    budget.stop_until(ReadError(FailureKind.BANNED, "banned", NOON + timedelta(seconds=300)))
    for elapsed_s in (0.0, 299.9):
        clock.elapsed_s = elapsed_s
        with pytest.raises(ReadError) as failure:
            await budget.spend(1 * UNIT, patience_s=1000)
        assert failure.value.kind is FailureKind.BANNED
    clock.elapsed_s = 300
    await budget.spend(1 * UNIT, patience_s=0)


async def test_a_stop_during_a_wait_holds_who_waits() -> None:
    clock = HandClock()
    budget = a_budget(clock)
    await budget.spend(100 * UNIT, patience_s=0)
    waiting = asyncio.create_task(budget.spend(1 * UNIT, patience_s=60))
    await asyncio.sleep(0)
    budget.stop_until(ReadError(FailureKind.BANNED, "banned", NOON + timedelta(seconds=300)))
    with pytest.raises(ReadError):
        await waiting


async def test_a_path_with_a_pace_of_its_own_waits_for_it_and_holds_up_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real_s = [0.0]
    monkeypatch.setattr(throttler, "time", SimpleNamespace(monotonic=lambda: real_s[0]))
    budget = Budget(weight_per_minute=1000, paces={"/slow": 2}, clock=HandClock())
    for _ in range(2):
        await budget.spend(1, 0, "/slow")
    waiting = asyncio.create_task(budget.spend(1, 0, "/slow"))
    await budget.spend(1, 0, "/quick")
    await asyncio.sleep(0.05)
    assert not waiting.done()
    real_s[0] = 1.1
    await asyncio.wait_for(waiting, 5)
    assert budget.used == 4


@given(st.lists(st.tuples(st.integers(0, 40), st.floats(0, 30)), max_size=60))
def test_no_minute_ever_holds_more_than_the_budget(spending: list[tuple[int, float]]) -> None:
    async def spend_all() -> list[tuple[float, int]]:
        clock, left = HandClock(), []
        budget = a_budget(clock)
        for weight, pause_s in spending:
            await budget.spend(weight * UNIT, patience_s=1000)
            left.append((clock.elapsed_s, weight))
            clock.elapsed_s += pause_s
        return left

    left = asyncio.run(spend_all())
    for start_s, _ in left:
        assert sum(weight for at_s, weight in left if start_s <= at_s < start_s + WINDOW_S - 1e-6) <= 100


async def test_what_is_asked_at_leisure_leaves_most_of_the_budget_to_what_alerts_wait_for() -> None:
    """Fifty accounts ask for records at once, while the venue moves."""
    clock = HandClock()
    budget = a_budget(clock)
    with at_leisure():
        asked = await asyncio.gather(*(budget.spend(5 * UNIT, 0) for _ in range(50)), return_exceptions=True)
    assert sum(error is None for error in asked) == 100 * LEISURE_SHARE // 5
    await budget.spend(round((1 - LEISURE_SHARE) * 100) * UNIT, patience_s=0)
    assert clock.elapsed_s == 0


async def test_what_is_asked_at_leisure_gets_its_share_again_and_again() -> None:
    clock = HandClock()
    budget = a_budget(clock)
    with at_leisure():
        for _ in range(20):
            await budget.spend(5 * UNIT, patience_s=30)
    assert clock.elapsed_s == pytest.approx(3 * WINDOW_S)


async def test_what_waits_for_less_room_leaves_the_rest_to_all_else_that_is_at_leisure() -> None:
    """Bookings of many pages and accounts, and stop orders that weigh more than a page."""
    clock = HandClock()
    budget = a_budget(clock)
    with at_leisure(0.75):
        asked = await asyncio.gather(*(budget.spend(UNIT, 0) for _ in range(50)), return_exceptions=True)
    assert sum(error is None for error in asked) == 100 * LEISURE_SHARE * 0.75 // 1
    with at_leisure():
        await budget.spend(6 * UNIT, 0)
    with at_leisure(0.75), pytest.raises(ReadError, match="what alerts wait for is asked first"):
        await budget.spend(UNIT, 0)


async def test_what_is_asked_at_leisure_does_not_wait_for_a_budget_that_is_spent() -> None:
    clock = HandClock()
    budget = a_budget(clock)
    await budget.spend(99 * UNIT, patience_s=0)
    with at_leisure(), pytest.raises(ReadError, match="budget of this address is spent"):
        await budget.spend(5 * UNIT, patience_s=60)
    assert clock.elapsed_s == 0
    await budget.spend(UNIT, patience_s=0)
