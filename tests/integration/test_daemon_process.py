"""The real process: killed in the middle of its work, and stopped while a service hangs."""

import asyncio
import random
import re
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path

import pytest

from tests.daemon_kit import (
    CRITICAL_MARK,
    House,
    a_house,
    a_process,
    a_trader,
    eventually,
    terminated,
)
from tests.services import Ailment, Answer, drips_headers, webhook, webhook_says

ACCOUNTS = [f"t{number}" for number in range(8)]
FIRING = re.compile(r"CRITICAL (\w+): BTC/USDT:USDT long")


def _prepared(house: House) -> None:
    house.yaml.more = f"health: {{port: 0}}\ndatabase: {house.database}\n"
    house.yaml.poll_interval = "1s"
    house.yaml.read_deadline = "10s"
    house.write()


def _run(house: House) -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
    return a_process(house.folder, "run", "-c", str(house.path))


async def test_killed_at_any_moment_every_alert_arrives_and_repeats_are_marked(tmp_path: Path) -> None:
    seed = random.randrange(10**6)
    async with a_house(tmp_path, speed=None) as house:
        for name in ACCOUNTS:
            a_trader(house.engine, name)
            house.yaml.account(name)
        _prepared(house)
        house.mark(CRITICAL_MARK)
        # The first kill as messages begin to go out, the second at some moment of the work that follows.
        for wait_s in (0.0, random.Random(seed).uniform(0.1, 1.5)):
            async with _run(house):
                await eventually(lambda: house.sink.messages, "the first message")
                await asyncio.sleep(wait_s)
        async with _run(house) as process:
            await eventually(lambda: len(_told(house.sink.texts())) == len(ACCOUNTS) + 1, f"all alerts ({seed=})")
            await asyncio.sleep(1.0)
            ended = await terminated(process)
        assert ended.code == 0, ended.err
        unmarked = _told(house.sink.texts(), marked=False)
        assert all(count == 1 for count in unmarked.values()), (seed, house.sink.messages)


def _told(texts: Iterable[str], *, marked: bool = True) -> Counter[str]:
    """How often each account's alert was told; without `marked`, but for those said to be possible repeats."""
    told: Counter[str] = Counter()
    for text in texts:
        lines = text.splitlines()
        is_digest = len(FIRING.findall(text)) > 1
        for line in lines:
            if (found := FIRING.search(line)) and (marked or "possible repeat" not in (line if is_digest else text)):
                told[found[1]] += 1
    return told


async def test_sigterm_ends_it_within_8_s_though_a_service_hangs(tmp_path: Path) -> None:
    async with a_house(tmp_path, speed=None) as house:
        house.yaml.channels["desk"] = f"{{url: '{house.sink.url('desk')}'}}"
        house.sink.hanging.add("desk")
        _prepared(house)
        house.mark(CRITICAL_MARK)
        async with _run(house) as process:
            await eventually(lambda: house.sink.about("CRITICAL main: BTC", "desk"), "a message that hangs")
            await eventually(lambda: house.sink.about("CRITICAL main: BTC", "phone"), "a message that does not")
            started = time.monotonic()
            ended = await terminated(process)
            assert time.monotonic() - started < 8.5
            assert ended.code == 0, ended.err
            assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("ailment", "answer", "state", "is_marked"),
    [
        (drips_headers, None, "sending", True),
        (None, webhook_says(429, Retry_After="6"), "retry", False),
    ],
    ids=["a send drips", "a rate limit is waited out"],
)
async def test_sigterm_ends_it_within_8_s_and_the_next_start_sends_what_was_kept_once(
    tmp_path: Path, ailment: Ailment | None, answer: Answer | None, state: str, is_marked: bool
) -> None:
    async with a_house(tmp_path, speed=None) as house, webhook() as desk:
        house.yaml.channels["desk"] = f"{{url: '{desk.url.replace('http', 'json', 1)}'}}"
        _prepared(house)
        house.mark(CRITICAL_MARK)
        desk.ailing, desk.always = ailment, answer
        async with _run(house) as process:
            await eventually(lambda: house.sink.about("CRITICAL main: BTC"), "a message that arrives")
            await eventually(lambda: _kept(house).get("desk") == {state}, f"a row that is {state}")
            started = time.monotonic()
            ended = await terminated(process)
            assert time.monotonic() - started < 8.5
        assert (ended.code, "Traceback" in ended.err) == (0, False), ended.err
        assert _kept(house) == {"desk": {state}}
        desk.ailing = desk.always = None
        desk.messages.clear()
        async with _run(house) as process:
            await eventually(lambda: not _kept(house) and desk.messages, "what was kept")
            assert (await terminated(process)).code == 0
    assert _told(desk.texts) == {"main": 1}, desk.texts
    assert _told(desk.texts, marked=False) == ({} if is_marked else {"main": 1}), desk.texts


def _kept(house: House) -> dict[str, set[str]]:
    """The states of the critical messages not delivered, by channel, as they stand on the disk."""
    with closing(sqlite3.connect(f"file:{house.database}?mode=ro", uri=True)) as database:
        rows = database.execute(
            "SELECT target, state FROM outbox WHERE state IN ('pending', 'sending', 'retry') AND rule != 'monitor'"
        ).fetchall()
    return {target: {state for to, state in rows if to == target} for target, _ in rows}
