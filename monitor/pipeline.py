"""The page: observe -> assess -> evaluate -> advance -> enqueue. One account, one read, one transaction.

Everything but `run_cycle` is pure: what was read and what was known go in, what is to be written comes out.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from monitor.blindness import Sight
from monitor.clock import Clock
from monitor.domain.account import AccountSnapshot, End, EndKind, Observation, PollFailure
from monitor.domain.alert import Alert, Resolution, advance, advance_absent, advance_unknown, end
from monitor.domain.holdings import CLOCKS_DIFFER
from monitor.domain.market import Markets
from monitor.domain.reading import AlertKey, Level, Reading, Scope, Severity, Unit, Verdict
from monitor.domain.track import Track
from monitor.draft import Draft, is_quiet
from monitor.log import get_logger
from monitor.news import news_notices, taken_words
from monitor.plan import NOT_BY_READS, UNASSESSED, AccountPlan
from monitor.risk.holdings import holdings_after, news_of, untold
from monitor.risk.track import track_after
from monitor.rules.base import Context
from monitor.rules.book import evaluate_rules
from monitor.store.records import Changes, of_venue
from monitor.store.store import Store

_log = get_logger(__name__)

_RESOLUTIONS = {EndKind.LIQUIDATED: Resolution.LIQUIDATED, EndKind.DELEVERAGED: Resolution.AUTO_DELEVERAGED}


class Source(Protocol):
    """One account at its venue; the real one reads through ccxt, the simulation's straight from an engine."""

    async def observe(self) -> Observation:
        """One read; an expected failure comes back as a value."""

    def markets(self) -> Markets:
        """Public market data of the account's venue, as last received."""


async def run_cycle(
    plan_of: Callable[[], AccountPlan], source: Source, sight: Sight, store: Store, clock: Clock
) -> Observation:
    """Read the account once, judge it, and hand over what is news; alert state and messages commit together.

    The plan is asked for after the read: an edit made meanwhile has ended what it removed. An account counts as seen
    only once it is judged, so that one that cannot be judged goes blind.
    """
    observation = await source.observe()
    plan, markets, now = plan_of(), source.markets(), clock.now()
    track = track_after(sight.track, observation, markets)
    readings = assess(plan, observation, markets, now, track)
    changes = decide(plan, observation, readings, markets, store, now, track)
    _log_events(changes, store)
    if not changes.is_empty:
        await store.apply(changes)
    sight.see(observation, readings, track, markets)
    return observation


def assess(
    plan: AccountPlan, observation: Observation, markets: Markets, now: datetime, track: Track | None = None
) -> tuple[Reading, ...]:
    """What the rules say of a good read; nothing of a failed one, for what is not seen is not judged."""
    if isinstance(observation, PollFailure):
        return ()
    readings = evaluate_rules(plan.rules, Context(snapshot=observation, markets=markets, now=now, track=track))
    return (*readings, _unassessed(plan, readings))


def _log_events(changes: Changes, store: Store) -> None:
    for record in changes.accounts:
        known = of_venue(store.accounts.get(record.account), record.venue)
        for event in news_of(known.holdings if known else None, record.holdings):
            _log.info(
                "event", account=record.account, what=f"{event.subject} {event.kind}", detail=event.detail or None
            )


def decide(
    plan: AccountPlan,
    observation: Observation,
    readings: tuple[Reading, ...],
    markets: Markets,
    store: Store,
    now: datetime,
    track: Track | None = None,
) -> Changes:
    """Every alert of the account moved on by this read, with the messages that are due."""
    draft = Draft(store, now)
    record = of_venue(store.accounts.get(plan.name), observation.venue)
    before = record.holdings if record else None
    taken = untold(before, observation.ends) if isinstance(observation, AccountSnapshot) else ()
    by_key = {reading.key: reading for reading in readings}
    known = [key for key in store.keys_of(plan.name) if key.rule not in NOT_BY_READS and key not in by_key]
    for key in (*by_key, *known):
        if not is_quiet(store.alerts.get(key), by_key.get(key)):
            alert = store.alert(key)
            draft.move(plan, alert, _next(plan, alert, by_key, observation, taken, now))
    if isinstance(observation, AccountSnapshot):
        after = holdings_after(before, observation, markets)
        draft.remember(observation, after, track)
        draft.tell(news_notices(plan, observation, taken, news_of(before, after), now))
    return draft.changes()


def decide_removals(
    old: Mapping[str, AccountPlan], new: Mapping[str, AccountPlan], store: Store, now: datetime
) -> Changes:
    """End the alerts of accounts and rules that a new configuration no longer has.

    `old` is what ran before; empty at start, where an account gone meanwhile is known by its alerts alone.
    """
    draft = Draft(store, now)
    channels = frozenset(name for plan in new.values() for name in plan.channels)
    for key, alert in store.alerts.items():
        plan = new.get(key.account)
        if plan is None or not plan.knows(key):
            told_by = old.get(key.account) or plan or _stand_in(key.account, new)
            draft.move(replace(told_by, channels=channels), alert, end(alert, Resolution.REMOVED, now))
    return draft.changes()


def _stand_in(account: str, plans: Mapping[str, AccountPlan]) -> AccountPlan:
    return replace(next(iter(plans.values())), name=account, venue="unknown venue")


def _next(
    plan: AccountPlan,
    alert: Alert,
    readings: Mapping[AlertKey, Reading],
    observation: Observation,
    ends: Sequence[End],
    now: datetime,
) -> Alert:
    key = alert.key
    if not plan.knows(key):
        return end(alert, Resolution.REMOVED, now)
    if isinstance(observation, PollFailure):
        return advance_unknown(alert, now)
    if key in readings:
        return advance(alert, readings[key], plan.policies[key.rule], now)
    taken = _taken(alert, observation, ends)
    if taken:
        told = replace(alert, inputs={**alert.inputs, "taken": taken_words(taken, now)})
        return end(told, _RESOLUTIONS[taken[-1].kind], now)
    if _is_untold(plan, key, readings, observation):
        return advance_absent(alert, now, Resolution.UNTOLD)
    if _is_let_go(plan, key, readings, observation):
        return end(alert, Resolution.REMOVED, now)
    return advance_absent(alert, now)


def _taken(alert: Alert, snapshot: AccountSnapshot, ends: Sequence[End]) -> tuple[End, ...]:
    """What the venue's records say became of the position, or of the isolated pool, that is not there any more.

    Not what they tell late of a position held before: the one that this alert is of may be its owner's close.
    """
    held = {position.subject for position in snapshot.positions}
    subject, fired_at = alert.key.subject, alert.fired_at
    return tuple(
        of
        for of in ends
        if of.subject not in held and subject in (of.subject, of.instrument.isolated_pool(of.side))
        if fired_at is None or of.at >= fired_at - CLOCKS_DIFFER
    )


def _is_untold(plan: AccountPlan, key: AlertKey, readings: Iterable[AlertKey], snapshot: AccountSnapshot) -> bool:
    """The position is there, the rule is for it, and yet has no figure of it: the venue, or a new mode, tells none."""
    rule = plan.rules.get(key.rule)
    position = next((position for position in snapshot.positions if position.subject == key.subject), None)
    return (
        rule is not None
        and key.scope is Scope.POSITION
        and position is not None
        and rule.where.matches_account(snapshot.account, snapshot.venue)
        and rule.where.matches_position(position)
        and not _another_speaks(plan, key, readings)
    )


def _another_speaks(plan: AccountPlan, key: AlertKey, readings: Iterable[AlertKey]) -> bool:
    kind = plan.rule_kind(key)
    return any(
        (plan.rule_kind(other), other.scope, other.subject) == (kind, key.scope, key.subject) for other in readings
    )


def _is_let_go(plan: AccountPlan, key: AlertKey, readings: Iterable[AlertKey], snapshot: AccountSnapshot) -> bool:
    """An edit took the subject from its rule: another of its kind speaks for it now, or none for an open position.

    A pool or currency that a rule is silent about may still be there, while the position that it filters on is gone.
    """
    return _another_speaks(plan, key, readings) or (
        key.scope is Scope.POSITION and any(key.is_about(position.subject) for position in snapshot.positions)
    )


def _unassessed(plan: AccountPlan, readings: tuple[Reading, ...]) -> Reading:
    """A read was good, yet some rule could not judge some subject by it: unknown is not safe, so it is told.

    What was asked for a moment ago and is on its way is not missed yet.
    """
    unknown = [reading for reading in readings if reading.is_unknown and not reading.inputs.get("is_pending")]
    subjects = ", ".join(f"{reading.key.rule} of {reading.key.subject}" for reading in unknown[:5])
    return Reading(
        key=AlertKey(UNASSESSED, plan.name, Scope.ACCOUNT, plan.name),
        levels=(Level(Severity.WARNING, Verdict.BREACH if unknown else Verdict.CLEAR, None),),
        value=float(len(unknown)),
        unit=Unit.COUNT,
        inputs={
            "subjects": subjects,
            "why": str(unknown[0].inputs.get("why")) if unknown else None,
            "advice": "check this account at the venue yourself",
        },
    )
