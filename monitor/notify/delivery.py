"""Delivery: empties the outbox, one task per target, so that a service that hangs delays nobody but itself.

A row is SENDING on disk before its message leaves, and SENT once a channel accepted it: at least once, and exactly
once but for sends whose outcome stayed unknown, which are marked as possible repeats.
"""

import asyncio
import random
from collections.abc import Iterable, Mapping
from datetime import timedelta

from monitor.clock import Clock
from monitor.domain.notification import Notification
from monitor.log import get_logger
from monitor.notify import schedule
from monitor.notify.channels import Channel
from monitor.notify.escalation import (
    TO_EVERYONE_AFTER,
    TO_FALLBACK_AFTER,
    Audience,
    Handed,
    channel_notices,
    escalations,
    handed,
    is_past,
)
from monitor.notify.lane import ChannelState, Lane
from monitor.notify.message import render
from monitor.notify.results import SendResult
from monitor.store.records import Changes
from monitor.store.store import Store

# While anything waits or a channel fails; else only new rows need tending.
TEND_EVERY_S = 1.0
TEND_WITHIN_S = 30.0
MAX_REMEMBERED = 20_000
# A chat's budget of one message a second must not cost the last one.
LAST_WAIT_S = 1.0

_log = get_logger(__name__)


class Delivery:
    """Sends what stands in the store's outbox; `prefix` starts every line of every message."""

    def __init__(
        self,
        store: Store,
        channels: Mapping[str, Channel],
        clock: Clock,
        *,
        audience: Audience,
        rng: random.Random,
        prefix: str = "",
    ) -> None:
        self._store = store
        self._clock = clock
        self._audience = audience
        self._rng = rng
        self._prefix = prefix
        self._lanes = {name: Lane(channel) for name, channel in channels.items()}
        self._group: asyncio.TaskGroup | None = None
        self._tending: asyncio.Task[None] | None = None
        self._draining = False
        self._handed: dict[Handed, None] = {}

    async def run(self) -> None:
        """Deliver until cancelled or drained."""
        self._remember(self._store.take_finished_before())
        async with asyncio.TaskGroup() as group:
            self._group = group
            for lane in self._lanes.values():
                lane.task = group.create_task(self._serve(lane))
            self._tending = group.create_task(self._tend())

    async def drain(self, deadline_s: float) -> None:
        """Try once more to send what is due, for at most so long, and end `run`. The rest stands in the outbox."""
        self._draining = True
        tasks = [lane.task for lane in self._lanes.values() if lane.task is not None]
        for lane in self._lanes.values():
            lane.wake.set()
        if self._tending is not None:
            self._tending.cancel()
        try:
            async with self._clock.deadline(deadline_s):
                await asyncio.gather(*(asyncio.shield(task) for task in tasks), return_exceptions=True)
        except TimeoutError:
            _log.warning("messages were left for the next start", channels=self._busy(tasks))
        for task in tasks:
            task.cancel()
        for lane in self._lanes.values():
            lane.channel.close()

    def replace_channels(self, channels: Mapping[str, Channel], audience: Audience) -> None:
        """Take over a new configuration; a channel that is the same object goes on undisturbed."""
        self._audience = audience
        for name, lane in list(self._lanes.items()):
            if channels.get(name) is not lane.channel:
                if lane.task is not None:
                    lane.task.cancel()
                lane.channel.close()
                del self._lanes[name]
        for name, channel in channels.items():
            if name not in self._lanes:
                lane = self._lanes[name] = Lane(channel)
                if self._group is not None and not self._draining:
                    lane.task = self._group.create_task(self._serve(lane))

    def channel_states(self) -> tuple[ChannelState, ...]:
        return tuple(lane.state(self._rows_of(lane)) for lane in self._lanes.values())

    async def _serve(self, lane: Lane) -> None:
        """One target's life: close what is over, send what is due, wait for the next."""
        await self._store.settled()  # a lane this one replaces may have come to the end of a send
        await self._change(schedule.interrupted(self._rows_of(lane), self._clock.now()))
        while True:
            lane.wake.clear()
            now = self._clock.now()
            await self._change(schedule.closed(self._rows_of(lane), self._store.alerts, now))
            picked = lane.pick(self._rows_of(lane), now, draining=self._draining)
            if isinstance(picked, tuple):
                await self._deliver(lane, picked)
            elif self._draining and picked > LAST_WAIT_S:
                return
            else:
                await self._sleep(lane, picked)

    async def _deliver(self, lane: Lane, rows: tuple[Notification, ...]) -> None:
        now = self._clock.now()
        rendered = render(rows, now, lane.channel.limit, self._prefix)
        sending = schedule.sending(rendered.named)
        self._remember(sending)
        await self._change(sending)
        lane.started(now)
        result = await lane.channel.send(rendered)
        now = self._clock.now()
        lane.learned(result, now)
        _report(lane, sending, result)
        await self._change(schedule.settled(sending, result, now, self._rng))
        await self._tell_of(lane)

    async def _sleep(self, lane: Lane, seconds: float) -> None:
        try:
            async with self._clock.deadline(seconds):
                await lane.wake.wait()
        except TimeoutError:
            return

    async def _tend(self) -> None:
        """What concerns more than one target: waking them, escalation, rows of channels that are gone."""
        while True:
            if await self._store.wait_for_outbox(TEND_EVERY_S if self._is_busy() else TEND_WITHIN_S):
                for lane in self._lanes.values():
                    lane.wake.set()
            await self._escalate()
            await self._close_orphans()
            for lane in list(self._lanes.values()):
                await self._tell_of(lane)

    def _is_busy(self) -> bool:
        failing = any(lane.failing_since is not None or lane.told_down for lane in self._lanes.values())
        return failing or bool(self._store.undelivered)

    async def _escalate(self) -> None:
        rows = tuple(self._store.undelivered.values())
        self._remember(rows)
        now = self._clock.now()
        told, alerts = self._store.announced_targets, self._store.alerts
        # Whoever heard of an episode that is over would never read of its end; its own channels get both, late.
        burning = (row for row in rows if is_past(row) or schedule.still_firing(row, alerts))
        fresh = tuple(escalations(burning, self._audience, self._is_owed, told, self._unavailable, now))
        if fresh:
            _log.warning("critical messages escalated", targets=sorted({row.target for row in fresh}))
            await self._enqueue(fresh)

    def _is_owed(self, message: Handed) -> bool:
        return message[-1] in self._lanes and message not in self._handed

    def _unavailable(self, target: str) -> timedelta:
        lane = self._lanes.get(target)
        if lane is None:
            return TO_EVERYONE_AFTER
        return TO_FALLBACK_AFTER if lane.is_down(self._clock.now()) else timedelta()

    async def _close_orphans(self) -> None:
        """Rows of channels that are not configured any more will never be sent: closed, and told."""
        orphans = [row for row in self._store.undelivered.values() if row.target not in self._lanes]
        now = self._clock.now()
        for name in sorted({row.target for row in orphans}):
            lost = [row for row in orphans if row.target == name]
            line = f"{len(lost)} undelivered messages were closed; critical ones went to the other channels"
            notices = channel_notices(name, f"channel {name} was removed", (line,), self._lanes, now)
            dead = tuple(schedule.dead(row, "the channel was removed from the configuration", now) for row in lost)
            await self._store.apply(Changes(enqueue=tuple(notices), notifications=dead))

    async def _tell_of(self, lane: Lane) -> None:
        """That a channel is down, or works again, is told through the others."""
        now, name = self._clock.now(), lane.channel.name
        if lane.is_down(now) == lane.told_down or (lane.told_down and lane.failing_since is not None):
            return
        if not lane.disabled and not lane.told_down and not self._rows_of(lane):
            return  # what it failed to take is over, so nothing has tried it since
        lane.told_down = not lane.told_down
        others = [other for other in self._lanes if other != name]
        if lane.told_down:
            waiting = f"{len(self._rows_of(lane))} messages wait; they are retried"
            title, lines = f"channel {name} is down", [lane.last_error, waiting]
        else:
            title, lines = f"channel {name} works again", []
        await self._enqueue(channel_notices(name, title, tuple(lines), others, now))

    async def _change(self, rows: tuple[Notification, ...]) -> None:
        await self._store.apply(Changes(notifications=rows))

    async def _enqueue(self, rows: Iterable[Notification]) -> None:
        rows = tuple(rows)
        self._remember(rows)
        await self._store.apply(Changes(enqueue=rows))

    def _rows_of(self, lane: Lane) -> list[Notification]:
        return [row for row in self._store.undelivered.values() if row.target == lane.channel.name]

    def _remember(self, rows: Iterable[Notification]) -> None:
        for row in rows:
            self._handed[handed(row)] = None
        while len(self._handed) > MAX_REMEMBERED:
            del self._handed[next(iter(self._handed))]

    def _busy(self, tasks: Iterable[asyncio.Task[None]]) -> list[str]:
        busy = {task for task in tasks if not task.done()}
        return [name for name, lane in self._lanes.items() if lane.task in busy]


def _report(lane: Lane, rows: tuple[Notification, ...], result: SendResult) -> None:
    fields = {"channel": lane.channel.name, "rows": len(rows), "result": str(result.kind), "detail": result.detail}
    if result.is_accepted:
        _log.info("message delivered", **fields)
    else:
        _log.warning("message not delivered", **fields)
    if result.moved_to is not None:
        _log.warning("the group has a new chat id; put it into the channel's URL", **fields, chat_id=result.moved_to)
