"""The demo's clock: faster than life, and patient with a loop that is kept from running."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from monitor.cli.demo_clock import LONGEST_STEP_S, PatientClock

START = datetime(2025, 10, 10, tzinfo=UTC)


@asynccontextmanager
async def running(speed: float) -> AsyncIterator[PatientClock]:
    clock = PatientClock(START, speed)
    task = asyncio.create_task(clock.run())
    try:
        yield clock
    finally:
        task.cancel()


async def test_it_stands_until_it_is_run() -> None:
    clock = PatientClock(START, 100)
    await asyncio.sleep(0.01)
    assert (clock.now(), clock.monotonic()) == (START, 0.0)


async def test_a_sleep_lasts_as_long_as_it_says_on_this_clock() -> None:
    async with running(1000) as clock:
        before = clock.monotonic()
        await clock.sleep(20)
        assert clock.monotonic() - before >= 20
        assert (clock.now() - START).total_seconds() == pytest.approx(clock.monotonic())


async def test_while_the_loop_is_kept_from_running_time_stands() -> None:
    async with running(1000) as clock:
        await clock.sleep(5)
        before = clock.monotonic()
        time.sleep(0.2)  # noqa: ASYNC251 - the very thing it is about
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert clock.monotonic() - before <= 2 * LONGEST_STEP_S * 1000


async def test_a_block_past_its_deadline_is_ended() -> None:
    async with running(1000) as clock:
        with pytest.raises(TimeoutError):
            async with clock.deadline(5):
                await asyncio.sleep(30)
        assert 5 <= clock.monotonic() < 10_000


async def test_a_block_that_ended_in_time_is_left_alone() -> None:
    async with running(1000) as clock:
        async with clock.deadline(5):
            pass
        await clock.sleep(10)
