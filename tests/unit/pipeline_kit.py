"""One account before the page, and a plan for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from monitor.blindness import Sight, decide_blindness
from monitor.domain.account import FailureKind, Observation, PollFailure, PriceOrigin
from monitor.domain.alert import Alert
from monitor.domain.market import Markets
from monitor.domain.notification import DeliveryState, Notification
from monitor.domain.reading import Severity
from monitor.pipeline import assess, decide
from monitor.plan import AccountPlan
from monitor.risk.track import track_after
from monitor.rules.base import Rule
from monitor.store.records import Changes
from monitor.store.store import Store
from tests.builders import a_policy, a_position, a_rule, a_snapshot
from tests.unit.store_kit import ManualClock

BOTH = dict.fromkeys((Severity.WARNING, Severity.CRITICAL), ("phone",))
RATIO = {"margin_ratio": a_rule("margin_ratio", warning="50%", critical="80%")}
DISTANCE = {"liquidation_distance": a_rule("liquidation_distance", warning="15%", critical="7%")}
NEAR: dict[str, Any] = {"liquidation_price": 97, "liquidation_price_origin": PriceOrigin.VENUE}
QUICK = a_policy(warning_for_s=0, keep_firing_for_s=20)


def a_plan(
    rules: Mapping[str, Rule] = RATIO,
    *,
    name: str = "main",
    targets: Mapping[Severity, tuple[str, ...]] = BOTH,
    poll_interval_s: float = 10.0,
) -> AccountPlan:
    return AccountPlan(
        name=name,
        venue="binanceusdm",
        poll_interval_s=poll_interval_s,
        rules=rules,
        policies=dict.fromkeys([*rules, "blind", "unassessed"], QUICK),
        targets={Severity.INFO: (), **targets},
        channels=frozenset(name for names in targets.values() for name in names),
    )


async def delivered(store: Store, clock: ManualClock) -> tuple[Notification, ...]:
    """What waited in the outbox: all of it arrives at once."""
    rows = tuple(store.undelivered.values())
    sent = (replace(row, state=DeliveryState.SENT, delivered_at=clock.now()) for row in rows)
    await store.apply(Changes(notifications=tuple(sent)))
    return rows


@dataclass
class Desk:
    """One account before the page: observations go in, state and messages are looked at."""

    store: Store
    clock: ManualClock
    plan: AccountPlan = field(default_factory=a_plan)
    sight: Sight = field(init=False)
    told: list[Notification] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sight = Sight(since=self.clock.now())

    async def see(self, observation: Observation, markets: Markets | None = None) -> None:
        now = self.clock.now()
        observation = replace(observation, observed_at=now)
        track = track_after(self.sight.track, observation, markets or {})
        readings = assess(self.plan, observation, markets or {}, now, track)
        self.sight.see(observation, readings, track)
        await self.commit(decide(self.plan, observation, readings, markets or {}, self.store, now, track))

    async def ratio(self, ratio: float | None) -> None:
        """A read in which the cross pool's margin ratio is that; None: the venue does not tell it."""
        maintenance = None if ratio is None else 1000 * ratio
        await self.see(a_snapshot(a_position(contracts=1, mark_price=100, maintenance_margin=maintenance)))

    async def fail(self, kind: FailureKind = FailureKind.TIMEOUT) -> None:
        now = self.clock.now()
        await self.see(
            PollFailure(account=self.plan.name, venue=self.plan.venue, observed_at=now, kind=kind, detail="gone")
        )

    async def look(self) -> None:
        """The loop that judges how old the last read is."""
        await self.commit(
            decide_blindness({self.plan.name: self.plan}, {self.plan.name: self.sight}, self.store, self.clock.now())
        )

    async def commit(self, changes: Changes) -> None:
        """And every message arrives at once."""
        await self.store.apply(changes)
        self.told.extend(await delivered(self.store, self.clock))

    def later(self, seconds: float) -> None:
        self.clock.elapsed_s += seconds

    def alert(self, rule: str) -> Alert:
        found = [alert for key, alert in self.store.alerts.items() if key.rule == rule]
        assert len(found) == 1, found
        return found[0]

    def reasons(self, target: str = "phone", rule: str | None = None) -> list[str]:
        return [str(r.reason) for r in self.told if r.target == target and rule in (None, r.key.rule)]


@pytest.fixture
async def desk() -> Any:
    clock = ManualClock()
    store = await Store.open(None, clock)
    yield Desk(store, clock)
    await store.close()
