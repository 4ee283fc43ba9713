"""The judge of what was told, for crash test and soak: sound stories pass, and each way to be wrong is named."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.crashtest import CHANNELS, Figures, judge
from monitor.clock import SystemClock
from monitor.domain.alert import Reason
from monitor.domain.notification import DeliveryState, Notification
from monitor.domain.reading import Severity
from monitor.notify.message import render
from monitor.store.records import Changes
from monitor.store.store import Store
from tests.daemon_kit import a_house
from tests.outbox import a_row, after, key, resolved_row

ACCOUNT = "t0"
FIRST = a_row(key=key(ACCOUNT), severity=Severity.WARNING)
WORSE = a_row(Reason.WORSE, key=key(ACCOUNT), sequence=1)
END = resolved_row(key=key(ACCOUNT), sequence=2)
WORSE_TOO_LATE = replace(WORSE, state=DeliveryState.SUPERSEDED)

Message = tuple[Notification, ...]


def again(row: Notification) -> Notification:
    return replace(row, possible_repeat=True)


def next_(row: Notification) -> Notification:
    return replace(row, episode=2)


async def problems_of(folder: Path, owed: Message, messages: list[Message]) -> list[str]:
    """What the judge says where each channel was owed these rows and read these messages."""
    async with a_house(folder, speed=None) as house:
        store = await Store.open(house.database, SystemClock())
        for channel in CHANNELS:
            rows = (replace(row, target=channel) for row in owed)
            closed = (replace(row, state=DeliveryState.SENT) if row.state.is_open else row for row in rows)
            await store.apply(Changes(enqueue=tuple(closed)))
            for told in messages:
                rendered = render(told, after(250), 3_500)
                house.sink.messages.append((channel, f"{rendered.title}\n{rendered.body}"))
        await store.close()
        figures = Figures()
        judge(house, figures, [ACCOUNT])
    return figures.problems


@pytest.mark.parametrize(
    ("owed", "messages"),
    [
        ((FIRST, WORSE, END), [(FIRST,), (WORSE,), (END,)]),
        ((FIRST, END), [(FIRST, END)]),
        ((FIRST, WORSE_TOO_LATE, END), [(FIRST,), (WORSE_TOO_LATE, END)]),
        ((FIRST, END), [(FIRST,), (again(FIRST),), (END,), (again(END),)]),
        ((FIRST, END), [(FIRST,), (again(FIRST), END)]),
        ((FIRST, END, next_(FIRST), next_(END)), [(FIRST,), (END, next_(FIRST)), (next_(END),)]),
    ],
    ids=["in time", "late", "worsening too late", "twice, marked", "late, marked", "the next in one message"],
)
async def test_a_story_told_as_it_should_be_is_no_problem(
    tmp_path: Path, owed: Message, messages: list[Message]
) -> None:
    assert await problems_of(tmp_path, owed, messages) == []


@pytest.mark.parametrize(
    ("owed", "messages", "problem"),
    [
        ((FIRST, END), [(FIRST,), (FIRST, END)], "read of 1 known episodes that their end is late, 0 had"),
        ((FIRST, WORSE, END), [(FIRST,), (WORSE,), (WORSE, END)], "read of 1 known episodes that their end is late"),
        ((FIRST, END), [(FIRST,), (FIRST,), (END,)], "message 1 says first, the episode is open: True"),
        ((FIRST, END), [(FIRST, END), (END,)], "message 1 says resolved, the episode is open: False"),
        ((FIRST, END), [(FIRST, END), (FIRST, END)], "read [2, 2] of 1 and 1 unmarked"),
        ((FIRST, END), [(FIRST,)], "read 1 of 1, 0 of 1"),
        (
            (FIRST, END, next_(FIRST), next_(END)),
            [(FIRST,), (again(FIRST), END), (again(next_(END)),)],
            "read 1 of 2, 2 of 2",
        ),
    ],
    ids=[
        "late for nothing",
        "late, but told",
        "begun twice",
        "ended twice",
        "late twice",
        "end lost",
        "beginning lost",
    ],
)
async def test_a_story_told_wrongly_is_named(
    tmp_path: Path, owed: Message, messages: list[Message], problem: str
) -> None:
    found = await problems_of(tmp_path, owed, messages)
    assert {channel for channel in CHANNELS if any(channel in line and problem in line for line in found)} == set(
        CHANNELS
    )
