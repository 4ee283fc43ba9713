"""What changed between two reads of an account: events for the log and for `once`."""

from dataclasses import replace
from typing import Any

import pytest

from monitor.domain.account import (
    AccountSnapshot,
    End,
    EndKind,
    MarginMode,
    Position,
    PriceOrigin,
    Side,
)
from monitor.domain.holdings import MAX_EVENTS, MAX_TAKEN, AccountEvent, EventKind, Holdings
from monitor.domain.market import Markets, Tier
from monitor.risk.holdings import COMPARED_EVERY, disagrees, holdings_after, news_of, size_and_price, untold
from monitor.store.records import AccountRecord
from tests.builders import a_market, a_position, a_snapshot, an_instrument, at

LONG = a_position(contracts=2)
SHORT = a_position(contracts=1, side=Side.SHORT)
ISOLATED = a_position(contracts=2, margin_mode=MarginMode.ISOLATED)
TIERS = (Tier(0, 1_000, 0.01, 0), Tier(1_000, 10_000, 0.02, 10))
MARKETS: Markets = a_market(tiers=TIERS)
VENUE = PriceOrigin.VENUE


def held(snapshot: AccountSnapshot, before: Holdings | None = None, markets: Markets = MARKETS) -> Holdings:
    return holdings_after(before, snapshot, markets)


def events(*snapshots: AccountSnapshot) -> list[AccountEvent]:
    """Of the last of these reads."""
    before: Holdings | None = None
    after: Holdings | None = None
    for snapshot in snapshots:
        before, after = after, held(snapshot, after)
    return list(news_of(before, after))


def kinds(*snapshots: AccountSnapshot) -> list[tuple[EventKind, str]]:
    return [(event.kind, event.subject) for event in events(*snapshots)]


BTC_LONG, BTC_SHORT = "BTC/USDT:USDT long", "BTC/USDT:USDT short"


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ((), (LONG,), [(EventKind.OPENED, BTC_LONG)]),
        ((LONG,), (), [(EventKind.GONE, BTC_LONG)]),
        ((LONG,), (LONG,), []),
        ((LONG,), (a_position(contracts=3),), []),
        ((LONG,), (SHORT,), [(EventKind.FLIPPED, BTC_SHORT)]),
        ((LONG,), (LONG, SHORT), [(EventKind.OPENED, BTC_SHORT)]),
        ((LONG, SHORT), (SHORT,), [(EventKind.GONE, BTC_LONG)]),
        ((LONG, SHORT), (), [(EventKind.GONE, BTC_LONG), (EventKind.GONE, BTC_SHORT)]),
        ((LONG,), (ISOLATED,), [(EventKind.MARGIN_MODE, BTC_LONG)]),
        ((LONG,), (a_position(contracts=20),), [(EventKind.GREW_PAST_BRACKET, BTC_LONG)]),
        ((a_position(contracts=20),), (LONG,), []),
    ],
)
def test_each_change_is_one_event(
    before: tuple[Position, ...], after: tuple[Position, ...], expected: list[tuple[EventKind, str]]
) -> None:
    assert kinds(a_snapshot(*before), a_snapshot(*after)) == expected


def test_what_is_held_at_the_first_read_was_opened_before_anybody_looked() -> None:
    assert events(a_snapshot(LONG, SHORT)) == []


def test_an_event_says_what_and_how_much() -> None:
    (grew,) = events(a_snapshot(LONG), a_snapshot(a_position(contracts=20)))
    assert grew.detail == "20 contracts, 2,000 USDT: beyond 1,000 USDT more maintenance margin is owed"
    (mode,) = events(a_snapshot(LONG), a_snapshot(ISOLATED))
    assert mode.detail == "isolated, was cross"


def test_a_notional_that_wavers_at_the_edge_of_a_bracket_is_news_once() -> None:
    sizes = (9, 11, 9.8, 11, 9.6, 10.5, 9, 11)
    reads = [a_snapshot(a_position(contracts=size), observed_at=at(10.0 * n)) for n, size in enumerate(sizes)]
    assert [len(events(*reads[: count + 1])) for count in range(1, len(reads))] == [1, 0, 0, 0, 0, 0, 1]


def test_a_bracket_that_is_not_told_for_a_while_is_not_forgotten() -> None:
    small = held(a_snapshot(LONG))
    unknown = held(a_snapshot(LONG), small, {})
    assert kinds_after(unknown, a_snapshot(a_position(contracts=20))) == [EventKind.GREW_PAST_BRACKET]


def kinds_after(before: Holdings, snapshot: AccountSnapshot, markets: Markets = MARKETS) -> list[EventKind]:
    return [event.kind for event in news_of(before, held(snapshot, before, markets))]


@pytest.mark.parametrize(("before", "told"), [("single-asset mode", True), ("", False)])
def test_another_mode_of_the_account_is_news_once_one_was_known(before: str, told: bool) -> None:
    first = held(a_snapshot(LONG, mode=before))
    assert bool(kinds_after(first, a_snapshot(LONG, mode="portfolio margin"))) is told


@pytest.mark.parametrize(
    ("mark", "told", "own", "apart"),
    [
        (100, 80, 81, False),
        (100, 80, 82.1, True),
        (100, 80, 77.9, True),
        (100, 99, 99.15, False),
        (100, 99, 98.7, True),
    ],
)
def test_prices_disagree_past_a_tenth_of_the_distance_and_past_what_timing_explains(
    mark: float, told: float, own: float, apart: bool
) -> None:
    assert disagrees(mark, told, own) is apart


def disputed(price: float, **changes: Any) -> AccountSnapshot:
    """Our own solve says 60: 100 of equity on 2 contracts, maintenance of a hundredth."""
    position = a_position(contracts=2, rate=0.01, liquidation_price=price, liquidation_price_origin=VENUE, leverage=2.0)
    return a_snapshot(position, equity=82.0, **changes)


def test_a_liquidation_price_in_doubt_is_told_once_while_the_position_is_open() -> None:
    first = held(disputed(60.0))
    assert not first.events, first.events
    late = {"observed_at": at(COMPARED_EVERY.total_seconds())}
    told = held(disputed(80.0, **late), first)
    assert [event.kind for event in news_of(first, told)] == [EventKind.DISPUTED]
    assert "the venue says 80" in told.events[-1].detail
    again = {"observed_at": at(3 * COMPARED_EVERY.total_seconds())}
    assert not news_of(told, held(disputed(80.0, **again), told))


def test_no_price_is_in_doubt_in_a_pool_of_coins_whose_worth_our_estimate_holds_still() -> None:
    snapshot = disputed(80.0)
    pool = replace(snapshot.margins[0], pool="cross:USD", currency="USD")
    position = replace(snapshot.positions[0], pool="cross:USD")
    assert not held(replace(snapshot, margins=(pool,), positions=(position,))).events


def test_liquidation_prices_are_compared_every_ten_minutes_only() -> None:
    first = held(disputed(60.0))
    assert not news_of(first, held(disputed(80.0, observed_at=at(30)), first))


def test_what_the_venue_took_is_an_event_even_at_the_first_read() -> None:
    end = End(instrument=an_instrument(), side=Side.LONG, kind=EndKind.LIQUIDATED, at=at(-5), contracts=2.0, price=88.5)
    (event,) = events(a_snapshot(ends=(end,)))
    assert (event.kind, event.subject, event.at, event.detail) == (
        EventKind.LIQUIDATED,
        BTC_LONG,
        at(-5),
        "2 contracts at 88.5",
    )


def taken(at_s: float, **changes: Any) -> End:
    given: dict[str, Any] = {"instrument": an_instrument(), "side": Side.LONG, "kind": EndKind.LIQUIDATED}
    return End(**{**given, "at": at(at_s), "contracts": 1.0, "price": 90.0, **changes})


def test_orders_that_were_told_are_told_never_again_however_many_there_are() -> None:
    ends = [taken(float(number // 2)) for number in range(2 * MAX_TAKEN)]
    first = held(a_snapshot(ends=tuple(ends)))
    assert len(first.taken) == MAX_TAKEN
    assert untold(first, ends) == ()
    late = taken(float(MAX_TAKEN))
    assert untold(held(a_snapshot(ends=tuple(ends)), first), [late, *ends]) == (late,)


def test_the_mean_price_of_inverse_contracts_is_that_of_the_coins() -> None:
    """One contract of 100 USD at 50 is 2 coins, one at 100 is 1: 200 USD for 3 coins."""
    coin = an_instrument("BTC/USD:BTC")
    _, price = size_and_price([taken(1, instrument=coin, price=50.0), taken(2, instrument=coin, price=100.0)])
    assert price == pytest.approx(200 / 3)


@pytest.mark.parametrize(
    ("positions", "gone_s", "owed_s", "from_s"),
    [
        (1, None, None, 3300),
        (1, None, 60, 60),
        (0, None, None, None),
        (0, 3290, None, None),
        (0, 3310, None, 3300),
        (0, None, 60, 60),
        (None, None, None, 3300),
    ],
)
def test_a_monitor_that_starts_looks_back_where_something_may_have_been_taken(
    positions: int | None, gone_s: float | None, owed_s: float | None, from_s: float | None
) -> None:
    gone = () if gone_s is None else (AccountEvent(at=at(gone_s), kind=EventKind.GONE, subject=BTC_LONG),)
    record = AccountRecord(
        account="main",
        venue="binanceusdm",
        last_read_at=at(3600),
        last_flat=positions == 0,
        last_positions=positions,
        holdings=Holdings(events=gone, ends_owed_since=None if owed_s is None else at(owed_s)),
    )
    assert record.look_back_from == (None if from_s is None else at(from_s))


def test_so_many_events_are_remembered_and_no_more() -> None:
    holdings = held(a_snapshot())
    for number in range(3 * MAX_EVENTS):
        holdings = held(a_snapshot(*([LONG] if number % 2 else []), observed_at=at(number)), holdings)
    assert len(holdings.events) == MAX_EVENTS
    assert holdings.events[-1].at == at(3 * MAX_EVENTS - 1)
