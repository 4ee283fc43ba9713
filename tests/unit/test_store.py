"""What the store keeps, in memory and across restarts."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from monitor.domain.alert import Alert, Reason
from monitor.domain.notification import DeliveryState, Notification
from monitor.domain.reading import Severity
from monitor.domain.silence import Matcher, Silence
from monitor.store import mirrors, retention
from monitor.store import store as store_module
from monitor.store.records import AccountRecord, Changes
from monitor.store.store import Store
from tests.unit.store_kit import KEY, T0, ManualClock, copy_as_after_kill, firing, key, message, only, sent

SILENCE = Silence(
    id="s1",
    matchers=(Matcher(rule="margin*", severity=Severity.WARNING), Matcher()),
    starts_at=T0,
    ends_at=T0 + timedelta(hours=1),
    author="owner",
    comment="moving funds",
)
RECORD = AccountRecord(account="main", venue="binanceusdm", last_read_at=T0, last_flat=False, last_positions=2)
UNREAD = AccountRecord(account="new", venue="binanceusdm", last_read_at=None, last_flat=None, last_positions=None)
EVERYTHING = Changes(
    alerts=(firing(),), enqueue=(message(),), accounts=(RECORD, UNREAD), silences=(SILENCE,), alive_at=T0
)


def contents(store: Store) -> tuple[Any, ...]:
    return (
        dict(store.alerts),
        dict(store.undelivered),
        store.silences,
        dict(store.accounts),
        store.last_alive_at,
        store.dead_count,
        store.announced_targets(KEY, 1),
    )


async def reopened(store: Store, path: Path, clock: ManualClock) -> Store:
    await store.close()
    return await Store.open(path, clock)


async def test_a_new_store_is_empty_and_private(tmp_path: Path) -> None:
    path = tmp_path / "state" / "perpwatch.db"
    store = await Store.open(path, ManualClock())
    assert contents(store) == ({}, {}, (), {}, None, 0, frozenset())
    assert store.set_aside is None
    assert store.failing_since is None
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0
    await store.close()


@pytest.mark.parametrize("in_memory", [False, True])
async def test_the_mirrors_show_what_was_applied(in_memory: bool, tmp_path: Path) -> None:
    store = await Store.open(None if in_memory else tmp_path / "a.db", ManualClock())
    await store.apply(EVERYTHING)
    row = replace(message(), id=1)
    accounts = {"main": RECORD, "new": UNREAD}
    assert contents(store) == ({KEY: firing()}, {1: row}, (SILENCE,), accounts, T0, 0, {"phone"})
    await store.close()


@pytest.mark.parametrize("name", ["a.db", "a?mode=memory.db", "100% ä#b.db"])
async def test_everything_is_there_after_a_restart(name: str, tmp_path: Path) -> None:
    path, clock = tmp_path / name, ManualClock()
    store = await Store.open(path, clock)
    await store.apply(EVERYTHING)
    before = contents(store)
    assert path.exists()
    store = await reopened(store, path, clock)
    assert contents(store) == before
    await store.close()


async def test_the_database_is_in_wal_and_waits_for_the_disk(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "a.db", ManualClock())
    engine = store._database.engine
    assert engine is not None
    with engine.begin() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 5000
    await store.close()


async def test_an_identity_is_enqueued_once_in_a_call_across_calls_and_across_restarts(tmp_path: Path) -> None:
    path, clock = tmp_path / "a.db", ManualClock()
    store = await Store.open(path, clock)
    await store.apply(Changes(enqueue=(message(), message(), message(target="mail"))))
    await store.apply(Changes(enqueue=(message(),)))
    assert sorted(row.target for row in store.undelivered.values()) == ["mail", "phone"]
    phone = next(row for row in store.undelivered.values() if row.target == "phone")
    await store.apply(Changes(notifications=(sent(phone),)))
    store = await reopened(store, path, clock)
    await store.apply(Changes(enqueue=(message(),)))
    assert only(store).target == "mail"
    await store.close()


@pytest.mark.parametrize(
    "other",
    [
        message(subject="cross:BTC"),
        message(episode=2),
        message(sequence=1),
        message(reason=Reason.REPEAT),
        message(target="mail"),
    ],
)
async def test_each_part_of_the_identity_makes_another_message(other: Notification) -> None:
    store = await Store.open(None, ManualClock())
    await store.apply(Changes(enqueue=(message(),)))
    await store.apply(Changes(enqueue=(other,)))
    assert len(store.undelivered) == 2
    await store.close()


async def test_a_message_that_was_being_sent_becomes_a_possible_repeat(tmp_path: Path) -> None:
    path, clock = tmp_path / "a.db", ManualClock()
    store = await Store.open(path, clock)
    await store.apply(Changes(enqueue=(message(), message(target="mail"))))
    phone, mail = store.undelivered.values()
    await store.apply(Changes(notifications=(replace(phone, state=DeliveryState.SENDING, attempts=1),)))
    store = await reopened(store, path, clock)
    retried = replace(phone, state=DeliveryState.RETRY, attempts=1, possible_repeat=True, next_attempt_at=T0)
    assert dict(store.undelivered) == {1: retried, 2: mail}
    assert (await reopened_contents(store, path, clock))[1] == {1: retried, 2: mail}


async def reopened_contents(store: Store, path: Path, clock: ManualClock) -> tuple[Any, ...]:
    store = await reopened(store, path, clock)
    found = contents(store)
    await store.close()
    return found


@pytest.mark.parametrize(
    ("state", "is_told"),
    [
        (DeliveryState.PENDING, True),
        (DeliveryState.SENDING, True),
        (DeliveryState.RETRY, True),
        (DeliveryState.SENT, True),
        (DeliveryState.SUPERSEDED, True),
        (DeliveryState.DEAD, False),
    ],
)
async def test_who_is_owed_the_end_of_an_episode(state: DeliveryState, is_told: bool, tmp_path: Path) -> None:
    path, clock = tmp_path / "a.db", ManualClock()
    store = await Store.open(path, clock)
    await store.apply(Changes(enqueue=(message(),)))
    await store.apply(Changes(notifications=(replace(only(store), state=state),)))
    expected = frozenset({"phone"}) if is_told else frozenset()
    assert store.announced_targets(KEY, 1) == expected
    assert store.announced_targets(KEY, 2) == frozenset()
    store = await reopened(store, path, clock)
    assert store.announced_targets(KEY, 1) == expected
    await store.close()


async def test_the_end_of_an_episode_announces_nothing_by_itself() -> None:
    store = await Store.open(None, ManualClock())
    await store.apply(Changes(enqueue=(message(reason=Reason.RESOLVED),)))
    assert store.announced_targets(KEY, 1) == frozenset()
    await store.apply(Changes(notifications=(sent(only(store)),)))
    assert store.announced_targets(KEY, 1) == frozenset()
    await store.close()


async def test_a_new_episode_starts_with_nobody_told(tmp_path: Path) -> None:
    path, clock = tmp_path / "a.db", ManualClock()
    store = await Store.open(path, clock)
    await store.apply(Changes(enqueue=(message(),)))
    await store.apply(Changes(notifications=(sent(only(store)),)))
    await store.apply(Changes(enqueue=(message(episode=2, target="mail"),)))
    assert store.announced_targets(KEY, 2) == {"mail"}
    store = await reopened(store, path, clock)
    assert store.announced_targets(KEY, 2) == {"mail"}
    await store.close()


async def test_a_forgotten_alert_that_comes_back_does_not_repeat_an_episode_number(tmp_path: Path) -> None:
    path, clock = tmp_path / "a.db", ManualClock()
    store = await Store.open(path, clock)
    assert store.alert(KEY) == Alert(key=KEY)
    await store.apply(Changes(alerts=(firing(episode=3),), enqueue=(message(episode=3),)))
    await store.apply(Changes(forget_alerts=(KEY,)))
    assert store.alerts == {}
    assert store.alert(KEY) == Alert(key=KEY, episode=3)
    store = await reopened(store, path, clock)
    assert store.alerts == {}
    assert store.alert(KEY) == Alert(key=KEY, episode=3)
    await store.close()


async def test_an_alert_forgotten_and_set_in_one_change_is_set() -> None:
    store = await Store.open(None, ManualClock())
    await store.apply(Changes(alerts=(firing(),), forget_alerts=(KEY,)))
    assert store.alerts == {KEY: firing()}
    await store.close()


async def test_dead_messages_are_counted_and_recent_ones_shown_newest_first(tmp_path: Path) -> None:
    path, clock = tmp_path / "a.db", ManualClock()
    store = await Store.open(path, clock)
    await store.apply(Changes(enqueue=tuple(message(sequence=n) for n in range(3))))
    first, second, _third = store.undelivered.values()
    dead = replace(second, state=DeliveryState.DEAD, dead_at=T0 + timedelta(seconds=9), last_error="gone")
    await store.apply(Changes(notifications=(sent(first), dead)))
    assert store.dead_count == 1
    assert await store.recent() == (dead, sent(first))
    assert await store.recent(1) == (dead,)
    store = await reopened(store, path, clock)
    assert store.dead_count == 1
    assert store.take_finished_before() == (dead, sent(first)), "known without asking a disk that may fail"
    assert store.take_finished_before() == ()
    await store.close()


async def test_whoever_waits_for_the_outbox_wakes_when_something_is_enqueued() -> None:
    store = await Store.open(None, ManualClock())
    await store.wait_for_outbox(0)  # what was loaded counts as news once
    waiting = asyncio.create_task(store.wait_for_outbox(5))
    await asyncio.sleep(0)
    await store.apply(Changes(alerts=(firing(),)))
    assert not waiting.done()
    await store.apply(Changes(enqueue=(message(),)))
    await asyncio.wait_for(waiting, 1)
    await store.wait_for_outbox(0.01)  # nothing new: the deadline ends it
    await store.close()


async def test_a_repeated_identity_wakes_nobody() -> None:
    store = await Store.open(None, ManualClock())
    await store.apply(Changes(enqueue=(message(),)))
    await store.wait_for_outbox(0.01)
    await store.apply(Changes(enqueue=(message(),)))
    assert not store._enqueued.is_set()
    await store.close()


async def test_concurrent_changes_are_written_in_the_order_of_the_calls(tmp_path: Path) -> None:
    path, clock = tmp_path / "a.db", ManualClock()
    store = await Store.open(path, clock)
    await asyncio.gather(*(store.apply(Changes(alerts=(firing(last_value=float(n)),))) for n in range(30)))
    assert store.alerts[KEY].last_value == 29.0
    store = await reopened(store, path, clock)
    assert store.alerts[KEY].last_value == 29.0
    await store.close()


async def test_a_cancelled_caller_does_not_take_its_change_back(tmp_path: Path) -> None:
    path, clock = tmp_path / "a.db", ManualClock()
    store = await Store.open(path, clock)
    task = asyncio.create_task(store.apply(Changes(alerts=(firing(),), enqueue=(message(),))))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    store = await reopened(store, path, clock)
    assert list(store.alerts) == [KEY]
    assert only(store).target == "phone"
    await store.close()


async def test_a_bug_in_a_change_raises_and_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    path, clock = tmp_path / "a.db", ManualClock()
    store = await Store.open(path, clock)
    with pytest.raises(ValueError, match="read from the store"):
        await store.apply(Changes(notifications=(message(),), alerts=(firing(),)))
    naive = replace(RECORD, last_read_at=datetime(2025, 1, 1))  # noqa: DTZ001 - the bug
    with pytest.raises(Exception, match="without a zone"):
        await store.apply(Changes(accounts=(naive,)))
    assert contents(store)[0] == {}
    assert store.accounts == {}
    await store.apply(Changes(alerts=(firing(),)))
    assert store.failing_since is None
    store = await reopened(store, path, clock)
    assert list(store.alerts) == [KEY]
    await store.close()


async def test_no_change_touches_no_disk(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "a.db", ManualClock())
    await store.close()
    await store.apply(Changes())


async def test_a_kill_between_any_two_statements_leaves_all_or_nothing(tmp_path: Path) -> None:
    from sqlalchemy import event

    path, clock = tmp_path / "a.db", ManualClock()
    store = await Store.open(path, clock)
    await store.apply(Changes(alerts=(firing("old"),), enqueue=(message("old"),)))
    before, copies = contents(store), list[Path]()

    def kill(*_args: object) -> None:
        copies.append(copy_as_after_kill(path, tmp_path / f"killed-{len(copies)}"))

    assert store._database.engine is not None
    for moment in ("before_cursor_execute", "after_cursor_execute", "commit"):
        event.listen(store._database.engine, moment, kill)
    later = replace(EVERYTHING, forget_alerts=(key("old"),), notifications=(sent(only(store)),))
    await store.apply(later)
    for moment in ("before_cursor_execute", "after_cursor_execute", "commit"):
        event.remove(store._database.engine, moment, kill)
    after = contents(store)
    copies.append(copy_as_after_kill(path, tmp_path / "at-the-end"))
    assert len(copies) > 10
    found = []
    for copy in copies:
        survivor = await Store.open(copy, clock)
        found.append(contents(survivor))
        assert survivor.set_aside is None
        await survivor.close()
    assert all(state == before for state in found[:-1])
    assert found[-1] == after
    await store.close()


async def test_old_finished_messages_and_dead_alerts_are_forgotten(tmp_path: Path) -> None:
    path, clock = tmp_path / "a.db", ManualClock()
    store = await Store.open(path, clock)
    over = Alert(key=key("over"), episode=1)
    await store.apply(
        Changes(alerts=(over, firing("burning")), enqueue=(message("over"), message("burning")), silences=(SILENCE,))
    )
    await store.apply(Changes(notifications=tuple(sent(row) for row in store.undelivered.values()), accounts=(RECORD,)))
    clock.elapsed_s = timedelta(days=31).total_seconds()
    await store.apply(Changes(alive_at=clock.now()))
    assert store.alerts == {key("burning"): firing("burning")}
    assert (store.silences, store.accounts) == ((), {})
    assert store.announced_targets(key("burning"), 1) == {"phone"}, "its end is still owed"
    assert [row.key.subject for row in await store.recent()] == ["burning"]
    store = await reopened(store, path, clock)
    assert list(store.alerts) == [key("burning")]
    assert store.announced_targets(key("burning"), 1) == {"phone"}
    await store.close()


async def test_nothing_young_or_open_is_forgotten(tmp_path: Path) -> None:
    path, clock = tmp_path / "a.db", ManualClock()
    store = await Store.open(path, clock)
    await store.apply(Changes(enqueue=(message(),), alerts=(Alert(key=KEY, episode=1),)))
    clock.elapsed_s = timedelta(days=31).total_seconds()
    await store.apply(Changes(alive_at=clock.now()))
    assert only(store).target == "phone"
    assert list(store.alerts) == [KEY], "its messages still stand in the outbox"
    store = await reopened(store, path, clock)
    assert only(store).target == "phone"
    await store.close()


async def test_finished_messages_are_bounded_by_number_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "MAX_FINISHED_ROWS", 3)
    clock = ManualClock()
    store = await Store.open(None, clock)
    await store.apply(Changes(enqueue=tuple(message(sequence=n) for n in range(6))))
    rows = list(store.undelivered.values())
    await store.apply(Changes(notifications=tuple(sent(row) for row in rows[:5])))
    clock.elapsed_s = store_module.PRUNE_EVERY_S
    await store.apply(Changes(alive_at=clock.now()))
    assert sorted(row.sequence for row in await store.recent()) == [2, 3, 4]
    assert only(store).sequence == 5
    await store.close()


async def test_the_waiting_messages_are_bounded_and_the_least_urgent_go_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mirrors, "MAX_UNDELIVERED", 3)
    store = await Store.open(None, ManualClock())
    rows = (
        message("critical", sequence=0),
        message("repeat", sequence=1, reason=Reason.REPEAT),
        message("warning", sequence=2, severity=Severity.WARNING),
        message("info", sequence=3, severity=Severity.INFO),
        message("late", sequence=4),
    )
    await store.apply(Changes(enqueue=rows[:3]))
    await store.apply(Changes(enqueue=rows[3:]))
    assert sorted(row.key.subject for row in store.undelivered.values()) == ["critical", "late", "repeat"]
    assert store.dead_count == 2
    assert {row.last_error for row in await store.recent()} == {"given up: more than 3 messages wait"}
    await store.close()
