"""What one evaluation changes, collected so that it commits as one: alerts, their messages, what was seen."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from monitor.domain.account import AccountSnapshot, isolated_pool_of
from monitor.domain.alert import Alert, AlertPolicy, Reason, notified, reason_to_notify
from monitor.domain.hedges import Hedges
from monitor.domain.hedges import is_worth_writing as hedges_worth_writing
from monitor.domain.holdings import Holdings
from monitor.domain.notification import Notification, facts_of, is_bad_end
from monitor.domain.reading import Reading, Severity, Verdict
from monitor.domain.silence import muted
from monitor.domain.track import Track, is_worth_writing
from monitor.plan import UNASSESSED, AccountPlan
from monitor.store.records import AccountRecord, Changes
from monitor.store.store import Store

# How often a good read is written down that shows nothing new: often enough not to be pruned as forgotten.
REMEMBER_READ_EVERY = timedelta(minutes=5)


def is_quiet(alert: Alert | None, reading: Reading | None) -> bool:
    """Nothing was the case and nothing is: nearly all alerts at nearly all times, so it must cost nothing."""
    return (alert is None or is_idle(alert)) and (reading is None or reading.verdict is Verdict.CLEAR)


def is_idle(alert: Alert) -> bool:
    return not alert.is_active and not alert.just_resolved


@dataclass(slots=True)
class Draft:
    """Collects what one evaluation changes, so that it commits as one."""

    store: Store
    now: datetime
    _alerts: list[Alert] = field(default_factory=list)
    _messages: list[Notification] = field(default_factory=list)
    _records: list[AccountRecord] = field(default_factory=list)
    _hedges: Mapping[str, Hedges] | None = None

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

    def tell(self, messages: Iterable[Notification]) -> None:
        """News that is no alert's, for whom the end of an alert does not tell it already.

        What the venue took is told as the end of an alert would tell it: through silences.
        """
        ended = {(row.key.subject, row.target) for row in self._messages if is_bad_end(row)}
        self._messages.extend(
            row
            for row in messages
            # An isolated pool is named after its position.
            if ended.isdisjoint((name, row.target) for name in (row.key.subject, isolated_pool_of(row.key.subject)))
            and (
                row.severity is Severity.CRITICAL
                or not muted(self.store.silences, row.key, row.severity, row.reason, self.now)
            )
        )

    def remember(self, snapshot: AccountSnapshot, holdings: Holdings, track: Track | None) -> None:
        """What is told now is written with what it was judged by."""
        known = self.store.accounts.get(snapshot.account)
        record = AccountRecord(
            account=snapshot.account,
            venue=snapshot.venue,
            last_read_at=snapshot.observed_at,
            last_flat=not snapshot.positions,
            last_positions=len(snapshot.positions),
            holdings=holdings,
            track=track,
        )
        stale = (
            known is None
            or known.last_read_at is None
            or snapshot.observed_at - known.last_read_at >= REMEMBER_READ_EVERY
            or known.venue != record.venue
            or known.last_positions != record.last_positions
            or known.holdings != holdings
            or (track is not None and (bool(self._messages) or is_worth_writing(known.track, track)))
        )
        if stale:
            self._records.append(record)

    def remember_hedges(self, hedges: Mapping[str, Hedges]) -> None:
        """With what is told, or where it is worth a write."""
        known = self.store.hedges
        if known.keys() != hedges.keys() or any(
            (self._messages and hedges[name] != known[name]) or hedges_worth_writing(known[name], hedges[name])
            for name in hedges
        ):
            self._hedges = hedges

    def changes(self) -> Changes:
        return Changes(
            alerts=tuple(self._alerts),
            enqueue=tuple(self._messages),
            accounts=tuple(self._records),
            hedges=self._hedges,
        )

    def _messages_of(
        self, plan: AccountPlan, alert: Alert, severity: Severity, policy: AlertPolicy, reason: Reason
    ) -> Iterator[Notification]:
        """One row per channel. Who hears of an episode for the first time reads FIRST; who heard of it, RESOLVED."""
        told = self.store.announced_targets(alert.key, alert.episode)
        facts = facts_of(alert, plan.rule_kind(alert.key), plan.venue)
        wait = timedelta(seconds=policy.of(severity).group_wait_s)
        if reason is Reason.RESOLVED and facts.is_bad_end:
            # The venue took the position: that is no recovery to be told at leisure.
            severity, wait = Severity.CRITICAL, timedelta()
        for target in sorted(told & plan.channels) if reason is Reason.RESOLVED else plan.targets[severity]:
            yield Notification(
                key=alert.key,
                episode=alert.episode,
                sequence=alert.sequence,
                reason=reason if target in told else Reason.FIRST,
                target=target,
                severity=severity,
                facts=facts,
                created_at=self.now,
                send_after=self.now + wait,
            )
