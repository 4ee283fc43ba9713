"""The page: observe -> assess -> evaluate -> advance -> enqueue. One account, one read, one transaction.

Everything but `run_cycle` is pure: what was read and what was known go in, what is to be written comes out.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol, Self

from monitor.clock import Clock
from monitor.config.settings import Settings
from monitor.domain.account import AccountSnapshot, Observation, PollFailure
from monitor.domain.alert import (
    Alert,
    AlertPolicy,
    LevelPolicy,
    Reason,
    Resolution,
    advance,
    advance_absent,
    advance_unknown,
    end,
    notified,
    reason_to_notify,
)
from monitor.domain.market import Markets
from monitor.domain.notification import Notification, facts_of
from monitor.domain.reading import AlertKey, Level, Reading, Scope, Severity, Unit, Verdict
from monitor.domain.silence import muted
from monitor.rules.base import Context, Rule
from monitor.rules.book import evaluate_rules
from monitor.store.records import AccountRecord, Changes
from monitor.store.store import Store

BLIND = "blind"
UNASSESSED = "unassessed"
KEY_PERMISSIONS = "key_permissions"
# The monitor's own alerts: judged here, by no rule of the YAML.
OWN_RULES = frozenset({BLIND, UNASSESSED, KEY_PERMISSIONS})
# Judged by something else than a read, which says nothing of them.
NOT_BY_READS = frozenset({BLIND, KEY_PERMISSIONS})
# The age of every account's last good read is judged when it gets to what is told of, and this often at least: less
# than the youngest such age, so that an account of a new configuration is not judged late.
JUDGE_AGES_WITHIN_S = 25.0
# An account that is blind, or was: whether it sees again, and what is due meanwhile.
JUDGE_BLIND_EVERY_S = 5.0
# And never more often than this.
JUDGE_AGES_EVERY_S = 1.0
# How often a good read is written down that shows nothing new: often enough not to be pruned as forgotten.
REMEMBER_READ_EVERY = timedelta(minutes=5)


# A key that may do too much is no emergency of tonight: its owner is reminded once a day.
ABOUT_KEYS = AlertPolicy(
    {
        severity: LevelPolicy(for_s=0, keep_firing_for_s=0, group_wait_s=0, repeat_s=repeat_s)
        for severity, repeat_s in ((Severity.INFO, None), (Severity.WARNING, None), (Severity.CRITICAL, 80_000.0))
    }
)


class Source(Protocol):
    """One account at its venue; the real one reads through ccxt, the simulation's straight from an engine."""

    async def observe(self) -> Observation:
        """One read; an expected failure comes back as a value."""

    def markets(self) -> Markets:
        """Public market data of the account's venue, as last received."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountPlan:
    """What the YAML wants of one account. `policies` are by rule name; `targets` are the channels per severity.

    `channels` are all there are: one that does not hear of the account any more may be owed the end of an episode.
    """

    name: str
    venue: str
    poll_interval_s: float
    rules: Mapping[str, Rule]
    policies: Mapping[str, AlertPolicy]
    targets: Mapping[Severity, tuple[str, ...]]
    channels: frozenset[str]

    @classmethod
    def of(cls, settings: Settings, name: str) -> Self:
        policies = {rule: settings.alerts.policy_for(parameters) for rule, parameters in settings.rules.items()}
        policies |= {BLIND: settings.alerts.blind_policy(), UNASSESSED: settings.alerts.policy_for(None)}
        policies[KEY_PERMISSIONS] = ABOUT_KEYS
        return cls(
            name=name,
            venue=settings.accounts[name].venue,
            poll_interval_s=settings.poll_interval_of(name),
            rules=settings.rules,
            policies=policies,
            targets={severity: settings.channels_for(name, severity) for severity in Severity},
            channels=frozenset(settings.channels),
        )

    def knows(self, key: AlertKey) -> bool:
        return key.rule in self.rules or key.rule in OWN_RULES

    def rule_kind(self, key: AlertKey) -> str:
        return self.rules[key.rule].kind if key.rule in self.rules else key.rule


@dataclass(slots=True, kw_only=True)
class Sight:
    """What is remembered of an account between reads. `since` is when watching began."""

    since: datetime
    last_read_at: datetime | None = None
    positions: int | None = None
    snapshot: AccountSnapshot | None = None
    readings: tuple[Reading, ...] = ()
    failure: PollFailure | None = None

    def see(self, observation: Observation, readings: tuple[Reading, ...]) -> None:
        if isinstance(observation, PollFailure):
            self.failure = observation
        else:
            self.failure = None
            self.snapshot = observation
            self.readings = readings
            self.last_read_at = observation.observed_at
            self.positions = len(observation.positions)


async def run_cycle(
    plan_of: Callable[[], AccountPlan], source: Source, sight: Sight, store: Store, clock: Clock
) -> Observation:
    """Read the account once, judge it, and hand over what is news; alert state and messages commit together.

    The plan is asked for after the read: an edit made meanwhile has ended what it removed. An account counts as seen
    only once it is judged, so that one that cannot be judged goes blind.
    """
    observation = await source.observe()
    plan, now = plan_of(), clock.now()
    readings = assess(plan, observation, source.markets(), now)
    changes = decide(plan, observation, readings, store, now)
    if not changes.is_empty:
        await store.apply(changes)
    sight.see(observation, readings)
    return observation


def assess(plan: AccountPlan, observation: Observation, markets: Markets, now: datetime) -> tuple[Reading, ...]:
    """What the rules say of a good read; nothing of a failed one, for what is not seen is not judged."""
    if isinstance(observation, PollFailure):
        return ()
    readings = evaluate_rules(plan.rules, Context(snapshot=observation, markets=markets, now=now))
    return (*readings, _unassessed(plan, readings))


def decide(
    plan: AccountPlan, observation: Observation, readings: tuple[Reading, ...], store: Store, now: datetime
) -> Changes:
    """Every alert of the account moved on by this read, with the messages that are due."""
    draft = Draft(store, now)
    by_key = {reading.key: reading for reading in readings}
    known = [key for key in store.keys_of(plan.name) if key.rule not in NOT_BY_READS and key not in by_key]
    for key in (*by_key, *known):
        if not is_quiet(store.alerts.get(key), by_key.get(key)):
            alert = store.alert(key)
            draft.move(plan, alert, _next(plan, alert, by_key, observation, now))
    if isinstance(observation, AccountSnapshot):
        draft.remember(observation)
    return draft.changes()


def decide_blindness(
    plans: Mapping[str, AccountPlan], sights: Mapping[str, Sight], store: Store, now: datetime
) -> Changes:
    """Judge the age of every account's last good read; from its own loop, since a hung task cannot judge itself."""
    draft = Draft(store, now)
    for name, sight in sights.items():
        plan, alert = plans[name], store.alert(AlertKey(BLIND, name, Scope.ACCOUNT, name))
        if _is_idle(alert) and _age_s(sight, now) < blind_after_s(plan.poll_interval_s)[0]:
            continue
        draft.move(plan, alert, advance(alert, _blindness(plan, sight, now), plan.policies[BLIND], now))
    return draft.changes()


def until_blind_s(plans: Mapping[str, AccountPlan], sights: Mapping[str, Sight], store: Store, now: datetime) -> float:
    """How long until `decide_blindness` may have something to say."""
    left_s = [JUDGE_AGES_WITHIN_S]
    for name, sight in sights.items():
        age_s, (warning_s, critical_s) = _age_s(sight, now), blind_after_s(plans[name].poll_interval_s)
        if _is_idle(store.alert(AlertKey(BLIND, name, Scope.ACCOUNT, name))):
            left_s.append(warning_s - age_s)
        else:
            left_s += (JUDGE_BLIND_EVERY_S, critical_s - age_s if critical_s > age_s else JUDGE_BLIND_EVERY_S)
    return max(JUDGE_AGES_EVERY_S, min(left_s))


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
    plan: AccountPlan, alert: Alert, readings: Mapping[AlertKey, Reading], observation: Observation, now: datetime
) -> Alert:
    key = alert.key
    if not plan.knows(key):
        return end(alert, Resolution.REMOVED, now)
    if isinstance(observation, PollFailure):
        return advance_unknown(alert, now)
    if key in readings:
        return advance(alert, readings[key], plan.policies[key.rule], now)
    if _is_let_go(plan, key, readings, observation):
        return end(alert, Resolution.REMOVED, now)
    return advance_absent(alert, now)


def is_quiet(alert: Alert | None, reading: Reading | None) -> bool:
    """Nothing was the case and nothing is: nearly all alerts at nearly all times, so it must cost nothing."""
    return (alert is None or _is_idle(alert)) and (reading is None or reading.verdict is Verdict.CLEAR)


def _is_idle(alert: Alert) -> bool:
    return not alert.is_active and not alert.just_resolved


def _is_let_go(plan: AccountPlan, key: AlertKey, readings: Iterable[AlertKey], snapshot: AccountSnapshot) -> bool:
    """An edit took the subject from its rule: another of its kind speaks for it now, or none for an open position.

    A pool or currency that a rule is silent about may still be there, while the position that it filters on is gone.
    """
    kind = plan.rule_kind(key)
    return any(
        (plan.rule_kind(other), other.scope, other.subject) == (kind, key.scope, key.subject) for other in readings
    ) or (key.scope is Scope.POSITION and any(position.subject == key.subject for position in snapshot.positions))


def _unassessed(plan: AccountPlan, readings: tuple[Reading, ...]) -> Reading:
    """A read was good, yet some rule could not judge some subject by it: unknown is not safe, so it is told."""
    unknown = [reading for reading in readings if reading.is_unknown]
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


def blind_after_s(poll_interval_s: float) -> tuple[float, float]:
    """(warning, critical): the ages of the last good read that are told of."""
    return max(3 * poll_interval_s, 30.0), max(6 * poll_interval_s, 60.0)


def _blindness(plan: AccountPlan, sight: Sight, now: datetime) -> Reading:
    """Critical only where a position may be open; an account never read may hold any."""
    age_s = _age_s(sight, now)
    warning_s, critical_s = blind_after_s(plan.poll_interval_s)
    # Who was blind when watching began again is so until a read says otherwise: waiting for the first is no sight.
    young = Verdict.HOLD if sight.last_read_at is None else Verdict.CLEAR
    levels = [Level(Severity.WARNING, Verdict.BREACH if age_s >= warning_s else young, warning_s)]
    if sight.positions != 0:
        levels.append(Level(Severity.CRITICAL, Verdict.BREACH if age_s >= critical_s else young, critical_s))
    failure = sight.failure
    return Reading(
        key=AlertKey(BLIND, plan.name, Scope.ACCOUNT, plan.name),
        levels=tuple(levels),
        value=age_s // 10 * 10,  # coarse: the age alone is not worth a write each second
        unit=Unit.SECONDS,
        inputs={
            "failure_kind": str(failure.kind) if failure else None,
            "failure_detail": failure.detail if failure else "the read has not come back",
            "last_read_at": sight.last_read_at.isoformat() if sight.last_read_at else None,
            "positions": sight.positions,
        },
    )


def _age_s(sight: Sight, now: datetime) -> float:
    return (now - (sight.last_read_at or sight.since)).total_seconds()


@dataclass(slots=True)
class Draft:
    """Collects what one evaluation changes, so that it commits as one."""

    store: Store
    now: datetime
    _alerts: list[Alert] = field(default_factory=list)
    _messages: list[Notification] = field(default_factory=list)
    _records: list[AccountRecord] = field(default_factory=list)

    def move(self, plan: AccountPlan, before: Alert, after: Alert) -> None:
        """Take over an alert's next state, and its message where that is news nobody has muted."""
        policy = plan.policies.get(after.key.rule, plan.policies[UNASSESSED])
        reason = reason_to_notify(after, policy, self.now)
        severity = after.severity
        if (
            reason is not None
            and severity is not None
            and not muted(self.store.silences, after.key, severity, reason, self.now)
        ):
            self._messages.extend(self._messages_of(plan, after, severity, policy, reason))
            after = notified(after, reason, self.now)
        if after != before:
            self._alerts.append(after)

    def remember(self, snapshot: AccountSnapshot) -> None:
        known = self.store.accounts.get(snapshot.account)
        record = AccountRecord(
            account=snapshot.account,
            venue=snapshot.venue,
            last_read_at=snapshot.observed_at,
            last_flat=not snapshot.positions,
            last_positions=len(snapshot.positions),
        )
        stale = (
            known is None
            or known.last_read_at is None
            or snapshot.observed_at - known.last_read_at >= REMEMBER_READ_EVERY
            or known.last_positions != record.last_positions
        )
        if stale:
            self._records.append(record)

    def changes(self) -> Changes:
        return Changes(alerts=tuple(self._alerts), enqueue=tuple(self._messages), accounts=tuple(self._records))

    def _messages_of(
        self, plan: AccountPlan, alert: Alert, severity: Severity, policy: AlertPolicy, reason: Reason
    ) -> Iterator[Notification]:
        """One row per channel. Who hears of an episode for the first time reads FIRST; who heard of it, RESOLVED."""
        told = self.store.announced_targets(alert.key, alert.episode)
        for target in sorted(told & plan.channels) if reason is Reason.RESOLVED else plan.targets[severity]:
            yield Notification(
                key=alert.key,
                episode=alert.episode,
                sequence=alert.sequence,
                reason=reason if target in told else Reason.FIRST,
                target=target,
                severity=severity,
                facts=facts_of(alert, plan.rule_kind(alert.key), plan.venue),
                created_at=self.now,
                send_after=self.now + timedelta(seconds=policy.of(severity).group_wait_s),
            )
