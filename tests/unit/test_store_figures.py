"""A firing alert gets new figures at every read: they are shown at once, and cost no transaction of their own."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from monitor.domain.reading import Severity
from monitor.store.records import Changes
from monitor.store.store import Store
from tests.unit.store_kit import KEY, T0, ManualClock, copy_as_after_kill, execute, firing, message

FIRING = firing(worst_value=0.9, last_value=0.8)


def _stored(path: Path) -> Any:
    [[body]] = execute(path, "SELECT body FROM alert")
    return json.loads(str(body))["last_value"]


async def _a_store(path: Path) -> Store:
    store = await Store.open(path, ManualClock())
    await store.apply(Changes(alerts=(FIRING,)))
    return store


async def test_new_figures_are_shown_at_once_and_written_with_what_comes_next(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    store = await _a_store(path)
    newer = replace(FIRING, last_value=0.7, inputs={"mark": 100.0})
    await store.apply(Changes(alerts=(newer,)))
    assert store.alert(KEY) == newer
    assert _stored(path) == 0.8
    await store.apply(Changes(alive_at=T0))
    assert _stored(path) == 0.7
    await store.close()


async def test_the_figures_are_written_at_the_end(tmp_path: Path) -> None:
    store = await _a_store(tmp_path / "a.db")
    await store.apply(Changes(alerts=(replace(FIRING, last_value=0.7),)))
    await store.close()
    assert _stored(tmp_path / "a.db") == 0.7


async def test_the_figures_of_a_forgotten_alert_bring_it_not_back(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    store = await _a_store(path)
    await store.apply(Changes(alerts=(replace(FIRING, last_value=0.7),)))
    await store.apply(Changes(forget_alerts=(KEY,)))
    await store.close()
    assert execute(path, "SELECT * FROM alert") == []


@pytest.mark.parametrize(
    "changes",
    [
        Changes(alerts=(replace(FIRING, worst_value=0.95),)),
        Changes(alerts=(replace(FIRING, severity=Severity.WARNING),)),
        Changes(alerts=(replace(FIRING, clear_at=T0),)),
        Changes(alerts=(replace(FIRING, last_value=0.7), firing("another"))),
        Changes(alerts=(replace(FIRING, last_value=0.7),), enqueue=(message(),)),
    ],
    ids=["the worst", "severity", "recovery", "another alert", "a message"],
)
async def test_whatever_decides_anything_is_written_before_the_call_returns(changes: Changes, tmp_path: Path) -> None:
    store = await _a_store(tmp_path / "a.db")
    await store.apply(changes)
    survivor = await Store.open(copy_as_after_kill(tmp_path / "a.db", tmp_path / "copy"), ManualClock())
    assert survivor.alerts[KEY] == changes.alerts[0]
    await survivor.close()
    await store.close()
