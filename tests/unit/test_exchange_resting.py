"""When resting stop orders are read beside an account, how old they may get, and what is said where they are not."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import cast

import pytest

from monitor.domain.account import AccountSnapshot, FailureKind, OrderKind, Side, StopOrder
from monitor.exchange.budget import Budget, at_leisure
from monitor.exchange.failures import ReadError
from monitor.exchange.resting import ASK_UNTOLD_EVERY, EVERY_S, PAUSE_S, QUICKLY_S, Resting
from monitor.exchange.venues.venue import AccountSettings, Venue
from tests.builders import a_position, a_snapshot, an_instrument
from tests.unit.store_kit import ManualClock

STOP = StopOrder(
    instrument=an_instrument(),
    side=Side.LONG,
    kind=OrderKind.STOP,
    trigger_price=90.0,
    callback_rate=None,
    size=None,
    reduce_only=True,
)

WEIGHT = 200


@dataclass
class Orders:
    """A venue of which nothing is asked but its orders."""

    clock: ManualClock
    failure: ReadError | None = None
    asked: list[datetime] = field(default_factory=list)
    hangs: bool = False
    told: tuple[StopOrder, ...] = (STOP,)
    budget: Budget | None = None

    async def read_orders(self, _client: object, _instruments: object, _settings: object) -> Sequence[StopOrder]:
        self.asked.append(self.clock.now())
        if self.budget is not None:
            await self.budget.spend(WEIGHT, 0.0)
        if self.hangs:
            await asyncio.sleep(3600)
        if self.failure is not None:
            raise self.failure
        return self.told


class Desk:
    def __init__(self, every_s: float | None = EVERY_S) -> None:
        self.clock = ManualClock()
        self.orders = Orders(self.clock)
        self.resting = Resting(
            "main", cast(Venue, self.orders), None, self.clock, deadline_s=30.0, every_s=every_s
        )  # fmt: skip

    async def read(self, contracts: float = 1.0, after_s: float = 10.0) -> AccountSnapshot:
        self.clock.elapsed_s += after_s
        positions = [a_position(contracts=contracts)] if contracts else []
        snapshot = a_snapshot(*positions, observed_at=self.clock.now())
        return await self.resting.beside(snapshot, {}, AccountSettings())

    async def reads(self, count: int, contracts: float = 1.0, after_s: float = 10.0) -> list[AccountSnapshot]:
        return [await self.read(contracts, after_s) for _ in range(count)]

    def fail(self, kind: FailureKind = FailureKind.OVERLOADED, detail: str = "busy") -> None:
        self.orders.failure = ReadError(kind, detail)


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_orders_come_with_the_moment_at_which_they_were_asked_for(desk: Desk) -> None:
    first, later = await desk.read(), await desk.read()
    assert first.orders == later.orders == (STOP,)
    assert first.orders_at == later.orders_at == first.observed_at


@pytest.mark.parametrize(
    ("poll_s", "asked"), [(1.0, 11), (10.0, 10), (20.0, 10), (45.0, 7), (60.0, 10), (EVERY_S - 0.5, 10)]
)
async def test_orders_are_read_about_once_a_minute_and_no_oftener(desk: Desk, poll_s: float, asked: int) -> None:
    await desk.reads(int(600 / poll_s), after_s=poll_s)
    assert len(desk.orders.asked) == asked


async def test_an_account_that_is_read_rarely_has_its_orders_read_each_time() -> None:
    desk = Desk(every_s=300.0)
    snapshots = await desk.reads(5, after_s=300.0)
    assert len(desk.orders.asked) == 5
    desk.fail()
    snapshots = await desk.reads(4, after_s=300.0)
    assert [snapshot.orders is None for snapshot in snapshots] == [False, False, False, True]


async def test_nothing_is_asked_where_nobody_needs_it_or_nothing_is_held(desk: Desk) -> None:
    for snapshot in [*await Desk(every_s=None).reads(20), *await desk.reads(20, contracts=0.0)]:
        assert (snapshot.orders, snapshot.orders_failure) == (None, None)
    assert desk.orders.asked == []


# --- changes ---


@pytest.mark.parametrize("contracts", [0.5, 2.0])
async def test_orders_are_read_at_once_where_a_position_changed_and_quickly_for_a_minute(
    desk: Desk, contracts: float
) -> None:
    await desk.reads(3)
    changed_at = desk.clock.now() + timedelta(seconds=20)
    assert (await desk.read(contracts, after_s=20.0)).orders_at == changed_at
    await desk.reads(40, contracts, after_s=5.0)
    after = [(at - changed_at) / timedelta(seconds=1) for at in desk.orders.asked if at >= changed_at]
    assert after == [0, 15, 30, 45, 60, 120, 180]


async def test_positions_that_change_all_the_time_have_orders_read_each_quarter_of_a_minute(desk: Desk) -> None:
    for number in range(300):
        await desk.read(1.0 + number, after_s=2.0)
    assert len(desk.orders.asked) <= 600 / QUICKLY_S + 1


async def test_orders_of_before_a_position_grew_say_nothing_of_it(desk: Desk) -> None:
    await desk.read()
    desk.fail()
    snapshot = await desk.read(2.0, after_s=20.0)
    assert (snapshot.orders, snapshot.orders_failure) == (None, "stop orders could not be read: overloaded: busy")


async def test_orders_read_a_moment_before_a_position_grew_are_read_anew_soon(desk: Desk) -> None:
    await desk.read()
    snapshot = await desk.read(2.0, after_s=5.0)
    assert (snapshot.orders, snapshot.orders_failure) == (None, "stop orders were not read since positions changed")
    assert (await desk.read(2.0)).orders == (STOP,)


async def test_orders_of_before_a_position_shrank_still_cover_it(desk: Desk) -> None:
    await desk.read()
    desk.fail()
    assert (await desk.read(0.5, after_s=20.0)).orders == (STOP,)


async def test_an_order_that_is_gone_is_looked_for_again_soon(desk: Desk) -> None:
    await desk.reads(6)
    desk.orders.told = ()
    assert [snapshot.orders for snapshot in await desk.reads(2)] == [(), ()]
    desk.orders.told = (STOP,)
    assert (await desk.read()).orders == (STOP,)


# --- what cannot be read ---


async def test_orders_that_cannot_be_read_age_and_are_unknown_after_three_intervals(desk: Desk) -> None:
    read_at = (await desk.read()).observed_at
    desk.fail()
    for snapshot in await desk.reads(40):
        old = snapshot.observed_at - read_at > timedelta(seconds=3 * EVERY_S)
        assert (snapshot.orders is None) is old
        assert snapshot.orders_failure == ("stop orders could not be read: overloaded: busy" if old else None)
    assert len(desk.orders.asked) <= 400 / PAUSE_S
    desk.orders.failure = None
    assert any(snapshot.orders for snapshot in await desk.reads(4))


async def test_an_answer_that_does_not_come_holds_the_read_up_for_a_moment_alone(desk: Desk) -> None:
    desk.orders.hangs = True
    async with asyncio.timeout(5.0):
        snapshot = await desk.read()
    assert (snapshot.orders, snapshot.orders_failure) == (None, "stop orders could not be read: no answer yet")
    assert snapshot.orders_pending, "one read without them is no news"
    await desk.resting.close()


async def test_another_try_after_a_failure_is_missing_all_the_while(desk: Desk) -> None:
    desk.fail()
    failed = await desk.read()
    desk.orders.failure, desk.orders.hangs = None, True
    async with asyncio.timeout(5.0):
        trying = await desk.read(after_s=PAUSE_S)
    assert trying.orders_failure == "stop orders could not be read: no answer yet"
    assert [failed.orders_pending, trying.orders_pending] == [False, False]
    await desk.resting.close()


async def test_orders_leave_most_of_the_budget_to_reads_of_accounts(desk: Desk) -> None:
    """Of 900 a minute a quarter is for what is asked at leisure, and half of that is spent already."""
    desk.orders.budget = budget = Budget(weight_per_minute=1_000, clock=desk.clock)
    with at_leisure():
        await budget.spend(110, 0.0)
    snapshot = await desk.read(after_s=1.0)
    assert snapshot.orders_failure == "stop orders could not be read: rate_limit: what alerts wait for is asked first"
    assert budget.used == 110
    assert (await desk.reads(8))[-1].orders == (STOP,)


async def test_a_reply_nobody_thought_of_blinds_nobody(desk: Desk) -> None:
    desk.orders.told = cast(tuple[StopOrder, ...], None)
    snapshot = await desk.read()
    assert snapshot.orders is None
    assert "malformed" in (snapshot.orders_failure or "")


@pytest.mark.parametrize("kind", [FailureKind.UNSUPPORTED, FailureKind.PERMISSION])
async def test_what_is_never_told_is_a_caveat_and_asked_for_once_an_hour(desk: Desk, kind: FailureKind) -> None:
    desk.fail(kind, "keys that may only read are not told orders")
    for snapshot in await desk.reads(100):
        assert (snapshot.orders, snapshot.orders_failure) == (None, None)
        assert snapshot.caveats == (
            "whether positions have a stop is not watched: keys that may only read are not told orders",
        )
    assert len(desk.orders.asked) == 1
    desk.orders.failure = None
    snapshot = await desk.read(after_s=ASK_UNTOLD_EVERY.total_seconds())
    assert (snapshot.orders, snapshot.caveats) == ((STOP,), ())


async def test_a_right_that_was_taken_from_the_key_is_not_passed_over(desk: Desk) -> None:
    await desk.read()
    desk.fail(FailureKind.PERMISSION, "no")
    assert (await desk.reads(30))[-1].orders_failure == "stop orders could not be read: permission: no"


async def test_orders_asked_for_by_hand_are_those_just_read(desk: Desk) -> None:
    await desk.read()
    assert await desk.resting.latest({}, AccountSettings()) == (STOP,)
    assert len(desk.orders.asked) == 1
    assert await Desk(every_s=None).resting.latest({}, AccountSettings()) == (STOP,)
