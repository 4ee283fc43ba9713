"""Worlds of a few hours, whole monitors in them; and proof that a monitor with a fault is caught.

A failing seed of these tests replays with `simulate(seed, 8 * 3600.0)`, one of a long run with `make simulate`.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from monitor import blindness, pipeline
from monitor.domain import alert as alert_module
from monitor.domain.account import Observation
from monitor.domain.alert import Resolution
from monitor.domain.notification import DeliveryState
from monitor.exchange.source import AccountSource
from monitor.notify import message, schedule
from monitor.notify.results import SendKind, SendResult
from monitor.store import store as store_module
from monitor.store.store import Store
from monitor.watching import Watching
from tests.simulation.__main__ import simulate
from tests.simulation.house import DETECTED_WITHIN_S
from tests.simulation.plan import Plan
from tests.simulation.venue import book
from tests.simulation.world import World

HOUR_S = 3600.0
REPO = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("seed", range(12))
def test_nothing_is_lost_told_twice_or_told_wrong_through_faults_kills_and_edits(seed: int) -> None:
    report, _ = simulate(seed, 8 * HOUR_S)
    assert report.problems == ()
    assert report.reads > 4_000
    assert report.messages > 3


def test_the_same_seed_is_the_same_world_to_the_byte_in_any_process() -> None:
    program = "from tests.simulation.__main__ import simulate; print(simulate(5, 5 * 3600.0)[0])"
    told = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=REPO,
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(REPO)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(told) == 1


def test_the_venue_tells_the_liquidation_prices_that_the_engine_finds() -> None:
    world = World(Plan.of(7, 24 * HOUR_S))
    compared = 0
    for hour in range(24):
        world.advance(hour * HOUR_S)
        for account in world.engine.accounts:
            found = {(p.symbol, p.side): p.liquidation_price for p in world.engine.positions(account.name)}
            for position in book(world, account).positions:
                price = found[f"{position.instrument.base}USDT", position.side]
                assert position.liquidation_price == (None if price is None else pytest.approx(price, rel=1e-9))
                compared += 1
    assert compared > 100


def forgets_what_was_being_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "_interrupted", lambda _: ())
    monkeypatch.setattr(schedule, "interrupted", lambda rows, now: ())


def sends_again_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message.Story, "is_possible_repeat", False)


def takes_a_failed_read_for_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        pipeline, "advance_unknown", lambda alert, now: alert_module.end(alert, Resolution.RECOVERED, now)
    )


def takes_a_refusal_for_an_arrival(monkeypatch: pytest.MonkeyPatch) -> None:
    right: Callable[..., Any] = schedule.settled

    def settled(rows: Any, result: SendResult, now: Any, rng: Any) -> Any:
        return right(rows, replace(result, kind=SendKind.ACCEPTED), now, rng)

    monkeypatch.setattr(schedule, "settled", settled)


def drops_what_it_has_no_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        schedule,
        "closed",
        lambda rows, alerts, now: tuple(
            replace(row, state=DeliveryState.SUPERSEDED) for row in rows if row.state is DeliveryState.RETRY
        ),
    )


def never_judges_the_age_of_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blindness.Sight, "age_s", lambda sight, now: 0.0)


def stalls_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    cycle, cycles = Watching._cycle, count(1)

    async def stalling(watching: Watching, name: str, source: AccountSource) -> Observation:
        if next(cycles) % 100 == 0:
            await watching._clock.sleep(DETECTED_WITHIN_S)
        return await cycle(watching, name, source)

    monkeypatch.setattr(Watching, "_cycle", stalling)


def waits_for_the_times_of_a_clock_that_was_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "moved_back", lambda loaded, by: loaded)


def does_not_look_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AccountSource, "look_back", lambda source, since: None)


@pytest.mark.parametrize(
    "fault",
    [
        forgets_what_was_being_sent,
        sends_again_without_a_word,
        takes_a_failed_read_for_the_end,
        takes_a_refusal_for_an_arrival,
        drops_what_it_has_no_room_for,
        never_judges_the_age_of_reads,
        stalls_now_and_then,
        waits_for_the_times_of_a_clock_that_was_ahead,
        does_not_look_back,
    ],
)
def test_a_monitor_with_a_fault_is_caught(
    fault: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    fault(monkeypatch)
    assert any(simulate(seed, 8 * HOUR_S)[0].problems for seed in reversed(range(12)))
