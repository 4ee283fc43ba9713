"""The outbox emptied through Apprise's own plugins, against services that fail in every way they know.

Time runs faster than life where waits are long; what a service takes to answer does not, so those channels get a
deadline to match.
"""

import asyncio
import io
import logging
import random
import sys
from collections.abc import Iterator
from functools import partial

import pytest

from monitor import log
from monitor.clock import Clock, ScaledClock, SystemClock
from monitor.domain.alert import Alert, Reason
from monitor.domain.notification import DeliveryState, Notification
from monitor.domain.reading import Severity
from monitor.store.records import Changes
from monitor.store.store import Store
from tests.outbox import NOON, a_row, alerts, delivering, enqueue, everybody, finished, key, now_of, resolved_row, until
from tests.services import (
    DISCORD,
    DISCORD_TOKEN,
    TELEGRAM,
    TELEGRAM_TOKEN,
    Answer,
    discord,
    discord_says,
    drips,
    hangs,
    hangs_up,
    telegram,
    telegram_says,
)

DOWN = telegram_says(500, "Internal Server Error")
phone = partial(TELEGRAM.channel, "phone")
desk = partial(DISCORD.channel, "desk")


def scaled(speed: float) -> ScaledClock:
    return ScaledClock(NOON, speed)


async def resolve(store: Store, row: Notification, clock: Clock) -> None:
    end = now_of(resolved_row(key=row.key, target=row.target, sequence=9), clock)
    await store.apply(Changes(alerts=(Alert(key=row.key, episode=row.episode),), enqueue=(end,)))


async def test_a_row_is_written_down_as_sending_before_its_message_leaves() -> None:
    clock, seen = SystemClock(), list[tuple[DeliveryState, int]]()
    async with telegram() as service, delivering(clock, {"phone": phone(service, clock)}) as (store, _):

        async def look(_: object) -> object:
            seen.extend((row.state, row.attempts) for row in store.undelivered.values())
            return await telegram_says(200)(_)  # type: ignore[arg-type]

        service.always = look  # type: ignore[assignment]
        await enqueue(store, now_of(a_row(), clock))
        await until(lambda: not store.undelivered)
        (row,) = (await finished(store)).values()
    assert seen == [(DeliveryState.SENDING, 1)]
    assert row.state is DeliveryState.SENT
    assert row.delivered_at is not None


@pytest.mark.parametrize("answer", [hangs, drips])
async def test_a_service_that_hangs_delays_no_other_channel(answer: Answer) -> None:
    clock = SystemClock()
    async with telegram() as sick, discord() as well:
        sick.always = answer
        channels = {"phone": phone(sick, clock, deadline_s=3), "desk": desk(well, clock)}
        async with delivering(clock, channels) as (store, _):
            await enqueue(store, *alerts(1, clock, "phone"))
            await until(lambda: sick.messages)
            started = asyncio.get_running_loop().time()
            await enqueue(store, *alerts(5, clock, "desk"))
            await until(lambda: well.messages)
            assert well.times[0] - started < 1.0


@pytest.mark.parametrize("apart_s", [0.0, 0.05])
async def test_fifty_alerts_at_once_are_two_messages_per_target_within_ten_seconds(apart_s: float) -> None:
    clock = scaled(10)
    async with telegram() as one, discord() as other:
        channels = {"phone": phone(one, clock), "desk": desk(other, clock)}
        async with delivering(clock, channels) as (store, _):
            for n in range(50):
                rows = [now_of(a_row(key=key(f"fund-{n}"), target=target), clock) for target in channels]
                await enqueue(store, *rows)
                await clock.sleep(apart_s)
            await until(lambda: not store.undelivered)
            told = await finished(store)
    for service in (one, other):
        within = [at for at in service.times if (at - service.times[0]) * 10 < 10]
        assert len(within) <= 2
        text = "\n".join(service.texts)
        assert all(f"CRITICAL fund-{n}:" in text for n in range(50))
    assert {row.state for row in told.values()} == {DeliveryState.SENT}
    assert "more" in other.texts[-2]


@pytest.mark.parametrize("wait_s", [3, 8])
async def test_a_rate_limit_is_waited_out_to_the_second_and_nothing_is_lost(wait_s: int) -> None:
    clock = scaled(4)
    async with telegram() as service:
        service.answers.append(telegram_says(429, f"Too Many Requests: retry after {wait_s}", retry_after=wait_s))
        async with delivering(clock, {"phone": phone(service, clock)}) as (store, _):
            await enqueue(store, *alerts(3, clock, "phone"))
            await until(lambda: len(service.messages) == 1)
            await enqueue(store, now_of(a_row(key=key("later")), clock))
            await until(lambda: not store.undelivered)
            told = await finished(store)
    assert wait_s <= (service.times[1] - service.times[0]) * 4 < wait_s + 1
    assert len(service.messages) == 2
    assert "4 critical" in service.texts[1]
    assert {row.attempts for row in told.values()} == {1}


async def test_a_fractional_rate_limit_of_discord_is_waited_out_as_well() -> None:
    clock = scaled(5)
    async with discord() as service:
        service.answers.append(discord_says(429, {"retry_after": 6.5}, Retry_After="6.5"))
        async with delivering(clock, {"desk": desk(service, clock)}) as (store, _):
            await enqueue(store, *alerts(1, clock, "desk"))
            await until(lambda: len(service.messages) == 2)
    assert 6.5 <= (service.times[1] - service.times[0]) * 5 < 8.5


async def test_what_was_over_before_it_could_be_told_is_one_late_message() -> None:
    clock = scaled(20)
    async with telegram() as service:
        service.always = DOWN
        async with delivering(clock, {"phone": phone(service, clock)}) as (store, _):
            row = now_of(a_row(), clock)
            await enqueue(store, row)
            await until(lambda: service.messages)
            await resolve(store, row, clock)
            service.always, service.answers = None, service.answers
            await until(lambda: not store.undelivered)
            told = await finished(store)
    late = service.texts[-1]
    assert "resolved main" in late
    assert "delivered late" in late
    states = {row.reason: row.state for row in told.values()}
    assert states == {Reason.FIRST: DeliveryState.SUPERSEDED, Reason.RESOLVED: DeliveryState.SENT}


async def test_the_end_of_an_alert_whose_worsening_could_not_be_told_is_late_and_no_repetition() -> None:
    clock = scaled(20)
    async with telegram() as service, delivering(clock, {"phone": phone(service, clock)}) as (store, _):
        row = now_of(a_row(severity=Severity.WARNING), clock)
        await enqueue(store, row)
        await until(lambda: not store.undelivered)
        service.always = DOWN
        await enqueue(store, now_of(a_row(Reason.WORSE, sequence=1), clock))
        await until(lambda: len(service.messages) == 2)
        await resolve(store, row, clock)
        service.always = None
        await until(lambda: not store.undelivered)
        told = await finished(store)
    assert ["delivered late" in text for text in service.texts] == [False, False, True]
    assert "possible repeat" not in service.texts[-1]
    states = {row.reason: row.state for row in told.values()}
    sent, unspoken = DeliveryState.SENT, DeliveryState.SUPERSEDED
    assert states == {Reason.FIRST: sent, Reason.WORSE: unspoken, Reason.RESOLVED: sent}


async def test_a_message_that_may_have_arrived_is_marked_when_it_is_sent_again() -> None:
    clock = scaled(20)
    async with telegram() as service:
        service.answers.append(hangs_up)
        async with delivering(clock, {"phone": phone(service, clock)}) as (store, _):
            await enqueue(store, *alerts(1, clock, "phone"))
            await until(lambda: not store.undelivered)
    assert ["(possible repeat)" in text for text in service.texts] == [False, True]


async def test_a_refused_target_is_disabled_told_through_the_others_and_heals() -> None:
    clock = scaled(600)
    async with telegram() as sick, discord() as well:
        sick.answers.append(telegram_says(401, "Unauthorized"))
        channels = {"phone": phone(sick, clock, deadline_s=3_000), "desk": desk(well, clock, deadline_s=3_000)}
        async with delivering(clock, channels) as (store, delivery):
            await enqueue(store, *alerts(1, clock, "phone"))
            await until(lambda: any("channel phone is down" in text for text in well.texts))
            state = {state.name: state for state in delivery.channel_states()}["phone"]
            assert state.disabled
            assert not state.ok
            assert state.detail == "unauthorized: HTTP 401: Unauthorized"
            assert state.oldest_critical_at is not None
            assert len(sick.messages) == 1
            await until(lambda: len(sick.messages) == 2)
            await until(lambda: any("channel phone works again" in text for text in well.texts))
            assert all(state.ok and not state.disabled for state in delivery.channel_states())
    assert (sick.times[1] - sick.times[0]) * 600 >= 600


async def test_an_unconfirmed_critical_goes_to_the_fallback_and_then_to_every_channel() -> None:
    clock = scaled(20)
    audience = everybody("phone", "desk", "backup", fallbacks=("backup",))
    async with telegram() as sick, discord() as quiet, discord() as spare:
        sick.always = DOWN
        channels = {
            "phone": phone(sick, clock),
            "desk": desk(quiet, clock),
            "backup": DISCORD.channel("backup", spare, clock),
        }
        async with delivering(clock, channels, audience=audience) as (store, _):
            started = asyncio.get_running_loop().time()
            await enqueue(store, *alerts(1, clock, "phone"))
            await until(lambda: quiet.messages)
    assert 15 <= (spare.times[0] - started) * 20 < 22
    assert 60 <= (quiet.times[0] - started) * 20 < 70
    assert len(spare.messages) == 1


async def test_a_confirmed_critical_bothers_no_fallback() -> None:
    clock = scaled(60)
    audience = everybody("phone", "backup", fallbacks=("backup",))
    async with telegram() as service, discord() as spare:
        channels = {"phone": phone(service, clock, deadline_s=300), "backup": DISCORD.channel("backup", spare, clock)}
        async with delivering(clock, channels, audience=audience) as (store, _):
            await enqueue(store, *alerts(1, clock, "phone"))
            await clock.sleep(20)
            assert not store.undelivered
    assert not spare.messages


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_through_any_mix_of_failures_everything_is_told_and_each_episode_in_order(seed: int) -> None:
    clock, rng = scaled(60), random.Random(seed)
    failures = [DOWN, telegram_says(429, "slow down", retry_after=2), hangs_up, telegram_says(400, "Bad Request")]
    async with telegram() as service:
        service.answers.extend(rng.choice([*failures, telegram_says(200)]) for _ in range(12))
        channels = {"phone": phone(service, clock, deadline_s=600)}
        async with delivering(clock, channels) as (store, _):
            rows = alerts(12, clock, "phone")
            for row in rows:
                await enqueue(store, row)
                await clock.sleep(rng.uniform(0, 4))
            for row in rows[:6]:
                await resolve(store, row, clock)
                await clock.sleep(rng.uniform(0, 4))
            await until(lambda: not store.undelivered, within_s=20)
            told = await finished(store)
    assert {row.state for row in told.values()} <= {DeliveryState.SENT, DeliveryState.SUPERSEDED}
    assert len(told) == 18
    lines = "\n".join(service.texts).splitlines()
    for n in range(12):
        of_account = [line for line in lines if f" fund-{n}:" in line]
        firing = [index for index, line in enumerate(of_account) if "CRITICAL" in line]
        over = [index for index, line in enumerate(of_account) if "resolved" in line]
        assert bool(over) == (n < 6)
        assert firing or over
        assert not firing or not over or max(firing) < min(over)


async def test_info_and_warnings_wait_for_their_group() -> None:
    clock = scaled(20)
    async with telegram() as service, delivering(clock, {"phone": phone(service, clock)}) as (store, _):
        rows = [now_of(a_row(key=key(f"w{n}"), severity=Severity.WARNING), clock, wait_s=10) for n in range(3)]
        started = asyncio.get_running_loop().time()
        for row in rows:
            await enqueue(store, row)
        await until(lambda: not store.undelivered)
    assert len(service.messages) == 1
    assert "3 warnings" in service.texts[0]
    assert (service.times[0] - started) * 20 >= 9.5


@pytest.fixture
def debug_log() -> Iterator[io.StringIO]:
    """Everything that is logged at the lowest level, through the house's own handler."""
    root, stream = logging.getLogger(), io.StringIO()
    before = root.level, list(root.handlers), logging.getLogRecordFactory(), sys.excepthook
    log.configure("debug", "json", stream)
    yield stream
    logging.captureWarnings(capture=False)
    root.setLevel(before[0])
    root.handlers[:] = before[1]
    logging.setLogRecordFactory(before[2])
    sys.excepthook = before[3]


@pytest.mark.parametrize(
    "answer",
    [
        telegram_says(401, f"no such bot {TELEGRAM_TOKEN}"),
        telegram_says(400, f"cannot parse {TELEGRAM_TOKEN} {DISCORD_TOKEN}"),
        telegram_says(429, TELEGRAM_TOKEN, retry_after=1),
        telegram_says(500, DISCORD_TOKEN),
        hangs_up,
        hangs,
    ],
)
async def test_no_token_reaches_a_log_line_or_the_outbox(answer: Answer, debug_log: io.StringIO) -> None:
    clock = SystemClock()
    async with telegram() as one, discord() as other:
        one.always = other.always = answer
        channels = {"phone": phone(one, clock, deadline_s=0.3), "desk": desk(other, clock, deadline_s=0.3)}
        async with delivering(clock, channels) as (store, delivery):
            await enqueue(store, *alerts(1, clock, "phone", "desk"))
            await until(
                lambda: all(r.last_error for r in store.undelivered.values() if r.severity is Severity.CRITICAL)
            )
            outbox = f"{store.undelivered}{delivery.channel_states()}"
    for secret in (TELEGRAM_TOKEN, TELEGRAM_TOKEN.partition(":")[2], DISCORD_TOKEN):
        assert secret not in debug_log.getvalue()
        assert secret not in outbox
    assert "message not delivered" in debug_log.getvalue()
