"""What is told of an account beside its alerts: what the venue took, another mode, a liquidation price in doubt."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from monitor.blindness import Sight
from monitor.domain.account import End, EndKind, MarginMode, PriceOrigin, Side
from monitor.domain.alert import Reason
from monitor.domain.notification import Notification
from monitor.domain.reading import Severity
from monitor.domain.silence import Matcher, Silence
from monitor.notify.message import render
from monitor.store.records import HOLDINGS, Changes
from tests.builders import a_market, a_position, a_snapshot, an_instrument
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
    assert text_of(desk, desk.told[1]).startswith("LIQUIDATED main: BTC/USDT:USDT long, 1 contract at 96.5 by the")
    assert text_of(desk, desk.told[2]).startswith("LIQUIDATED main: BTC/USDT:USDT long\n1 contract at 96.5 by the")


@pytest.mark.parametrize(("before_s", "resolution"), [(50, "liquidated"), (70, "position gone")])
async def test_records_that_come_late_of_a_position_held_before_end_no_alert_of_the_next(
    desk: Desk, before_s: float, resolution: str
) -> None:
    """The venue's clock may be a minute behind ours. What it took before that is told as a notice."""
    desk.plan = a_plan(DISTANCE)
    earlier = an_end(desk, at=desk.clock.now() - timedelta(seconds=before_s))
    await desk.see(a_snapshot(a_position(mark_price=100, **NEAR)))
    await desk.see(a_snapshot(ends=(earlier,)))
    is_notice = resolution == "position gone"
    assert told(desk, 1) == [("phone", Reason.NOTICE if is_notice else Reason.RESOLVED, Severity.CRITICAL)]
    if is_notice:
        await desk.see(a_snapshot(ends=(earlier,)))
    assert str(desk.alert("liquidation_distance").resolution) == resolution


async def test_a_part_that_was_taken_is_told_and_ends_no_alert(desk: Desk) -> None:
    desk.plan = a_plan(DISTANCE)
    await desk.see(a_snapshot(a_position(mark_price=100, contracts=3, **NEAR)))
    await desk.see(a_snapshot(a_position(mark_price=100, contracts=2, **NEAR), ends=(an_end(desk),)))
    assert desk.alert("liquidation_distance").is_firing
    assert told(desk, 1) == [("phone", Reason.NOTICE, Severity.CRITICAL)]
    assert "open now: 2 contracts" in text_of(desk, desk.told[1])


async def test_an_auto_deleveraging_says_what_is_open_now(desk: Desk) -> None:
    await desk.see(a_snapshot())
    await desk.see(a_snapshot(ends=(an_end(desk, kind=EndKind.DELEVERAGED, side=Side.SHORT),)))
    (row,) = desk.told
    assert text_of(desk, row).splitlines()[0] == "AUTO-DELEVERAGED main: BTC/USDT:USDT short"
    assert "Do: what this position hedged is open now" in text_of(desk, row)


async def test_the_orders_that_closed_a_position_are_one_message_with_their_mean_price(desk: Desk) -> None:
    ends = [
        an_end(desk, at=desk.clock.now() - timedelta(seconds=number), contracts=size, price=price)
        for number, (size, price) in enumerate([(1.0, 90.0), (3.0, 94.0)] * 15)
    ]
    await desk.see(a_snapshot(ends=tuple(ends)))
    (row,) = desk.told
    assert "60 contracts at 93 by the venue's records" in text_of(desk, row)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"price": 90.0}, "\nat 90 by the venue's records"),
        ({"price": None}, "\nby the venue's records"),
    ],
)
async def test_what_the_records_do_not_tell_is_not_made_up(desk: Desk, changes: dict[str, Any], words: str) -> None:
    ends = (an_end(desk, contracts=3.0, price=90.0), an_end(desk, contracts=None, **changes))
    await desk.see(a_snapshot(ends=ends))
    assert words in text_of(desk, desk.told[0])


async def test_every_position_that_was_taken_is_named_however_many_there_were(desk: Desk) -> None:
    ends = tuple(an_end(desk, instrument=an_instrument(symbol=f"C{number}/USDT:USDT")) for number in range(40))
    await desk.see(a_snapshot(ends=ends))
    assert {row.key.subject for row in desk.told} == {end.subject for end in ends}


async def test_what_was_taken_is_told_whatever_else_happened_in_the_same_read(desk: Desk) -> None:
    """More events than are remembered, and the account's mode the first of them."""
    names = [f"C{number}/USDT:USDT" for number in range(30)]
    held = [a_position(instrument=an_instrument(symbol=name)) for name in names]
    await desk.see(a_snapshot(*held, mode="single-asset mode"))
    await desk.see(a_snapshot(mode="portfolio margin"))
    assert [row.key.rule for row in desk.told] == ["account_mode"]


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
    """The end is found again by a monitor that looks back; whoever was told, by whatever message, knows it."""
    desk.plan = a_plan(DISTANCE)
    await desk.see(a_snapshot(a_position(mark_price=100, **NEAR)))
    end = an_end(desk)
    for _ in range(3):
        await desk.see(replace(a_snapshot(), ends=(end,)))
        desk.later(10)
    assert desk.reasons() == ["first", "resolved"]


async def test_two_orders_alike_are_two_also_where_the_second_comes_to_the_records_later(desk: Desk) -> None:
    end = an_end(desk)
    for count in (1, 3, 3):
        await desk.see(replace(a_snapshot(), ends=(end,) * count))
        desk.later(0.5)
    first, second = (text_of(desk, row) for row in desk.told)
    assert "\n1 contract at 96.5" in first
    assert "\n2 contracts at 96.5" in second


async def test_liquidated_and_deleveraged_in_one_read_are_two_messages(desk: Desk) -> None:
    await desk.see(a_snapshot(ends=(an_end(desk), an_end(desk, kind=EndKind.DELEVERAGED))))
    assert [row.key.rule for row in desk.told] == ["liquidated", "auto-deleveraged"]


async def test_what_was_liquidated_before_the_alert_and_reopened_does_not_end_what_is_closed_now(desk: Desk) -> None:
    """The records go on telling it for as long as they are asked."""
    desk.plan = a_plan(DISTANCE)
    position, end = a_position(mark_price=100, **NEAR), an_end(desk)
    await desk.see(a_snapshot(position, ends=(end,)))
    for _ in range(2):
        desk.later(10)
        await desk.see(a_snapshot(ends=(end,)))
    assert str(desk.alert("liquidation_distance").resolution) == "position gone"


async def test_an_account_at_another_venue_in_the_place_of_one_of_that_name_has_no_past(desk: Desk) -> None:
    await desk.see(a_snapshot(a_position(), mode="portfolio margin"))
    await desk.see(a_snapshot(venue="bybit", mode="unified"))
    record = desk.store.accounts["main"]
    assert record.venue == "bybit"
    assert record.holdings is not None
    assert record.holdings.events == ()
    assert desk.told == []


async def test_another_mode_of_the_account_is_told_with_both(desk: Desk) -> None:
    for mode in ("single-asset mode", "single-asset mode", "portfolio margin"):
        await desk.see(a_snapshot(mode=mode))
    (row,) = desk.told
    assert row.severity is Severity.WARNING
    assert "now portfolio margin, was single-asset mode" in text_of(desk, row)


async def test_another_interval_of_funding_is_told_once_of_a_contract_and_over_restarts(desk: Desk) -> None:
    desk.plan = a_plan(DISTANCE, targets=CHANNELS)
    both = a_snapshot(a_position(mark_price=100), a_position(mark_price=100, side=Side.SHORT))
    for hours in (8, 8, None, 4):
        desk.later(10)
        interval = None if hours is None else timedelta(hours=hours)
        await desk.see(replace(both, observed_at=desk.clock.now()), a_market(rate=0.0001, interval=interval))
    (row,) = desk.told
    assert (row.target, row.severity) == ("log", Severity.INFO)
    assert text_of(desk, row).splitlines()[:2] == [
        "main: funding of BTC/USDT:USDT is now due every 4 h, was every 8 h",
        "at one rate 2 times as much a day, paid or received",
    ]
    remembered = desk.store.accounts["main"].holdings
    assert remembered is not None
    assert HOLDINGS.validate_json(HOLDINGS.dump_json(remembered)) == remembered
    desk.sight = Sight(since=desk.clock.now())
    await desk.see(both, a_market(rate=0.0001, interval=timedelta(hours=4)))
    assert len(desk.told) == 1
    # Changed while nobody looked.
    desk.later(3600)
    await desk.see(both, a_market(rate=0.0001, interval=timedelta(hours=1)))
    assert "every 1 h, was every 4 h" in text_of(desk, desk.told[1])


async def test_the_interval_of_what_is_newly_opened_is_no_news(desk: Desk) -> None:
    await desk.see(a_snapshot(), a_market(rate=0.0001))
    await desk.see(a_snapshot(a_position(mark_price=100)), a_market(rate=0.0001, interval=timedelta(hours=1)))
    assert desk.told == []


async def test_a_silence_mutes_news_but_not_what_the_venue_took(desk: Desk) -> None:
    now = desk.clock.now()
    silence = Silence(
        id="1",
        matchers=(Matcher(account="main"),),
        starts_at=now,
        ends_at=now + timedelta(hours=1),
        author="me",
        comment="moving house",
    )
    await desk.store.apply(Changes(silences=(silence,)))
    await desk.see(a_snapshot(mode="single-asset mode"))
    await desk.see(a_snapshot(mode="portfolio margin", ends=(an_end(desk),)))
    assert [row.key.rule for row in desk.told] == ["liquidated"]


async def test_a_position_that_is_opened_again_and_again_is_in_doubt_once_a_day(desk: Desk) -> None:
    desk.plan = a_plan({}, targets=CHANNELS)
    position = a_position(contracts=2, rate=0.01, liquidation_price=80.0, liquidation_price_origin=PriceOrigin.VENUE)
    for _ in range(10):
        await desk.see(a_snapshot(position, equity=82.0))
        await desk.see(a_snapshot())
        desk.later(900)
    assert len(desk.told) == 1


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


async def test_the_alerts_of_one_position_that_was_taken_are_one_line(desk: Desk) -> None:
    pool = an_instrument().isolated_pool(Side.LONG)
    position = a_position(pool=pool, margin_mode=MarginMode.ISOLATED, maintenance_margin=900.0, **NEAR)
    desk.plan = a_plan({**RATIO, **DISTANCE})
    await desk.see(a_snapshot(position))
    before = len(desk.told)
    await desk.see(a_snapshot(ends=(an_end(desk),)))
    rows = desk.told[before:]
    assert len(rows) == 2
    rendered = render(rows, desk.clock.now(), 4000)
    assert rendered.title == "1 liquidated"
    assert rendered.body.splitlines() == [
        f"LIQUIDATED main: BTC/USDT:USDT long, 1 contract at 96.5 by the venue's records, {desk.clock.now():%H:%M} UTC"
    ]
    assert len(rendered.named) == 2, "both are told"
