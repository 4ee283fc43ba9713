"""Lead times as the demo tells them: from messages that were delivered, about what was liquidated."""

from datetime import datetime, timedelta

import pytest

from monitor.cli.demo_story import Fate, fates
from monitor.domain.account import Side
from monitor.domain.alert import Reason
from monitor.domain.notification import AlertFacts, Notification
from monitor.domain.reading import AlertKey, Scope, Severity, Unit
from monitor.paper.book import Event, EventKind
from monitor.paper.scenarios import load_scenario

SCENARIO = load_scenario()
END = SCENARIO.start + timedelta(minutes=27)
SOL = "SOL/USDT:USDT long"


def event(account: str, symbol: str, kind: EventKind = EventKind.FULL) -> Event:
    return Event(
        sequence=1,
        time=END,
        account=account,
        kind=kind,
        asset="USDT",
        amount=-1.0,
        symbol=symbol,
        side=Side.LONG,
        contracts=1.0,
        price=178.45,
    )


def told(
    subject: str,
    before: timedelta,
    *,
    severity: Severity = Severity.WARNING,
    account: str = "retail",
    kind: str = "liquidation_distance",
    reason: Reason = Reason.FIRST,
) -> Notification:
    at: datetime = END - before
    facts = AlertFacts(
        rule_kind=kind,
        venue="binanceusdm",
        threshold=0.12,
        value=0.1,
        worst_value=0.1,
        unit=Unit.RATIO,
        active_at=at,
        fired_at=at,
        resolved_at=None,
        resolution=None,
        is_flapping=False,
        inputs={},
    )
    return Notification(
        key=AlertKey(kind, account, Scope.POSITION, subject),
        episode=1,
        sequence=0,
        reason=reason,
        target="phone",
        severity=severity,
        facts=facts,
        created_at=at,
        send_after=at,
        delivered_at=at,
    )


def only(events: list[Event], delivered: list[Notification]) -> Fate:
    (fate,) = fates(SCENARIO, events, delivered)
    return fate


def test_the_first_warning_and_the_first_critical_before_the_liquidation_count() -> None:
    minutes = [timedelta(minutes=m) for m in (17, 12, 4, 2)]
    rows = [told(SOL, minutes[0]), told(SOL, minutes[1], reason=Reason.REPEAT)]
    rows += [told(SOL, m, severity=Severity.CRITICAL, reason=Reason.WORSE) for m in minutes[2:]]
    fate = only([event("retail", "SOLUSDT")], rows)
    assert (fate.warned_at, fate.critical_at) == (END - minutes[0], END - minutes[2])
    assert (fate.name, fate.whole, fate.liquidated_at) == ("SOL long", True, END)


@pytest.mark.parametrize(
    "row",
    [
        told(SOL, timedelta(seconds=-1)),
        told(SOL, timedelta(minutes=5), account="pro"),
        told("ETH/USDT:USDT long", timedelta(minutes=5)),
        told("cross:USDT", timedelta(minutes=5), kind="margin_ratio"),
        told(SOL, timedelta(minutes=5), kind="funding_exposure"),
        told(SOL, timedelta(minutes=5), reason=Reason.RESOLVED),
        told(SOL, timedelta(minutes=5), severity=Severity.INFO),
    ],
    ids=["too late", "another account", "another position", "another pool", "no risk", "an end", "no warning"],
)
def test_what_did_not_warn_of_this_liquidation_does_not_count(row: Notification) -> None:
    fate = only([event("retail", "SOLUSDT")], [row])
    assert (fate.warned_at, fate.critical_at) == (None, None)


@pytest.mark.parametrize("subject", [SOL, "isolated:SOL/USDT:USDT:long"])
def test_an_isolated_position_is_warned_of_by_itself_or_its_own_margin(subject: str) -> None:
    assert only([event("retail", "SOLUSDT")], [told(subject, timedelta(minutes=1))]).warned_at is not None


@pytest.mark.parametrize("subject", ["cross:USDT", "BTC/USDT:USDT short", "AVAX/USDT:USDT long"])
def test_in_cross_margin_a_warning_of_anything_liquidated_together_counts(subject: str) -> None:
    row = told(subject, timedelta(minutes=1), account="pro")
    fate = only([event("pro", "AVAXUSDT", EventKind.PARTIAL)], [row])
    assert (fate.whole, fate.warned_at) == (False, row.delivered_at)


def test_a_position_liquidated_in_parts_is_told_of_once_and_other_events_not_at_all() -> None:
    parts = [event("pro", "AVAXUSDT", kind) for kind in (EventKind.FUNDING, EventKind.PARTIAL, EventKind.FULL)]
    assert len(list(fates(SCENARIO, parts, []))) == 1
