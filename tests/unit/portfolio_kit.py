"""Several accounts before the evaluation over all of them."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from monitor.blindness import Sight
from monitor.domain.account import AccountSnapshot, Position, Side
from monitor.domain.alert import Alert
from monitor.domain.market import Markets
from monitor.domain.notification import Notification
from monitor.domain.reading import PORTFOLIO
from monitor.notify.message import render
from monitor.pipeline import assess, decide_removals
from monitor.plan import AccountPlan
from monitor.portfolio import run_portfolio_cycle
from monitor.rules.base import Rule
from monitor.store.store import Store
from tests.builders import a_position, a_snapshot
from tests.unit.pipeline_kit import a_plan, delivered
from tests.unit.store_kit import ManualClock

BTC, INVERSE, ETH = "BTC/USDT:USDT", "BTC/USD:BTC", "ETH/USDT:USDT"
# Looks of ten seconds after which nobody is in the middle of closing both sides of a hedge.
UNWOUND = 13
MARKS = {"BTC": 100_000.0, "ETH": 4_000.0}


def held(symbol: str, coins: float, **changes: Any) -> Position:
    """A position of so many coins, below 0 for a short, at the house's marks."""
    mark = changes.pop("mark_price", None) or MARKS.get(symbol.split("/")[0], 1.0)
    contracts = abs(coins) * mark / 100 if symbol == INVERSE else abs(coins)
    side = Side.LONG if coins > 0 else Side.SHORT
    return a_position(symbol=symbol, side=side, contracts=contracts, mark_price=mark, **changes)


@dataclass
class Office:
    """Reads of accounts go in, `judge` judges them together; state and messages are looked at."""

    store: Store
    clock: ManualClock
    rules: Mapping[str, Rule]
    poll_interval_s: float = 10.0
    names: tuple[str, ...] = ("main", "fund")
    sights: dict[str, Sight] = field(default_factory=dict)
    told: list[Notification] = field(default_factory=list)

    @property
    def plan(self) -> AccountPlan:
        return a_plan(self.rules, name=PORTFOLIO)

    @property
    def plans(self) -> dict[str, AccountPlan]:
        return {name: a_plan(self.rules, name=name, poll_interval_s=self.poll_interval_s) for name in self.names}

    def read(
        self, account: str, *positions: Position, equity: float | None = 10_000.0, markets: Markets | None = None
    ) -> None:
        self.see(a_snapshot(*positions, equity=equity, account=account), markets)

    def see(self, snapshot: AccountSnapshot, markets: Markets | None = None) -> None:
        """A good read of now; an account is at one venue, whatever it holds."""
        snapshot = replace(snapshot, observed_at=self.clock.now(), venue="binanceusdm")
        readings = assess(self.plans[snapshot.account], snapshot, markets or {}, self.clock.now())
        sight = self.sights.setdefault(snapshot.account, Sight(since=self.clock.now()))
        sight.see(snapshot, readings, None, markets)

    async def judge(self) -> None:
        """And every message arrives at once."""
        await run_portfolio_cycle(self.plan, self.plans, self.sights, self.store, self.clock)
        await self._deliver()

    async def again(self, *, seconds: float = 10.0, times: int = 1) -> None:
        """Every account read last is read again as it was, and judged."""
        for _ in range(times):
            self.later(seconds)
            for name, sight in self.sights.items():
                if name in self.names and sight.context is not None:
                    self.see(sight.context.snapshot, sight.context.markets)
            await self.judge()

    async def edit(self, rules: Mapping[str, Rule]) -> None:
        before = {**self.plans, PORTFOLIO: self.plan}
        self.rules = rules
        after = {**self.plans, PORTFOLIO: self.plan}
        await self.store.apply(decide_removals(before, after, self.store, self.clock.now()))
        await self._deliver()

    async def _deliver(self) -> None:
        self.told.extend(await delivered(self.store, self.clock))

    def later(self, seconds: float) -> None:
        self.clock.elapsed_s += seconds

    def alert(self, rule: str, subject: str = PORTFOLIO) -> Alert | None:
        return next((a for key, a in self.store.alerts.items() if (key.rule, key.subject) == (rule, subject)), None)

    def reasons(self, rule: str) -> list[str]:
        return [str(row.reason) for row in self.told if row.key.rule == rule]

    def message(self, rule: str) -> str:
        """The last one of that rule, as it arrives."""
        row = [row for row in self.told if row.key.rule == rule][-1]
        told = render([row], self.clock.now(), 2_000)
        return f"{told.title}\n{told.body}"


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    clock = ManualClock()
    store = await Store.open(None, clock)
    yield Office(store, clock, {})
    await store.close()
