"""What the venue itself did to a position that is gone or smaller than before: asked of its own records.

A read alone cannot tell a close from a liquidation. Records lag behind, so they are asked several times; never within
an account's read for longer than a moment, since the read is what alerts wait for.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from monitor.clock import Clock
from monitor.domain.account import AccountSnapshot, End, FailureKind
from monitor.domain.holdings import CLOCKS_DIFFER, RECORDS_LAG
from monitor.exchange.budget import at_leisure
from monitor.exchange.failures import ReadError, a_bug
from monitor.exchange.together import SharedRead
from monitor.exchange.venues.venue import AccountSettings, Instruments, Venue
from monitor.log import get_logger

_log = get_logger(__name__)

# When the records are asked, counted from the read that showed a position gone or smaller.
ASK_AFTER_S = (0.0, 30.0, 60.0, 120.0, RECORDS_LAG.total_seconds())
# However often positions change: records weigh as much as several reads.
ASK_EVERY_S = 30.0
# A venue that does not answer is asked for so long.
ASK_WITHIN = timedelta(hours=1)
# What a read waits for them.
GRACE_S = 1.0
# How far back a monitor that was down asks.
LOOK_BACK = timedelta(days=7)
# No retry heals these.
_REFUSALS = (FailureKind.UNSUPPORTED, FailureKind.PERMISSION)
# Nor these, where one row of long ago or the mere number of rows is the reason: after so many in a row, less is asked.
_TOO_MUCH = (FailureKind.IMPLAUSIBLE, FailureKind.MALFORMED)
NARROW_AFTER = 3


class Ends:
    """The ends of one account's positions. What of them is news, the account's holdings know: over restarts too."""

    def __init__(self, account: str, venue: Venue, client: Any, clock: Clock, *, deadline_s: float) -> None:
        self._account = account
        self._venue = venue
        self._client = client
        self._clock = clock
        self._records: SharedRead[Sequence[End]] = SharedRead(clock, deadline_s=deadline_s, pause_s=ASK_EVERY_S)
        # What was held at the last good read, None before the first.
        self._sizes: dict[str, float] | None = None
        self._seen_at: datetime | None = None
        self._since: datetime | None = None
        self._asked_at: datetime | None = None
        # Moments at which the records are to be asked, in order.
        self._due: list[datetime] = []
        self._failure: FailureKind | None = None
        self._failures_in_a_row = 0

    @property
    def owed_since(self) -> datetime | None:
        """From when on the records are still owed to us, where the venue does not answer; None where it does."""
        return None if self._failure is None else self._since

    def look_back(self, since: datetime) -> None:
        """With the first good read, ask for what happened while nobody looked: from that moment on."""
        self._seen_at = since

    async def known(
        self, snapshot: AccountSnapshot, instruments: Instruments, settings: AccountSettings
    ) -> tuple[End, ...]:
        """What the records told when they were last asked; a venue that is slow to answer tells it with a later
        read."""
        self._look(snapshot)
        if self._since is not None and self._is_due():
            since = self._since
            with suppress(TimeoutError, ReadError):
                async with self._clock.deadline(GRACE_S):
                    await self._records.get(0.0, lambda: self._read(instruments, settings, since))
        return tuple(self._records.latest.value) if self._records.latest is not None else ()

    async def close(self) -> None:
        await self._records.close()

    def _look(self, snapshot: AccountSnapshot) -> None:
        sizes = {position.subject: position.contracts for position in snapshot.positions}
        before = self._sizes
        if self._seen_at is not None and (before is None or any(sizes.get(of, 0.0) < before[of] for of in before)):
            self._ask_from(self._seen_at, snapshot.observed_at)
        self._sizes, self._seen_at = sizes, snapshot.observed_at

    def _ask_from(self, since: datetime, now: datetime) -> None:
        since = max(since - CLOCKS_DIFFER, now - LOOK_BACK)
        self._since = since if self._since is None else min(self._since, since)
        self._due = [now + timedelta(seconds=after_s) for after_s in ASK_AFTER_S]

    def _is_due(self) -> bool:
        now = self._clock.now()
        if self._asked_at is not None and now - self._asked_at < timedelta(seconds=ASK_EVERY_S):
            return False
        return bool(self._due) and self._due[0] <= now

    async def _read(self, instruments: Instruments, settings: AccountSettings, since: datetime) -> Sequence[End]:
        asked_at = self._clock.now()
        try:
            with at_leisure():
                found = await self._venue.read_ends(self._client, instruments, settings, since)
        except ReadError as failed:
            self._failed(failed, asked_at)
            raise
        except asyncio.CancelledError:
            self._failed(ReadError(FailureKind.TIMEOUT, "no answer in time"), asked_at)
            raise
        except Exception as error:
            # A reply nobody thought of: the account itself can be read, and must not go blind by it.
            if self._failure is None:
                _log.exception("a reply about the ends of positions could not be read", account=self._account)
            bug = a_bug(error)
            self._failed(bug, asked_at)
            raise bug from error
        self._asked_at, self._failure, self._failures_in_a_row = asked_at, None, 0
        self._due = [at for at in self._due if at > asked_at]
        # What lags behind is still asked for; what is older has been answered.
        self._since = max(since, asked_at - RECORDS_LAG - CLOCKS_DIFFER)
        return found

    def _failed(self, failed: ReadError, now: datetime) -> None:
        """A venue that refuses is not asked again, one that does not answer not for ever."""
        if self._failure is not failed.kind:
            _log.warning("what ended a position is not told", account=self._account, why=failed.detail)
        self._failures_in_a_row = self._failures_in_a_row + 1 if self._failure is failed.kind else 1
        self._failure = failed.kind
        if failed.kind in _TOO_MUCH and self._failures_in_a_row > NARROW_AFTER and self._since is not None:
            half, lately = self._since + (now - self._since) / 2, now - RECORDS_LAG - CLOCKS_DIFFER
            self._since = max(self._since, min(half, lately))
        if failed.kind in _REFUSALS or (self._due and now - self._due[-1] > ASK_WITHIN):
            _log.warning("the records are not asked again before the next change", account=self._account)
            self._since, self._due, self._failure = None, [], None
