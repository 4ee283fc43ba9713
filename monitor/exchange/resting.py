"""The stop orders that rest at the venue, read beside an account that holds positions.

They weigh as much as several reads of the account, so they are read rarely, and soon after positions changed; never
within an account's read for longer than a moment, and at leisure: reads of accounts come first.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from monitor.clock import Clock
from monitor.domain.account import AccountSnapshot, FailureKind, StopOrder
from monitor.domain.market import Observed
from monitor.exchange.budget import at_leisure
from monitor.exchange.failures import ReadError, a_bug, clean
from monitor.exchange.together import SharedRead
from monitor.exchange.venues.venue import AccountSettings, Instruments, Venue
from monitor.log import get_logger

_log = get_logger(__name__)

EVERY_S = 60.0
# A read of the account that comes a moment early is not passed over.
EARLY_S = 1.0
# So often, and so long, after positions changed: who opens one places its stop behind it.
QUICKLY_S = 15.0
QUICK_FOR = timedelta(seconds=60)
# After a failure. A few fit into the age at which orders count as unknown.
PAUSE_S = 30.0
MAX_AGE_INTERVALS = 3
# What a read of the account waits for them.
GRACE_S = 1.0
# Kinds of failure that say that this account's orders are not told, where they never were.
UNTOLD = frozenset({FailureKind.UNSUPPORTED, FailureKind.PERMISSION})
ASK_UNTOLD_EVERY = timedelta(hours=1)


class Resting:
    """One account's resting stop orders. `every_s` None: no rule needs them, and they are read when asked for alone."""

    def __init__(
        self, account: str, venue: Venue, client: Any, clock: Clock, *, deadline_s: float, every_s: float | None
    ) -> None:
        self._account = account
        self._venue = venue
        self._client = client
        self._clock = clock
        self._every_s = every_s
        # Each with the moment at which they were asked for: what was placed later is not among them.
        self._orders: SharedRead[Observed[tuple[StopOrder, ...]]] = SharedRead(
            clock, deadline_s=deadline_s, pause_s=PAUSE_S
        )
        self._contracts: dict[str, float] | None = None
        self._changed_at: datetime | None = None
        self._grew_at: datetime | None = None
        self._untold: str | None = None
        self._untold_at: datetime | None = None

    async def beside(
        self, snapshot: AccountSnapshot, instruments: Instruments, settings: AccountSettings
    ) -> AccountSnapshot:
        """The account with its orders, or with why they are not known; as it is where nobody needs them."""
        self._look(snapshot)
        if self._every_s is None or not snapshot.positions:
            return snapshot
        if self._untold_at is not None and self._clock.now() - self._untold_at < ASK_UNTOLD_EVERY:
            return self._without(snapshot)
        is_pending = False
        try:
            async with self._clock.deadline(GRACE_S):
                await self._orders.get(self._max_age_s(), lambda: self._read(instruments, settings))
        except TimeoutError:
            failure = "stop orders could not be read: no answer yet"
            # Asked for a moment ago. After a failure it is another try, and missing all the while.
            is_pending = not self._orders.has_failed
        except ReadError as failed:
            failure = clean(f"stop orders could not be read: {failed.kind}: {failed.detail}")
        else:
            failure = "stop orders were not read since positions changed"
        latest = self._orders.latest
        if latest is None or not self._counts(latest.value.observed_at):
            return replace(self._without(snapshot, failure), orders_pending=is_pending)
        return replace(snapshot, orders=latest.value.value, orders_at=latest.value.observed_at)

    async def latest(self, instruments: Instruments, settings: AccountSettings) -> Sequence[StopOrder]:
        """Those of the last seconds, whoever asked for them. Raises ReadError."""
        return (await self._orders.get(QUICKLY_S, lambda: self._read(instruments, settings))).value

    async def close(self) -> None:
        await self._orders.close()

    def _look(self, snapshot: AccountSnapshot) -> None:
        contracts = {position.subject: position.contracts for position in snapshot.positions}
        before, self._contracts = self._contracts, contracts
        if before is None or contracts == before:
            return
        self._changed_at = snapshot.observed_at
        if any(now > before.get(subject, 0.0) for subject, now in contracts.items()):
            self._grew_at = snapshot.observed_at

    def _max_age_s(self) -> float:
        if self._changed_at is not None and self._clock.now() - self._changed_at <= QUICK_FOR:
            return QUICKLY_S
        assert self._every_s is not None
        return self._every_s - EARLY_S

    def _counts(self, asked_at: datetime) -> bool:
        """Orders of before a position was opened or grew do not say that it has no stop."""
        assert self._every_s is not None
        limit = timedelta(seconds=MAX_AGE_INTERVALS * self._every_s)
        return self._clock.now() - asked_at <= limit and (self._grew_at is None or asked_at >= self._grew_at)

    def _without(self, snapshot: AccountSnapshot, failure: str | None = None) -> AccountSnapshot:
        if self._untold is None:
            return replace(snapshot, orders_failure=failure)
        caveat = f"whether positions have a stop is not watched: {self._untold}"
        return replace(snapshot, caveats=(*snapshot.caveats, caveat))

    async def _read(self, instruments: Instruments, settings: AccountSettings) -> Observed[tuple[StopOrder, ...]]:
        asked_at = self._clock.now()
        try:
            with at_leisure():
                orders = tuple(await self._venue.read_orders(self._client, instruments, settings))
        except ReadError as failed:
            if failed.kind in UNTOLD and self._orders.latest is None:
                self._give_up(clean(failed.detail), asked_at)
            raise
        except Exception as error:
            # A reply nobody thought of: the account itself can be read, and must not go blind by it.
            _log.exception("a reply about stop orders could not be read", account=self._account)
            raise a_bug(error) from error
        self._untold, self._untold_at = None, None
        before = self._orders.latest
        if before is not None and len(orders) < len(before.value.value):
            # What is there no more is looked for again before anybody is told: a broken list is empty as well.
            self._changed_at = asked_at
        return Observed(orders, asked_at)

    def _give_up(self, why: str, now: datetime) -> None:
        """What never ends is no news at each read: it is logged, and told as a caveat of the account."""
        if self._untold is None:
            _log.warning("stop orders are not told", account=self._account, why=why)
        self._untold, self._untold_at = why, now
