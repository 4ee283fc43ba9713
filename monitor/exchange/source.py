"""One account as a source of observations: every expected failure comes back as a value, never as an exception."""

import asyncio
from collections.abc import Sequence, Set
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from zlib import crc32

from monitor.clock import Clock
from monitor.domain.account import AccountSnapshot, FailureKind, Observation, PollFailure, StopOrder
from monitor.domain.ledger import Ledger
from monitor.domain.market import Markets
from monitor.domain.reading import Need
from monitor.exchange.client import release
from monitor.exchange.ends import Ends
from monitor.exchange.failures import OldListError, ReadError, failure_from
from monitor.exchange.ledger import Bookings
from monitor.exchange.market_data import MarketData
from monitor.exchange.plausibility import Plausibility
from monitor.exchange.resting import Resting
from monitor.exchange.venues.venue import AccountSettings, KeyFacts, Venue
from monitor.log import get_logger
from monitor.risk.estimate import completed

_log = get_logger(__name__)

SETTINGS_MAX_AGE = timedelta(minutes=10)
# The first ones count as older than they are by a share of that, another one for each account: all begin together.
SETTINGS_SPREAD = 0.3
# A reply that is not what the account's mode lets expect may come from another mode: it is asked for again.
MAY_BE_ANOTHER_MODE = (
    FailureKind.AUTH,
    FailureKind.MALFORMED,
    FailureKind.IMPLAUSIBLE,
    FailureKind.UNSUPPORTED,
    FailureKind.PERMISSION,
)
# A symbol that we do not know may be a listing younger than our list.
UNLISTED_MAX_AGE_S = 60.0
# What no retry heals is not asked for again at once: a venue bans addresses that keep knocking with a bad key.
PAUSES_S = {
    FailureKind.AUTH: 60.0,
    FailureKind.PERMISSION: 60.0,
    FailureKind.REGION: 60.0,
    FailureKind.UNSUPPORTED: 60.0,
    FailureKind.MAINTENANCE: 15.0,
}
# Candles and books of many instruments come one after another.
GATHERED_WITHIN_S = 30.0
# Other failures are retried with the next poll; after some in a row a pause doubles up to the longest.
QUICK_RETRIES = 3
FIRST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 15.0


class AccountSource:
    """Reads one account; `observe` by one task at a time.

    `marks_max_age_s`: how old shared marks may be. `orders_every_s`: how often stop orders are read beside the account,
    None where they are not needed; `ledger_every_s` says the same of what the venue booked. `needs` are for what is
    gathered of the instruments it holds.
    """

    def __init__(
        self,
        name: str,
        venue: Venue,
        client: Any,
        market: MarketData,
        clock: Clock,
        *,
        deadline_s: float,
        marks_max_age_s: float,
        orders_every_s: float | None = None,
        ledger_every_s: float | None = None,
        needs: Set[Need] = frozenset(),
    ) -> None:
        self.name = name
        self._venue = venue
        self._client = client
        self._market = market
        self._clock = clock
        self._deadline_s = deadline_s
        self._marks_max_age_s = marks_max_age_s
        self._needs = needs
        self._plausibility = Plausibility()
        self._ends = Ends(name, venue, client, clock, deadline_s=deadline_s)
        self._resting = Resting(name, venue, client, clock, deadline_s=deadline_s, every_s=orders_every_s)
        self._bookings = Bookings(name, venue, client, clock, every_s=ledger_every_s)
        self._settings = AccountSettings()
        self._settings_at: datetime | None = None
        self._settings_ahead = SETTINGS_MAX_AGE * SETTINGS_SPREAD * (crc32(name.encode()) / 2**32)
        self._failures_in_a_row = 0
        self._failure: PollFailure | None = None

    @property
    def venue_id(self) -> str:
        return self._venue.id

    @property
    def coverage(self) -> tuple[str, ...]:
        """What of this venue is exact, and what is not read or not vouched for."""
        return self._venue.coverage

    @property
    def key_steps(self) -> str:
        """How to make a key that may only read, at this venue."""
        return self._venue.key_steps

    def markets(self) -> Markets:
        """What is known of the venue's market now; refreshed by `observe`."""
        return self._market.markets()

    def look_back(self, since: datetime) -> None:
        """Ask with the first read what the venue did to positions since then: nobody looked meanwhile."""
        self._ends.look_back(since)

    async def observe(self) -> Observation:
        """One read within the deadline. While the venue told us to wait nothing is sent, and the failure repeated."""
        now = self._clock.now()
        if self._failure is not None and self._failure.retry_at is not None and now < self._failure.retry_at:
            return replace(self._failure, observed_at=now)
        refreshing = asyncio.create_task(self._market.refresh(self._client, self._marks_max_age_s))
        try:
            async with self._clock.deadline(self._deadline_s):
                snapshot = await self._read()
        except TimeoutError:
            return self._failed(ReadError(FailureKind.TIMEOUT, f"no answer within {self._deadline_s:g} s"))
        except ReadError as failed:
            return self._failed(failed)
        else:
            await self._market.settle(refreshing)
            await self._ask_about_new(snapshot)
            self._failure, self._failures_in_a_row = None, 0
            instruments = await self._market.instruments()
            ends, rested, booked = await asyncio.gather(
                self._ends.known(snapshot, instruments, self._settings),
                self._resting.beside(snapshot, instruments, self._settings),
                self._bookings.beside(snapshot, instruments, self._settings),
            )
            snapshot = replace(
                rested,
                ends=ends,
                ends_owed_since=self._ends.owed_since,
                ledger=booked.ledger,
                ledger_failure=booked.ledger_failure,
                caveats=tuple(dict.fromkeys((*rested.caveats, *booked.caveats))),
            )
            return completed(self._with_caveats(snapshot), self._market.markets())
        finally:
            refreshing.cancel()

    async def gathered(self, snapshot: AccountSnapshot) -> AccountSnapshot:
        """For who reads once: until what its rules need of the market is there, or a while has passed."""
        with suppress(TimeoutError):
            async with self._clock.deadline(GATHERED_WITHIN_S):
                await self._market.gathered()
        return self._with_caveats(snapshot)

    def _with_caveats(self, snapshot: AccountSnapshot) -> AccountSnapshot:
        caveats = (*snapshot.caveats, *self._market.caveats(self.name, self._needs))
        return replace(snapshot, caveats=tuple(dict.fromkeys(caveats)))

    async def _ask_about_new(self, snapshot: AccountSnapshot) -> None:
        """Some venues tell marks and terms one by one: of what is newly held they are asked at once."""
        new = self._market.hold(self.name, (position.instrument for position in snapshot.positions), self._needs)
        if new and self._market.lacks(new):
            refreshing = asyncio.create_task(self._market.refresh(self._client, 0.0))
            try:
                await self._market.settle(refreshing)
            finally:
                refreshing.cancel()

    async def key_facts(self) -> KeyFacts | PollFailure:
        """What this account's key may do, and the clock skew; for `check --online`."""
        try:
            async with self._clock.deadline(self._deadline_s):
                return await self._venue.read_key_facts(self._client)
        except (TimeoutError, ReadError) as failed:
            return failure_from(failed, self.name, self._venue.id, self._clock.now())

    async def orders(self) -> Sequence[StopOrder] | PollFailure:
        """The stops, take-profits and trailing stops that rest at the venue; after a good read."""
        try:
            async with self._clock.deadline(self._deadline_s):
                return await self._resting.latest(await self._market.instruments(), await self._current_settings())
        except (TimeoutError, ReadError) as failed:
            return failure_from(failed, self.name, self._venue.id, self._clock.now())

    async def bookings(self) -> Ledger | PollFailure:
        """What the venue booked in the last seven days; after a good read."""
        try:
            async with self._clock.deadline(self._deadline_s):
                return await self._bookings.latest(await self._market.instruments(), await self._current_settings())
        except (TimeoutError, ReadError) as failed:
            return failure_from(failed, self.name, self._venue.id, self._clock.now())

    async def close(self) -> None:
        await self._ends.close()
        await self._resting.close()
        await self._bookings.close()
        self._market.forget(self.name)
        release(self._client)

    async def _read(self) -> AccountSnapshot:
        """One attempt, and a second where the first may have been bad luck."""
        mode_was_known = self._settings_at is not None
        try:
            return await self._attempt()
        except OldListError:
            await self._market.instruments_within(UNLISTED_MAX_AGE_S)
        except ReadError as failed:
            if failed.kind is FailureKind.CLOCK:
                await self._client.resync()
            elif failed.kind is FailureKind.AUTH:
                if not (mode_was_known and await self._has_another_mode()):
                    raise
            elif failed.kind is not FailureKind.IMPLAUSIBLE:
                raise
        return await self._attempt()

    async def _has_another_mode(self) -> bool:
        """Asked of the venue: a key that was good a moment ago is refused by the calls of a mode that has ended."""
        before = self._settings.mode
        return (await self._current_settings()).mode != before

    async def _attempt(self) -> AccountSnapshot:
        instruments = await self._market.instruments()
        settings = await self._current_settings()
        try:
            raw = await self._venue.read_account(self._client, settings)
            now = self._clock.now()
            reading = self._venue.parse_account(raw, instruments, settings)
            self._plausibility.check(reading, self._market.markets(), now)
        except ReadError as failed:
            if failed.kind in MAY_BE_ANOTHER_MODE:
                self._settings_at = None
            raise
        return AccountSnapshot(
            account=self.name,
            venue=self._venue.id,
            observed_at=now,
            margins=reading.margins,
            positions=reading.positions,
            collateral=reading.collateral,
            mode=settings.mode,
            caveats=reading.caveats,
        )

    async def _current_settings(self) -> AccountSettings:
        """The account's mode decides what is asked for, so it is known before the account is read."""
        if self._settings_at is None or self._clock.now() - self._settings_at >= SETTINGS_MAX_AGE:
            settings = await self._venue.read_settings(self._client)
            if settings.mode != self._settings.mode:
                _log.info("account_mode", account=self.name, mode=settings.mode, before=self._settings.mode or None)
            self._settings, self._settings_at = settings, self._clock.now() - self._settings_ahead
            self._settings_ahead = timedelta(0)
        return self._settings

    def _failed(self, failed: ReadError) -> PollFailure:
        now = self._clock.now()
        self._failures_in_a_row += 1
        failure = failure_from(failed, self.name, self._venue.id, now)
        pause_s = self._pause_s(failed.kind)
        if failure.retry_at is None and pause_s > 0:
            failure = replace(failure, retry_at=now + timedelta(seconds=pause_s))
        self._failure = failure
        return failure

    def _pause_s(self, kind: FailureKind) -> float:
        if kind in PAUSES_S:
            return PAUSES_S[kind]
        surplus = self._failures_in_a_row - QUICK_RETRIES
        return 0.0 if surplus <= 0 else min(FIRST_PAUSE_S * 2 ** min(surplus, 10), LONGEST_PAUSE_S)
