"""What each account's key may do, looked at when the monitor starts and once a day: reading is all it should.

A key that may withdraw is refused at the very first start. Found later, it is a critical alert, and reading goes on.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Set
from datetime import datetime, timedelta

from monitor.clock import Clock
from monitor.domain.account import PollFailure
from monitor.domain.alert import advance
from monitor.domain.reading import AlertKey, Level, Reading, Scope, Severity, Unit, Verdict
from monitor.draft import Draft, is_quiet
from monitor.exchange.source import AccountSource
from monitor.exchange.venues.venue import KeyFacts
from monitor.log import get_logger
from monitor.plan import KEY_PERMISSIONS, AccountPlan
from monitor.store.records import Changes
from monitor.store.store import Store

LOOKED_AT_EVERY_S = 86_400.0
# A venue that would not say is asked again.
ASKED_AGAIN_AFTER_S = 3_600.0
EXPIRES_SOON = timedelta(days=7)
# Takes an account's name, what its key may do, and the steps to one that may only read.
Take = Callable[[str, KeyFacts, str], Awaitable[None]]

_log = get_logger(__name__)


class KeyRefusedError(Exception):
    """A key that may withdraw, at the first start; the message says which, and what to do."""


async def refuse_withdrawing(sources: Mapping[str, AccountSource], allowed: Set[str]) -> None:
    """Raises KeyRefusedError. A venue that does not answer, or does not tell, holds nobody up: it is asked again."""
    asked = [name for name in sources if name not in allowed]
    for name, facts in zip(asked, await asyncio.gather(*(sources[name].key_facts() for name in asked)), strict=True):
        if isinstance(facts, KeyFacts) and facts.may_withdraw:
            raise KeyRefusedError(
                f"{name}: this key may withdraw; make one that may only read ({sources[name].key_steps}), "
                "or set allow_withdraw_key: true for this account"
            )


def judge_key(
    plan: AccountPlan, facts: KeyFacts, steps: str, *, allow_withdraw: bool, store: Store, now: datetime
) -> Changes:
    """The account's alert about its key, moved on by what the venue says of it now."""
    reading = key_reading(plan.name, facts, steps, allow_withdraw=allow_withdraw, now=now)
    draft = Draft(store, now)
    if not is_quiet(store.alerts.get(reading.key), reading):
        alert = store.alert(reading.key)
        draft.move(plan, alert, advance(alert, reading, plan.policies[KEY_PERMISSIONS], now))
    return draft.changes()


def key_reading(account: str, facts: KeyFacts, steps: str, *, allow_withdraw: bool, now: datetime) -> Reading:
    """Critical where it may withdraw and its owner has not said that it may; a warning where it may trade, or ends."""
    withdraws = bool(facts.may_withdraw) and not allow_withdraw
    expires_soon = facts.expires_at is not None and facts.expires_at - now < EXPIRES_SOON
    warns = withdraws or bool(facts.may_trade) or expires_soon
    is_told = facts.may_withdraw is not None or facts.may_trade is not None
    clear = Verdict.CLEAR if is_told else Verdict.UNKNOWN
    return Reading(
        key=AlertKey(KEY_PERMISSIONS, account, Scope.ACCOUNT, account),
        levels=(
            Level(Severity.WARNING, Verdict.BREACH if warns else clear, None),
            Level(Severity.CRITICAL, Verdict.BREACH if withdraws else clear, None),
        ),
        value=None,
        unit=Unit.COUNT,
        inputs={
            "may": " and ".join(_powers(facts)),
            "any_address": facts.ip_restricted is False,
            "expires_at": facts.expires_at.isoformat() if facts.expires_at and expires_soon else None,
            "advice": f"make a key that may only read: {steps}" if steps else "make a key that may only read",
        },
    )


def _powers(facts: KeyFacts) -> Iterator[str]:
    if facts.may_withdraw:
        yield "withdraw"
    if facts.may_trade:
        yield "trade"


async def watch_key(account: str, source: AccountSource, clock: Clock, take: Take) -> None:
    """Look now and every day; `take` is handed what the venue said."""
    while True:
        facts = await source.key_facts()
        if isinstance(facts, PollFailure):
            _log.info("what the key may do was not told", account=account, kind=str(facts.kind), detail=facts.detail)
            await clock.sleep(ASKED_AGAIN_AFTER_S)
            continue
        _log.info("key", account=account, may_trade=facts.may_trade, may_withdraw=facts.may_withdraw)
        await take(account, facts, source.key_steps)
        await clock.sleep(LOOKED_AT_EVERY_S)
