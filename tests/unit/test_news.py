"""What is told of an account beside its alerts: what the venue took, another mode, a liquidation price in doubt."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from monitor.domain.account import End, EndKind, MarginMode, PriceOrigin, Side
from monitor.domain.alert import Reason
from monitor.domain.notification import Notification
from monitor.domain.reading import Severity
from monitor.notify.message import render
from tests.builders import a_position, a_snapshot, an_instrument
from tests.unit.pipeline_kit import DISTANCE, NEAR, RATIO, Desk, a_plan, desk

__all__ = ["desk"]

CHANNELS = {Severity.INFO: ("log",), Severity.WARNING: ("phone",), Severity.CRITICAL: ("phone", "pager")}
NEAR_WARNING: dict[str, Any] = {"liquidation_price": 90, "liquidation_price_origin": PriceOrigin.VENUE}


def an_end(desk: Desk, **changes: Any) -> End:
    given: dict[str, Any] = {
        "instrument": an_instrument(),
        "side": Side.LONG,
        "kind": EndKind.LIQUIDATED,
        "at": desk.clock.now(),
        "contracts": 1.0,
        "price": 96.5,
    }
    return End(**{**given, **changes})


def told(desk: Desk, since: int = 0) -> list[tuple[str, Reason, Severity]]:
    return [(row.target, row.reason, row.severity) for row in desk.told[since:]]


def text_of(desk: Desk, row: Notification) -> str:
    rendered = render([row], desk.clock.now(), 4000)
    return f"{rendered.title}\n{rendered.body}"


async def test_a_liquidation_ends_the_alert_at_once_and_pages_who_had_not_heard_of_it(desk: Desk) -> None:
    desk.plan = a_plan(DISTANCE, targets=CHANNELS)
    await desk.see(a_snapshot(a_position(mark_price=100, **NEAR_WARNING)))
    assert told(desk) == [("phone", Reason.FIRST, Severity.WARNING)]
    await desk.see(a_snapshot(ends=(an_end(desk),)))
    assert told(desk, 1) == [
        ("phone", Reason.RESOLVED, Severity.CRITICAL),
        ("pager", Reason.NOTICE, Severity.CRITICAL),
    ]
    assert {row.send_after for row in desk.told[1:]} == {desk.clock.now()}
    assert text_of(desk, desk.told[1]).startswith("LIQUIDATED main: BTC/USDT:USDT long, 1 contracts at 96.5 by the")
    assert text_of(desk, desk.told[2]).startswith("LIQUIDATED main: BTC/USDT:USDT long\n1 contracts at 96.5 by the")


async def test_a_part_that_was_taken_is_told_and_ends_no_alert(desk: Desk) -> None:
    desk.plan = a_plan(DISTANCE)
    await desk.see(a_snapshot(a_position(mark_price=100, contracts=3, **NEAR)))
    await desk.see(a_snapshot(a_position(mark_price=100, contracts=2, **NEAR), ends=(an_end(desk),)))
    assert desk.alert("liquidation_distance").is_firing
    assert told(desk, 1) == [("phone", Reason.NOTICE, Severity.CRITICAL)]
    assert "2 contracts are left" in text_of(desk, desk.told[1])


async def test_an_auto_deleveraging_says_what_is_open_now(desk: Desk) -> None:
    await desk.see(a_snapshot())
    await desk.see(a_snapshot(ends=(an_end(desk, kind=EndKind.DELEVERAGED, side=Side.SHORT),)))
    (row,) = desk.told
    assert text_of(desk, row).splitlines()[0] == "AUTO-DELEVERAGED main: BTC/USDT:USDT short"
    assert "Do: what this position hedged is open now" in text_of(desk, row)


async def test_the_orders_of_one_second_are_one_message_with_their_mean_price(desk: Desk) -> None:
    ends = tuple(an_end(desk, contracts=size, price=price) for size, price in ((1.0, 90.0), (3.0, 94.0)))
    later = an_end(desk, at=desk.clock.now() + timedelta(seconds=2), contracts=None, price=None)
    await desk.see(a_snapshot(ends=(*ends, later)))
    first, second = (text_of(desk, row) for row in desk.told)
    assert "4 contracts at 93 by the venue's records" in first
    assert "\nby the venue's records" in second


async def test_the_alert_of_an_isolated_pool_ends_with_its_position(desk: Desk) -> None:
    pool = an_instrument().isolated_pool(Side.LONG)
    position = a_position(pool=pool, margin_mode=MarginMode.ISOLATED, maintenance_margin=900.0)
    desk.plan = a_plan(RATIO)
    await desk.see(a_snapshot(position))
    assert desk.reasons() == ["first"]
    await desk.see(a_snapshot(ends=(an_end(desk),)))
    assert desk.reasons() == ["first", "resolved"]
    assert str(desk.alert("margin_ratio").resolution) == "liquidated"


async def test_what_is_told_is_told_once_over_restarts(desk: Desk) -> None:
    """The end is found again by a monitor that looks back; the outbox knows its message."""
    end = an_end(desk)
    for _ in range(2):
        await desk.see(replace(a_snapshot(), ends=(end,)))
    assert len(desk.told) == 1


async def test_another_mode_of_the_account_is_told_with_both(desk: Desk) -> None:
    for mode in ("single-asset mode", "single-asset mode", "portfolio margin"):
        await desk.see(a_snapshot(mode=mode))
    (row,) = desk.told
    assert row.severity is Severity.WARNING
    assert "now portfolio margin, was single-asset mode" in text_of(desk, row)


@pytest.mark.parametrize(("price", "count"), [(60.0, 0), (80.0, 1)])
async def test_a_liquidation_price_in_doubt_goes_to_those_who_hear_of_everything(
    desk: Desk, price: float, count: int
) -> None:
    desk.plan = a_plan({}, targets=CHANNELS)
    position = a_position(contracts=2, rate=0.01, liquidation_price=price, liquidation_price_origin=PriceOrigin.VENUE)
    for _ in range(2):
        await desk.see(a_snapshot(position, equity=82.0))
    assert [(row.target, row.severity) for row in desk.told] == [("log", Severity.INFO)] * count
    if count:
        assert "the venue says 80, our own estimate is 59" in text_of(desk, desk.told[0])
