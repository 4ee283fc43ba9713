"""One target as delivery sees it: its channel, and what is known of how it has been taking messages."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from monitor.domain.notification import Notification
from monitor.notify.channels import Channel
from monitor.notify.message import stories
from monitor.notify.results import SendKind, SendResult
from monitor.notify.schedule import DISABLED_RETRY, WINDOW, due, is_critical, next_due_at

# A channel that has taken nothing for so long is told of through the others.
DOWN_AFTER = timedelta(minutes=5)
# Never longer: what a missed wake-up could cost.
MAX_SLEEP_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelState:
    """For the health page. `oldest_critical_at` is when the oldest undelivered critical message was made."""

    name: str
    ok: bool
    detail: str
    last_ok_at: datetime | None
    disabled: bool
    undelivered: int
    oldest_critical_at: datetime | None


@dataclass(slots=True)
class Lane:
    channel: Channel
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    window_until: datetime | None = None
    paused_until: datetime | None = None
    failing_since: datetime | None = None
    last_ok_at: datetime | None = None
    last_error: str = ""
    disabled: bool = False
    one_by_one: bool = False
    told_down: bool = False

    def pick(self, rows: Sequence[Notification], now: datetime, *, draining: bool) -> tuple[Notification, ...] | float:
        """The rows to send now, or how many seconds to wait; the last moments know no window."""
        upcoming = next_due_at(rows)
        if upcoming is None or upcoming > now:
            return MAX_SLEEP_S if upcoming is None else min((upcoming - now).total_seconds(), MAX_SLEEP_S)
        holds = [self.paused_until] if draining else [self.paused_until, self.window_until]
        held_s = max(((hold - now).total_seconds() for hold in holds if hold is not None), default=0.0)
        if held_s > 0:
            return min(held_s, MAX_SLEEP_S)
        ready = due(rows, now)
        held_s = self.channel.budget.wait_s(critical=is_critical(ready))
        if held_s > 0:
            return min(held_s, MAX_SLEEP_S)
        return stories(ready)[0].rows if self.one_by_one else ready

    def started(self, now: datetime) -> None:
        self.channel.budget.spend()
        self.window_until = now + WINDOW

    def learned(self, result: SendResult, now: datetime) -> None:
        """Take note of how a send went."""
        if result.kind is SendKind.ACCEPTED:
            self.failing_since, self.last_error = None, ""
            self.disabled = self.one_by_one = False
            self.last_ok_at = now
            self.paused_until = None
            self.window_until = now + WINDOW  # from its arrival, so that three never arrive within two windows
            return
        self.last_error = f"{result.kind}: {result.detail}"
        self.failing_since = self.failing_since or now
        if result.kind is SendKind.RATE_LIMITED:
            self.paused_until = now + timedelta(seconds=result.retry_after_s or 0.0)
            self.window_until = None  # nothing arrived, and the service itself says how long to wait
            return
        self.disabled = result.kind is SendKind.UNAUTHORIZED
        self.one_by_one = result.kind is SendKind.REJECTED
        if self.disabled:
            self.paused_until = now + DISABLED_RETRY

    def is_down(self, now: datetime) -> bool:
        return self.disabled or (self.failing_since is not None and now - self.failing_since >= DOWN_AFTER)

    def state(self, rows: Sequence[Notification]) -> ChannelState:
        critical = [row.created_at for row in rows if is_critical((row,))]
        return ChannelState(
            name=self.channel.name,
            ok=self.failing_since is None,
            detail=self.last_error,
            last_ok_at=self.last_ok_at,
            disabled=self.disabled,
            undelivered=len(rows),
            oldest_critical_at=min(critical, default=None),
        )
