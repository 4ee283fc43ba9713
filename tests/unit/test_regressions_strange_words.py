"""Once a crash at every start: words and figures that no database or sentence took."""

import math

import pytest

from monitor.domain.account import FailureKind
from monitor.domain.reading import Unit
from monitor.exchange.failures import ReadError, failure_from
from monitor.notify.message import render
from monitor.notify.results import of_answer
from monitor.store.records import Changes
from monitor.store.store import Store
from tests.outbox import NOON, a_row, facts
from tests.unit.store_kit import ManualClock, firing, message

HALF_A_CHARACTER = "\ud83d"


async def test_half_a_character_in_a_venues_or_a_services_words_can_be_stored() -> None:
    failed = ReadError(FailureKind.OVERLOADED, f"HTTP 500: busy {HALF_A_CHARACTER}")
    detail = failure_from(failed, "main", "binanceusdm", NOON).detail
    error = of_answer(500, {}, b'{"description": "busy \\ud83d"}', NOON).detail
    store = await Store.open(None, ManualClock())
    await store.apply(
        Changes(alerts=(firing(inputs={"failure_detail": detail}),), enqueue=(message(last_error=error),))
    )
    assert detail == "HTTP 500: busy ?"
    assert error == "HTTP 500: busy ?"
    assert len(store.undelivered) == 1
    await store.close()


@pytest.mark.parametrize("unit", list(Unit))
@pytest.mark.parametrize("figure", [math.nan, math.inf, -math.inf, 1e308, 5e-324, 0.0, None])
@pytest.mark.parametrize("kind", ["liquidation_distance", "margin_ratio", "funding_exposure", "blind", "unassessed"])
def test_no_figure_is_too_strange_to_be_told(kind: str, figure: float | None, unit: Unit) -> None:
    names = ("mark_price", "equity", "positions", "interval_h", "add_collateral", "cut_size", "cut_share", "leverage")
    told = facts(
        rule_kind=kind,
        value=figure,
        worst_value=figure,
        threshold=figure,
        unit=unit,
        inputs=dict.fromkeys(names, figure),
    )
    assert render([a_row(facts=told)], NOON, 1_900).named
