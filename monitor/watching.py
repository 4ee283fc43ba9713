"""The accounts being watched: one task each, what each last saw, and how a new configuration changes the set."""

import asyncio
import math
from collections.abc import Callable, Mapping
from contextlib import suppress

from monitor.blindness import Sight
from monitor.clock import Clock
from monitor.config.settings import AccountSettings, Settings
from monitor.domain.account import AccountSnapshot, FailureKind, Observation, PollFailure
from monitor.domain.reading import PORTFOLIO
from monitor.exchange.registry import AccountAccess, Exchanges, Mode
from monitor.exchange.source import AccountSource
from monitor.exchange.venues.venue import KeyFacts
from monitor.keys import judge_key, watch_key
from monitor.log import get_logger
from monitor.pipeline import decide_removals, run_cycle
from monitor.plan import AccountPlan
from monitor.store.records import of_venue
from monitor.store.store import Store

# However rarely accounts are read: after a start each is seen soon.
FIRST_READS_WITHIN_S = 10.0
# Keys are looked at behind the first reads, which come first.
KEYS_AFTER_S = 5.0

_log = get_logger(__name__)


def access_of(settings: Settings, name: str) -> AccountAccess:
    """How the account of that name is reached, in the words of the venue readers."""
    account = settings.accounts[name]
    return AccountAccess(
        name=name,
        venue=account.venue,
        credentials=_credentials(account),
        base_url=account.base_url,
        mode=Mode(account.mode),
        proxy=account.proxy.get_secret_value() if account.proxy else None,
        read_deadline_s=settings.read_deadline_of(name),
        poll_interval_s=settings.poll_interval_of(name),
        needs=frozenset().union(
            *(rule.needs for rule in settings.rules.values() if rule.where.matches_account(name, account.venue))
        ),
    )


def _credentials(account: AccountSettings) -> Mapping[str, str]:
    secrets = {
        "apiKey": account.api_key,
        "secret": account.secret,
        "password": account.password,
        "uid": account.uid,
        "privateKey": account.private_key,
    }
    given = {name: secret.get_secret_value() for name, secret in secrets.items() if secret is not None}
    return given | ({"walletAddress": account.wallet_address} if account.wallet_address else {})


def allowed_to_withdraw(settings: Settings) -> frozenset[str]:
    """The accounts whose owner accepts a key that may withdraw."""
    return frozenset(name for name, account in settings.accounts.items() if account.allow_withdraw_key)


class Watching:
    """The accounts being watched: one task each, with what it last saw. Lives inside one TaskGroup."""

    def __init__(
        self,
        store: Store,
        exchanges: Exchanges,
        clock: Clock,
        tasks: asyncio.TaskGroup,
        *,
        on_read: Callable[[str], None],
    ) -> None:
        """`on_read` hears of every good read, by account name."""
        self.plans: dict[str, AccountPlan] = {}
        self.portfolio: AccountPlan | None = None
        self.sights: dict[str, Sight] = {}
        self._accesses: dict[str, AccountAccess] = {}
        self._running: dict[str, tuple[AccountSource, tuple[asyncio.Task[None], ...], asyncio.Event]] = {}
        self._allowed: frozenset[str] = frozenset()
        self._store = store
        self._exchanges = exchanges
        self._clock = clock
        self._tasks = tasks
        self._on_read = on_read
        # When each account is to be read next, on the monotonic clock.
        self._due: dict[str, float] = {}

    async def take(self, settings: Settings) -> None:
        """Watch what these settings name, from now on and by their rules; what did not change is not disturbed."""
        new = {name: AccountPlan.of(settings, name) for name in settings.accounts}
        accesses = {name: access_of(settings, name) for name in settings.accounts}
        for name in [name for name in self._running if accesses.get(name) != self._accesses[name]]:
            await self._leave(name)
        # Reads that end from here on are judged by the new plans; what was judged by the old ones is waited for.
        old, self.plans, self._accesses = self._all_plans(), new, accesses
        self.portfolio = AccountPlan.of_portfolio(settings)
        self._allowed = allowed_to_withdraw(settings)
        await self._store.settled()
        changes = decide_removals(old, self._all_plans(), self._store, self._clock.now())
        if not changes.is_empty:
            await self._store.apply(changes)
        for _, _, wake in self._running.values():
            wake.set()
        fresh = [name for name in new if name not in self._running]
        for index, name in enumerate(fresh):
            within_s = min(new[name].poll_interval_s, FIRST_READS_WITHIN_S)
            self._start(name, delay_s=min(within_s * index / len(fresh), self._due_in_s(name)))
        self._due = {name: due for name, due in self._due.items() if name in new}

    def _due_in_s(self, name: str) -> float:
        """Until the next read of what was watched already: an edit that opens an account anew may not put that off."""
        return max(0.0, self._due.get(name, math.inf) - self._clock.monotonic())

    def _all_plans(self) -> dict[str, AccountPlan]:
        """With that of the portfolio, as alerts name it."""
        return self.plans if self.portfolio is None else {**self.plans, PORTFOLIO: self.portfolio}

    async def leave_all(self) -> None:
        for name in list(self._running):
            await self._leave(name)

    def _start(self, name: str, delay_s: float) -> None:
        """First reads are spread, so that a hundred accounts do not knock at once."""
        source = self._exchanges.open_account(self._accesses[name])
        record = of_venue(self._store.accounts.get(name), self.plans[name].venue)
        self.sights[name] = Sight(
            since=self._clock.now(),
            positions=record.last_positions if record else None,
            track=record.track if record else None,
        )
        if record is not None and (since := record.look_back_from) is not None:
            source.look_back(since)
        wake = asyncio.Event()
        reading = self._tasks.create_task(self._watch(name, source, wake, delay_s), name=f"account {name}")
        about_key = self._tasks.create_task(self._watch_key(name, source, delay_s), name=f"key of {name}")
        self._running[name] = (source, (reading, about_key), wake)

    async def _leave(self, name: str) -> None:
        source, tasks, _ = self._running.pop(name)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await self._exchanges.close_account(source)
        self.sights.pop(name, None)

    async def _watch(self, name: str, source: AccountSource, wake: asyncio.Event, delay_s: float) -> None:
        await self._clock.sleep(delay_s)
        while True:
            started = self._clock.monotonic()
            self._due[name] = started + self.plans[name].poll_interval_s
            before = self.sights[name].failure
            observation = await self._cycle(name, source)
            if isinstance(observation, AccountSnapshot):
                self._on_read(name)
            _log_change(self.sights[name].failure, before, name)
            wait_s = self.plans[name].poll_interval_s - (self._clock.monotonic() - started)
            with suppress(TimeoutError):
                async with self._clock.deadline(max(0.0, wait_s)):
                    await wake.wait()
            wake.clear()

    async def _watch_key(self, name: str, source: AccountSource, delay_s: float) -> None:
        await self._clock.sleep(delay_s + KEYS_AFTER_S)
        try:
            await watch_key(name, source, self._clock, self._take_key)
        except Exception:  # noqa: BLE001  # a reply nobody thought of must not end the watch over positions
            _log.exception("what a key may do could not be judged", account=name)

    async def _take_key(self, name: str, facts: KeyFacts, steps: str) -> None:
        plan, allow = self.plans[name], name in self._allowed
        changes = judge_key(plan, facts, steps, allow_withdraw=allow, store=self._store, now=self._clock.now())
        if not changes.is_empty:
            await self._store.apply(changes)

    async def _cycle(self, name: str, source: AccountSource) -> Observation:
        sight = self.sights[name]
        try:
            return await run_cycle(lambda: self.plans[name], source, sight, self._store, self._clock)
        except Exception as error:  # noqa: BLE001  # the other accounts are watched all the same; this one goes blind
            detail = f"a bug in perpwatch kept it from being judged: {type(error).__name__}"
            if sight.failure is None or sight.failure.detail != detail:
                _log.exception("an account could not be judged", account=name)
            sight.failure = PollFailure(
                account=name,
                venue=self.plans[name].venue,
                observed_at=self._clock.now(),
                kind=FailureKind.MALFORMED,
                detail=detail,
            )
            return sight.failure


def _log_change(failure: PollFailure | None, before: PollFailure | None, name: str) -> None:
    """A failure is logged when it begins, changes or ends, not at every poll."""
    if failure is not None and (before is None or before.kind is not failure.kind):
        _log.warning("read failed", account=name, kind=str(failure.kind), detail=failure.detail)
    elif failure is None and before is not None:
        _log.info("reads again", account=name)
