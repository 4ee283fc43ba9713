"""What the venue itself did to a position that is gone or smaller than before: asked of its own records.

A read alone cannot tell a close from a liquidation. Records lag behind, so they are asked several times; never within
an account's read for longer than a moment, since the read is what alerts wait for.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from monitor.clock import Clock
from monitor.domain.account import AccountSnapshot, End, FailureKind
from monitor.domain.market import Observed
from monitor.exchange.failures import ReadError
from monitor.exchange.together import SharedRead
from monitor.exchange.venues.venue import AccountSettings, Instruments, Venue
from monitor.log import get_logger

_log = get_logger(__name__)

# When the records are asked, counted from the read that showed a position gone or smaller.
ASK_AFTER_S = (0.0, 30.0, 60.0, 120.0, 300.0)
# However often positions change: records weigh as much as several reads.
ASK_EVERY_S = 30.0
# A venue that does not answer is asked for so long.
ASK_WITHIN = timedelta(hours=1)
# What a read waits for them.
GRACE_S = 1.0
# The venue's clock may be behind ours, and its records name the moment of the fill.
BEFORE = timedelta(seconds=60)
# How far back a monitor that was down asks.
LOOK_BACK = timedelta(days=7)
MAX_TOLD = 1000


class Ends:
    """The ends of one account's positions, each handed out once."""

    def __init__(self, account: str, venue: Venue, client: Any, clock: Clock, *, deadline_s: float) -> None:
        self._account = account
        self._venue = venue
        self._client = client
        self._clock = clock
        self._records: SharedRead[Sequence[End]] = SharedRead(clock, deadline_s=deadline_s, pause_s=ASK_EVERY_S)
        self._taken: Observed[Sequence[End]] | None = None
        self._told: dict[End, None] = {}
        self._sizes: dict[str, float] = {}
        self._seen_at: datetime | None = None
        self._since: datetime | None = None
        self._asked_at: datetime | None = None
        # Moments at which the records are to be asked, in order.
        self._due: list[datetime] = []

    def look_back(self, since: datetime) -> None:
        """With the first read, ask for what happened while nobody looked: from that good read on."""
        self._ask_from(since, self._clock.now())

    async def fresh(
        self, snapshot: AccountSnapshot, instruments: Instruments, settings: AccountSettings
    ) -> tuple[End, ...]:
        """What the records tell that was not handed out before; a venue that is slow to answer tells it with a later
        read."""
        self._look(snapshot)
        if self._since is not None and self._is_due():
            since = self._since
            with suppress(TimeoutError, ReadError):
                async with self._clock.deadline(GRACE_S):
                    await self._records.get(0.0, lambda: self._read(instruments, settings, since))
        return self._take()

    async def close(self) -> None:
        await self._records.close()

    def _look(self, snapshot: AccountSnapshot) -> None:
        sizes = {position.subject: position.contracts for position in snapshot.positions}
        is_less = any(sizes.get(subject, 0.0) < before for subject, before in self._sizes.items())
        if is_less and self._seen_at is not None:
            self._ask_from(self._seen_at, snapshot.observed_at)
        self._sizes, self._seen_at = sizes, snapshot.observed_at

    def _ask_from(self, since: datetime, now: datetime) -> None:
        since = max(since - BEFORE, now - LOOK_BACK)
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
            found = await self._venue.read_ends(self._client, instruments, settings, since)
        except ReadError as failed:
            self._give_up(failed, asked_at)
            raise
        self._asked_at = asked_at
        self._due = [at for at in self._due if at > asked_at]
        # What lags behind is still asked for; what is older has been answered.
        self._since = max(since, asked_at - timedelta(seconds=ASK_AFTER_S[-1]) - BEFORE)
        return found

    def _give_up(self, failed: ReadError, now: datetime) -> None:
        """A venue without such records is not asked again, one that does not answer not for ever."""
        if failed.kind is FailureKind.UNSUPPORTED or (self._due and now - self._due[-1] > ASK_WITHIN):
            _log.info("what ended a position is not told", account=self._account, why=failed.detail)
            self._since, self._due = None, []

    def _take(self) -> tuple[End, ...]:
        latest = self._records.latest
        if latest is None or latest is self._taken:
            return ()
        self._taken = latest
        fresh = tuple(end for end in dict.fromkeys(latest.value) if end not in self._told)
        self._told.update(dict.fromkeys(fresh))
        for old in list(self._told)[: max(0, len(self._told) - MAX_TOLD)]:
            del self._told[old]
        return fresh
