"""What a key may do, judged: reading is all it should, and its owner is told of anything else."""

from datetime import timedelta
from typing import Any

import pytest

from monitor.domain.reading import Severity, Verdict
from monitor.exchange.venues.venue import KeyFacts
from monitor.keys import key_reading
from tests.builders import NOON


def facts(**changes: Any) -> KeyFacts:
    given: dict[str, Any] = {"may_trade": False, "may_withdraw": False, "ip_restricted": True, "clock_ahead_s": 0.0}
    return KeyFacts(**given | changes)


@pytest.mark.parametrize(
    ("told", "allowed", "verdict", "severity"),
    [
        (facts(), False, Verdict.CLEAR, None),
        (facts(may_trade=True), False, Verdict.BREACH, Severity.WARNING),
        (facts(may_withdraw=True), False, Verdict.BREACH, Severity.CRITICAL),
        (facts(may_withdraw=True), True, Verdict.CLEAR, None),
        (facts(may_withdraw=True, may_trade=True), True, Verdict.BREACH, Severity.WARNING),
        (facts(expires_at=NOON + timedelta(days=6)), False, Verdict.BREACH, Severity.WARNING),
        (facts(expires_at=NOON + timedelta(days=8)), False, Verdict.CLEAR, None),
        (facts(may_trade=None, may_withdraw=None), False, Verdict.UNKNOWN, None),
        (facts(ip_restricted=False), False, Verdict.CLEAR, None),
    ],
)
def test_a_key_is_judged_by_what_it_may_do(
    told: KeyFacts, allowed: bool, verdict: Verdict, severity: Severity | None
) -> None:
    reading = key_reading("main", told, "Steps", allow_withdraw=allowed, now=NOON)
    assert (reading.verdict, reading.severity) == (verdict, severity)


def test_what_is_to_be_done_is_said_in_the_venues_own_words() -> None:
    reading = key_reading("main", facts(may_trade=True), "API Management > Create", allow_withdraw=False, now=NOON)
    assert reading.inputs["may"] == "trade"
    assert reading.inputs["advice"] == "make a key that may only read: API Management > Create"
