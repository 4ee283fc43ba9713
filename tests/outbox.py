"""Builders for outbox rows, and a store and a delivery to send them with."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from monitor.clock import Clock
from monitor.domain.alert import Alert, AlertState, Reason, Resolution
from monitor.domain.notification import AlertFacts, NoticeFacts, Notification
from monitor.domain.reading import AlertKey, Scope, Severity, Unit
from monitor.notify.channels import Channel
from monitor.notify.delivery import Delivery
from monitor.notify.escalation import Audience
from monitor.store.records import Changes
from monitor.store.store import Store

NOON = datetime(2025, 10, 10, 12, 0, tzinfo=UTC)
BTC = "BTC/USDT:USDT long"


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def facts(**changes: Any) -> AlertFacts:
    """A long four percent from liquidation."""
    inputs: dict[str, Any] = {
        "mark_price": 60123.5,
        "liquidation_price": 57598.0,
        "liquidation_price_origin": "venue",
        "settle": "USDT",
        "base": "BTC",
        "currency": "USDT",
        "add_collateral": 1240.0,
        "cut_size": 0.42,
        "cut_share": 0.35,
    }
    given = AlertFacts(
        rule_kind="liquidation_distance",
        venue="binanceusdm",
        threshold=0.06,
        value=0.042,
        worst_value=0.031,
        unit=Unit.RATIO,
        active_at=NOON,
        fired_at=NOON,
        resolved_at=None,
        resolution=None,
        is_flapping=False,
        inputs=inputs,
    )
    return replace(given, **changes)


def key(account: str = "main", rule: str = "liquidation_distance", subject: str = BTC) -> AlertKey:
    return AlertKey(rule, account, Scope.POSITION, subject)


def a_row(reason: Reason = Reason.FIRST, **changes: Any) -> Notification:
    given = Notification(
        key=key(),
        episode=1,
        sequence=0,
        reason=reason,
        target="phone",
        severity=Severity.CRITICAL,
        facts=facts(),
        created_at=NOON,
        send_after=NOON,
    )
    return replace(given, **changes)


def resolved_row(**changes: Any) -> Notification:
    ended = facts(value=0.12, resolved_at=after(240), resolution=Resolution.RECOVERED)
    given = a_row(Reason.RESOLVED, sequence=1, facts=ended, created_at=after(240), send_after=after(240))
    return replace(given, **changes)


def a_notice(title: str = "started", *lines: str, **changes: Any) -> Notification:
    given = a_row(
        Reason.NOTICE,
        key=AlertKey("monitor", "*", Scope.PORTFOLIO, "monitor"),
        facts=NoticeFacts(title=title, lines=lines),
        severity=Severity.INFO,
    )
    return replace(given, **changes)


def blind_row(account: str, **changes: Any) -> Notification:
    inputs = {
        "failure_kind": "rate_limit",
        "failure_detail": "HTTP 429",
        "positions": 2,
        "last_read_at": NOON.isoformat(),
    }
    given = a_row(
        key=AlertKey("blind", account, Scope.ACCOUNT, account),
        facts=facts(rule_kind="blind", value=65.0, worst_value=65.0, threshold=60.0, unit=Unit.SECONDS, inputs=inputs),
    )
    return replace(given, **changes)


def now_of(row: Notification, clock: Clock, wait_s: float = 0.0) -> Notification:
    """The row as it is when made now."""
    now = clock.now()
    return replace(row, created_at=now, send_after=now + timedelta(seconds=wait_s))


def alerts(count: int, clock: Clock, *targets: str) -> tuple[Notification, ...]:
    return tuple(now_of(a_row(key=key(f"fund-{n}"), target=target), clock) for n in range(count) for target in targets)


def firing(row: Notification) -> Alert:
    return Alert(
        key=row.key,
        state=AlertState.FIRING,
        episode=row.episode,
        severity=row.severity,
        breached_since={row.severity: row.created_at},
        fired_at=row.created_at,
    )


def everybody(*names: str, fallbacks: tuple[str, ...] = ()) -> Audience:
    return Audience(fallbacks=lambda _: fallbacks, everyone=lambda _: names)


async def enqueue(store: Store, *rows: Notification) -> None:
    """Firing alerts with their messages."""
    alerts = {row.key: firing(row) for row in rows if isinstance(row.facts, AlertFacts)}
    await store.apply(Changes(alerts=tuple(alerts.values()), enqueue=rows))


@asynccontextmanager
async def delivering(
    clock: Clock,
    channels: Mapping[str, Channel],
    *,
    path: Path | None = None,
    audience: Audience | None = None,
    rows: tuple[Notification, ...] = (),
) -> AsyncIterator[tuple[Store, Delivery]]:
    """A store with `rows` in it and a delivery that runs until the block ends."""
    store = await Store.open(path, clock)
    if rows:
        await enqueue(store, *rows)
    delivery = Delivery(store, channels, clock, audience=audience or everybody(*channels), rng=random.Random(7))
    task = asyncio.create_task(delivery.run())
    try:
        yield store, delivery
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        for channel in channels.values():
            channel.close()
        await store.close()
    if not task.cancelled() and task.exception() is not None:
        raise task.exception() or AssertionError


async def until(condition: Callable[[], object], within_s: float = 5.0) -> None:
    """Wait in real time for something another task brings about."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110  # no event tells what a test looks for
            await asyncio.sleep(0.005)


async def finished(store: Store) -> dict[tuple[str, int, str], Notification]:
    """The closed rows by account, sequence and target."""
    return {(row.key.account, row.sequence, row.target): row for row in await store.recent(1_000)}
