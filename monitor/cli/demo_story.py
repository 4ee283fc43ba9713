"""What the demo proves: when each liquidated position's owner was told, and when the paper exchange liquidated it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from monitor.cli.demo_stage import Stage
from monitor.domain.account import isolated_pool_of
from monitor.domain.alert import Reason
from monitor.domain.notification import AlertFacts, Notification
from monitor.domain.reading import Severity
from monitor.paper.book import Event, EventKind
from monitor.paper.scenarios import Scenario
from monitor.store.loading import MAX_RECENT

RISKS = ("margin_ratio", "liquidation_distance")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """One position's first liquidation, and when the first warning and the first critical message about it, or about
    the margin it shared, had reached the phone; None where none had."""

    account: str
    name: str
    whole: bool
    price: float
    warned_at: datetime | None
    critical_at: datetime | None
    liquidated_at: datetime


async def story_of(stage: Stage) -> tuple[Fate, ...]:
    """So far; the daemon must be running."""
    delivered = [row for row in await stage.daemon.store.recent(MAX_RECENT) if row.delivered_at is not None]
    return tuple(fates(stage.scenario, stage.engine.events, delivered))


def fates(scenario: Scenario, events: Iterable[Event], delivered: Sequence[Notification]) -> Iterator[Fate]:
    """By time of liquidation; a position that is liquidated in parts is named once."""
    seen = set()
    for event in events:
        if event.kind not in (EventKind.PARTIAL, EventKind.FULL) or event.symbol is None or event.price is None:
            continue
        if (event.account, event.symbol, event.side) in seen:
            continue
        seen.add((event.account, event.symbol, event.side))
        about = _subjects(scenario, event)
        told = [row for row in delivered if row.key.account == event.account and row.key.subject in about]
        yield Fate(
            account=event.account,
            name=f"{scenario.contracts[event.symbol].base} {event.side}",
            whole=event.kind is EventKind.FULL,
            price=event.price,
            warned_at=_first(told, Severity.WARNING, event.time),
            critical_at=_first(told, Severity.CRITICAL, event.time),
            liquidated_at=event.time,
        )


def _subjects(scenario: Scenario, event: Event) -> frozenset[str]:
    """What an alert about this position's liquidation may name: it, and in cross margin what it is liquidated with."""
    assert event.symbol is not None
    positions = scenario.accounts[event.account].positions
    settle = scenario.contracts[event.symbol].settle
    own = next(p for p in positions if p.symbol == event.symbol and p.side is event.side)
    if own.isolated:
        subject = _subject(scenario, own.symbol, str(own.side))
        return frozenset({subject, isolated_pool_of(subject)})
    shared = [p for p in positions if not p.isolated and scenario.contracts[p.symbol].settle == settle]
    return frozenset({f"cross:{settle}", *(_subject(scenario, p.symbol, str(p.side)) for p in shared)})


def _subject(scenario: Scenario, symbol: str, side: str) -> str:
    spec = scenario.contracts[symbol]
    return f"{spec.base}/{spec.quote}:{spec.settle} {side}"


def _first(told: Iterable[Notification], severity: Severity, before: datetime) -> datetime | None:
    times = [
        row.delivered_at
        for row in told
        if row.severity >= severity
        and row.reason is not Reason.RESOLVED
        and isinstance(row.facts, AlertFacts)
        and row.facts.rule_kind in RISKS
        and row.delivered_at is not None
        and row.delivered_at <= before
    ]
    return min(times, default=None)
