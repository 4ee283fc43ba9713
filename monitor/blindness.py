"""How old each account's last good read may get before its owner is told: unknown is not safe."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from monitor.domain.account import AccountSnapshot, Observation, PollFailure
from monitor.domain.alert import advance
from monitor.domain.market import Markets
from monitor.domain.reading import AlertKey, Level, Reading, Scope, Severity, Unit, Verdict
from monitor.domain.track import Track
from monitor.draft import Draft, is_idle
from monitor.plan import BLIND, AccountPlan
from monitor.rules.base import Context
from monitor.store.records import Changes
from monitor.store.store import Store

# The age of every account's last good read is judged when it gets to what is told of, and this often at least: less
# than the youngest such age, so that an account of a new configuration is not judged late.
JUDGE_AGES_WITHIN_S = 25.0
# An account that is blind, or was: whether it sees again, and what is due meanwhile.
JUDGE_BLIND_EVERY_S = 5.0
# And never more often than this.
JUDGE_AGES_EVERY_S = 1.0


@dataclass(slots=True, kw_only=True)
class Sight:
    """What is remembered of an account between reads. `since` is when watching began; `context` is what the last good
    read was judged by."""

    since: datetime
    last_read_at: datetime | None = None
    positions: int | None = None
    snapshot: AccountSnapshot | None = None
    readings: tuple[Reading, ...] = ()
    failure: PollFailure | None = None
    track: Track | None = None
    context: Context | None = None

    def age_s(self, now: datetime) -> float:
        """Of the last good read."""
        return (now - (self.last_read_at or self.since)).total_seconds()

    def see(
        self,
        observation: Observation,
        readings: tuple[Reading, ...],
        track: Track | None = None,
        markets: Markets | None = None,
    ) -> None:
        if isinstance(observation, PollFailure):
            self.failure = observation
        else:
            self.failure = None
            self.snapshot = observation
            self.readings = readings
            self.track = track
            # What is added up of it is added up once, however often it is judged.
            self.context = Context(
                snapshot=observation, markets=markets or {}, now=observation.observed_at, track=track
            )
            self.last_read_at = observation.observed_at
            self.positions = len(observation.positions)


def decide_blindness(
    plans: Mapping[str, AccountPlan], sights: Mapping[str, Sight], store: Store, now: datetime
) -> Changes:
    """Judge the age of every account's last good read; from its own loop, since a hung task cannot judge itself."""
    draft = Draft(store, now)
    for name, sight in sights.items():
        plan, alert = plans[name], store.alert(AlertKey(BLIND, name, Scope.ACCOUNT, name))
        if is_idle(alert) and sight.age_s(now) < blind_after_s(plan.poll_interval_s)[0]:
            continue
        draft.move(plan, alert, advance(alert, _blindness(plan, sight, now), plan.policies[BLIND], now))
    return draft.changes()


def until_blind_s(plans: Mapping[str, AccountPlan], sights: Mapping[str, Sight], store: Store, now: datetime) -> float:
    """How long until `decide_blindness` may have something to say."""
    left_s = [JUDGE_AGES_WITHIN_S]
    for name, sight in sights.items():
        age_s, (warning_s, critical_s) = sight.age_s(now), blind_after_s(plans[name].poll_interval_s)
        if is_idle(store.alert(AlertKey(BLIND, name, Scope.ACCOUNT, name))):
            left_s.append(warning_s - age_s)
        else:
            left_s += (JUDGE_BLIND_EVERY_S, critical_s - age_s if critical_s > age_s else JUDGE_BLIND_EVERY_S)
    return max(JUDGE_AGES_EVERY_S, min(left_s))


def blind_after_s(poll_interval_s: float) -> tuple[float, float]:
    """(warning, critical): the ages of the last good read that are told of."""
    return max(3 * poll_interval_s, 30.0), max(6 * poll_interval_s, 60.0)


def _blindness(plan: AccountPlan, sight: Sight, now: datetime) -> Reading:
    """Critical only where a position may be open; an account never read may hold any."""
    age_s = sight.age_s(now)
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
