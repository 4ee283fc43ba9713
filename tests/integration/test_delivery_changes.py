"""Deliveries whose channels change under them, and deliveries that end: what is under way then."""

import asyncio
import sys
import textwrap
import time
from functools import partial
from pathlib import Path

from monitor.clock import ScaledClock, SystemClock
from monitor.domain.notification import DeliveryState, NoticeFacts
from monitor.domain.reading import Severity
from monitor.notify.escalation import CHANNEL_DOWN
from tests.outbox import NOON, a_notice, a_row, alerts, delivering, enqueue, everybody, finished, key, now_of, until
from tests.services import DISCORD, TELEGRAM, TELEGRAM_URL, discord, drips, hangs, telegram

REPOSITORY = Path(__file__).resolve().parents[2]
phone = partial(TELEGRAM.channel, "phone")
desk = partial(DISCORD.channel, "desk")


async def test_rows_of_a_removed_channel_are_closed_and_their_critical_news_goes_elsewhere() -> None:
    clock = ScaledClock(NOON, 20)
    async with discord() as service, delivering(clock, {"desk": desk(service, clock)}) as (store, _):
        warning = now_of(a_row(key=key("w"), severity=Severity.WARNING, target="gone"), clock)
        taken = a_notice("LIQUIDATED fund-1", key=key("l"), severity=Severity.CRITICAL, target="gone")
        await enqueue(store, warning, now_of(taken, clock), *alerts(1, clock, "gone"))
        await until(lambda: not store.undelivered)
        told = await finished(store)
    closed = [row for row in told.values() if row.target == "gone"]
    assert {row.state for row in closed} == {DeliveryState.DEAD}
    text = "\n".join(service.texts)
    assert "channel gone was removed" in text
    assert "CRITICAL fund-0" in text
    assert "LIQUIDATED fund-1" in text
    assert "WARNING w" not in text
    assert any(row.key.rule == CHANNEL_DOWN and isinstance(row.facts, NoticeFacts) for row in told.values())


async def test_a_reload_takes_over_new_channels_and_leaves_the_same_ones_alone() -> None:
    clock = SystemClock()
    async with telegram() as one, discord() as other:
        kept = phone(one, clock)
        async with delivering(clock, {"phone": kept, "old": DISCORD.channel("old", other, clock)}) as (store, delivery):
            await asyncio.sleep(0)
            channels = {"phone": kept, "new": DISCORD.channel("new", other, clock)}
            delivery.replace_channels(channels, everybody("phone", "new"))
            await enqueue(store, *alerts(1, clock, "phone", "new"))
            await until(lambda: not store.undelivered)
            assert {state.name for state in delivery.channel_states()} == {"phone", "new"}
    assert len(one.messages) == len(other.messages) == 1


async def test_a_send_broken_off_by_a_reload_goes_again_as_a_possible_repeat() -> None:
    clock = SystemClock()
    async with telegram() as service:
        service.answers.append(hangs)
        async with delivering(clock, {"phone": phone(service, clock)}) as (store, delivery):
            await enqueue(store, *alerts(1, clock, "phone"))
            await until(lambda: service.messages)
            delivery.replace_channels({"phone": phone(service, clock)}, everybody("phone"))
            await until(lambda: not store.undelivered)
    assert "(possible repeat)" in service.texts[1]


async def test_the_end_sends_what_is_due_past_its_window_and_waits_for_a_chats_budget() -> None:
    clock = SystemClock()
    async with telegram() as service, delivering(clock, {"phone": phone(service, clock)}) as (store, delivery):
        await enqueue(store, *alerts(1, clock, "phone"))
        await until(lambda: service.messages and not store.undelivered)
        late = now_of(a_row(key=key("late")), clock)
        await enqueue(store, late)
        await delivery.drain(5)
        assert not store.undelivered
    assert len(service.messages) == 2


async def test_what_hangs_at_the_end_is_left_for_the_next_start_as_a_possible_repeat(tmp_path: Path) -> None:
    clock, path = SystemClock(), tmp_path / "state.db"
    async with telegram() as service:
        service.answers.append(drips)
        async with delivering(clock, {"phone": phone(service, clock)}, path=path) as (store, delivery):
            await enqueue(store, *alerts(1, clock, "phone"))
            await until(lambda: service.messages)
            started = time.monotonic()
            await delivery.drain(0.3)
            assert time.monotonic() - started < 1.0
            assert len(store.undelivered) == 1
        async with delivering(clock, {"phone": phone(service, clock)}, path=path) as (store, _):
            await until(lambda: not store.undelivered)
    assert ["(possible repeat)" in text for text in service.texts] == [False, True]


async def test_a_dripping_answer_does_not_hold_the_process() -> None:
    """Threads of an executor would be joined at exit, for as long as the service likes to drip."""
    script = """
        import asyncio, sys
        from monitor.clock import ScaledClock, SystemClock
        from monitor.domain.reading import Severity
        from monitor.notify.channels import Channel
        from monitor.notify.message import Rendered

        channel = Channel("phone", sys.argv[1], SystemClock(), deadline_s=0.2, base_url=sys.argv[2])
        result = asyncio.run(channel.send(Rendered("t", "b", (), Severity.CRITICAL)))
        print(result.kind, flush=True)
    """
    async with telegram() as service:
        service.always = drips
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            textwrap.dedent(script),
            TELEGRAM_URL,
            service.url,
            cwd=REPOSITORY,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        async with asyncio.timeout(30):
            assert await process.stdout.readline() == b"ambiguous\n"
            started = time.monotonic()
            assert await process.wait() == 0
        assert time.monotonic() - started < 5
        assert await process.stderr.read() == b""
