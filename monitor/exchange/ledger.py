"""What the venue booked to an account, read beside it: the last seven days, and then what is new.

It is for what no alert waits for (what funding has cost, which change of equity was a transfer), so it is asked for at
leisure and rarely, but by the very read that saw money move, and no read of an account waits for it longer than a
moment. It is kept in memory: a start reads seven days again, for one call of most accounts.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from monitor.clock import Clock
from monitor.domain.account import AccountSnapshot, FailureKind
from monitor.domain.ledger import Ledger, bounded, continued, later
from monitor.exchange.budget import at_leisure
from monitor.exchange.failures import ReadError, a_bug, clean
from monitor.exchange.together import SharedRead
from monitor.exchange.venues.venue import AccountSettings, Instruments, Venue
from monitor.log import get_logger

_log = get_logger(__name__)

EVERY_S = 300.0
# A read of the account that comes a moment early is not passed over.
EARLY_S = 1.0
# So often, and so long, after money moved by more than this share of it: it may have come or gone, and until that is
# told nobody knows what was lost.
QUICKLY_S, QUICK_GAP_S = 30.0, 5.0
QUICK_FOR = timedelta(seconds=90)
MOVED_SHARE = 0.0025
# After a failure.
PAUSE_S = 30.0
# The first read may be of many pages, each of which waits for its turn.
DEADLINE_S = 120.0
# What a read of the account waits for it.
GRACE_S = 1.0
# Of what may be asked for at leisure at once: the rest is left to stop orders, which alerts wait for.
ROOM = 0.75
LOOK_BACK = timedelta(days=7)
# Bookings appear some time after the moment that they name.
OVERLAP = timedelta(minutes=10)
KEPT = timedelta(days=8)
MOST = 5_000
# Kinds of failure that say that this account's bookings are not told, where they never were.
UNTOLD = frozenset({FailureKind.UNSUPPORTED, FailureKind.PERMISSION})
ASK_UNTOLD_EVERY = timedelta(hours=1)


class Bookings:
    """One account's ledger. `every_s` None: no rule needs it, and it is never read."""

    def __init__(self, account: str, venue: Venue, client: Any, clock: Clock, *, every_s: float | None) -> None:
        self._account = account
        self._venue = venue
        self._client = client
        self._clock = clock
        self._every_s = every_s
        self._ledgers: SharedRead[Ledger] = SharedRead(clock, deadline_s=DEADLINE_S, pause_s=PAUSE_S)
        # That of the account when its ledger was read last.
        self._mode: str | None = None
        # What lay in each currency beside unrealised profit, and when that changed.
        self._cash: Mapping[str, float] | None = None
        self._moved_at: datetime | None = None
        self._untold: str | None = None
        self._untold_at: datetime | None = None
        self._failure: FailureKind | None = None

    async def beside(
        self, snapshot: AccountSnapshot, instruments: Instruments, settings: AccountSettings
    ) -> AccountSnapshot:
        """The account with the last ledger that was read, however old: `until` says so; and with why there is none
        younger, where it was due."""
        if self._every_s is None:
            return snapshot
        self._look(snapshot)
        if self._untold_at is not None and self._clock.now() - self._untold_at < ASK_UNTOLD_EVERY:
            return self._without(snapshot)
        failure = None
        try:
            async with self._clock.deadline(GRACE_S):
                await self._ledgers.get(self._max_age_s(), lambda: self._read(instruments, settings))
        except TimeoutError:
            failure = "bookings could not be read: no answer yet"
        except ReadError as failed:
            failure = clean(f"bookings could not be read: {failed.kind}: {failed.detail}")
            self._log_change(failed.kind, failed.detail)
        else:
            self._log_change(None, "")
        if self._untold is not None:
            return self._without(snapshot)
        latest = self._ledgers.latest
        return replace(snapshot, ledger=latest.value if latest is not None else None, ledger_failure=failure)

    async def latest(self, instruments: Instruments, settings: AccountSettings) -> Ledger:
        """That of the last seconds, whether a rule needs it or not. Raises ReadError."""
        return await self._ledgers.get(QUICKLY_S, lambda: self._read(instruments, settings))

    async def close(self) -> None:
        await self._ledgers.close()

    def _look(self, snapshot: AccountSnapshot) -> None:
        before, self._cash = self._cash, _cash_of(snapshot)
        if before is None:
            return
        for currency in before.keys() | self._cash.keys():
            old, new = before.get(currency, 0.0), self._cash.get(currency, 0.0)
            if abs(new - old) > MOVED_SHARE * max(abs(old), abs(new)):
                self._moved_at = snapshot.observed_at

    def _max_age_s(self) -> float:
        """Seen to move, it is asked for by the very read that saw it, if the last was not of just now."""
        assert self._every_s is not None
        latest = self._ledgers.latest
        if self._moved_at is not None and self._clock.now() - self._moved_at <= QUICK_FOR:
            is_older = latest is not None and latest.observed_at < self._moved_at
            return QUICK_GAP_S if is_older else QUICKLY_S
        if latest is not None and latest.observed_at - latest.value.until > OVERLAP:
            # Its pages were not enough: there is more to read on.
            return QUICKLY_S
        return self._every_s - EARLY_S

    def _without(self, snapshot: AccountSnapshot) -> AccountSnapshot:
        caveat = f"funding paid, realised profit and transfers are not known: {self._untold}"
        return replace(snapshot, caveats=(*snapshot.caveats, caveat))

    async def _read(self, instruments: Instruments, settings: AccountSettings) -> Ledger:
        now, latest = self._clock.now(), self._ledgers.latest
        # Another mode tells other kinds, of other wallets: what was read in the one before is no beginning of it.
        before = latest.value if latest is not None and settings.mode == self._mode else None
        since = now - LOOK_BACK if before is None else max(now - LOOK_BACK, before.until - OVERLAP)
        # The venue's clock is not ours.
        ahead = timedelta(milliseconds=self._client.shared.offset.milliseconds)
        try:
            with at_leisure(ROOM):
                told = await self._venue.read_ledger(self._client, instruments, settings, since - ahead)
        except ReadError as failed:
            if failed.kind in UNTOLD and before is None:
                self._give_up(clean(failed.detail), now)
            raise
        except Exception as error:
            # A reply nobody thought of: the account itself can be read, and must not go blind by it.
            _log.exception("a reply about bookings could not be read", account=self._account)
            raise a_bug(error) from error
        self._untold, self._untold_at, self._mode = None, None, settings.mode
        return bounded(continued(before, later(told, ahead)), now - KEPT, MOST)

    def _log_change(self, kind: FailureKind | None, detail: str) -> None:
        """No alert tells of it until one needs it."""
        if kind is self._failure:
            return
        self._failure = kind
        if kind is None:
            _log.info("bookings are read again", account=self._account)
        elif self._untold is None:
            _log.warning("bookings could not be read", account=self._account, kind=str(kind), detail=clean(detail))

    def _give_up(self, why: str, now: datetime) -> None:
        """What never ends is no news at each read: it is logged, and told as a caveat of the account."""
        if self._untold is None:
            _log.warning("bookings are not told", account=self._account, why=why)
        self._untold, self._untold_at = why, now


def _cash_of(snapshot: AccountSnapshot) -> Mapping[str, float]:
    """By currency, where equity is told."""
    currencies = {margin.pool: margin.currency for margin in snapshot.margins}
    cash: dict[str, float] = {}
    for margin in snapshot.margins:
        cash[margin.currency] = cash.get(margin.currency, 0.0) + (margin.equity or 0.0)
    for position in snapshot.positions:
        if position.pool in currencies:
            cash[currencies[position.pool]] -= (position.unrealized_pnl or 0.0) * position.pool_rate
    return cash
