"""What only Hyperliquid has: addresses instead of keys, account modes, dexes, stop orders and records."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from monitor.domain.account import EndKind, FailureKind, OrderKind, Side
from monitor.domain.market import Tier
from monitor.exchange.failures import ReadError
from monitor.exchange.source import AccountSource
from monitor.exchange.venues.hyperliquid import VENUE, tiers_of
from monitor.exchange.venues.hyperliquid_account import STANDARD, UNIFIED
from monitor.exchange.venues.hyperliquid_records import NO_KEY
from monitor.exchange.venues.venue import AccountSettings
from monitor.paper.dialects import hyperliquid_market
from monitor.paper.dialects.hyperliquid import address_of
from monitor.paper.engine import Engine
from tests.reading import ShiftedClock, failed, good
from tests.venues.books import linear
from tests.venues.hyperliquid import HYPERLIQUID_CASE, STEPS, terms, unified
from tests.venues.kit import AccountCase, House, a_house, book_of, compared

NOW = datetime(2025, 10, 30, 6, 20, tzinfo=UTC)
ALONE = AccountSettings(mode=STANDARD)
TWO = HYPERLIQUID_CASE.accounts[0]


@asynccontextmanager
async def two(clock: ShiftedClock | None = None, **profile: Any) -> AsyncIterator[tuple[AccountSource, House]]:
    """The account that holds something on both dexes."""
    clock = clock or ShiftedClock()
    async with a_house(HYPERLIQUID_CASE, clock, book_of(HYPERLIQUID_CASE, clock.now())) as house:
        house.server.set_profile("two", **profile)
        yield house.open(TWO), house


# --- addresses, modes ---


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        ({"abstraction": "dexAbstraction"}, "dexAbstraction"),
        ({"abstraction": "somethingNew"}, "somethingNew"),
        ({"role": "agent"}, "API wallet"),
        ({"role": "missing"}, "no account"),
        ({"role": "oracle"}, "oracle"),
    ],
)
async def test_a_mode_or_an_address_that_is_not_understood_is_refused(profile: Mapping[str, Any], words: str) -> None:
    async with two(**profile) as (source, _):
        failure = failed(await source.observe())
        assert failure.kind is FailureKind.UNSUPPORTED
        assert words in failure.detail


@pytest.mark.parametrize("address", ["", "0x12", "0x" + "g" * 40, "1" * 42])
async def test_an_address_that_is_none_is_refused_before_anything_is_asked(address: str) -> None:
    async with two() as (_, house):
        source = house.open(TWO, credentials={"walletAddress": address})
        failure = failed(await source.observe())
        assert (failure.kind, "wallet_address" in failure.detail) == (FailureKind.AUTH, True)
        assert not any(name.startswith("clearinghouseState") for name in house.server.counts)


async def test_an_address_is_read_however_its_letters_are_written() -> None:
    async with two() as (_, house):
        address = address_of(house.engine.account("two"))
        source = house.open(TWO, credentials={"walletAddress": "0x" + address[2:].upper()})
        assert len(good(await source.observe()).positions) == 3


async def test_a_change_of_mode_is_noticed_by_the_next_read() -> None:
    async with two() as (source, house):
        pools = {margin.pool for margin in good(await source.observe()).margins}
        assert pools == {"cross:USDC", "cross:cash:USDT"}
        house.server.set_profile("two", abstraction="unifiedAccount")
        changed = good(await source.observe())
        assert {margin.pool for margin in changed.margins} == {"cross:USDC", "cross:USDT"}
        assert all(position.pool in ("cross:USDC", "cross:USDT") for position in changed.positions)


async def test_a_mode_that_contradicts_the_balances_is_never_read_as_flat() -> None:
    """As if an error had been taken for standard mode: its money would stand elsewhere."""
    async with two(abstraction="unifiedAccount") as (source, _):
        good(await source.observe())
        client = source._client
        raw = await VENUE.read_account(client, AccountSettings(mode=UNIFIED, parts=("cash",)))
        listed = await VENUE.read_instruments(client)
        with pytest.raises(ReadError) as failure:
            VENUE.parse_account(raw, listed, ALONE)
        assert failure.value.kind is FailureKind.IMPLAUSIBLE


async def test_a_state_that_is_old_is_not_taken_for_todays() -> None:
    async with two(age_s=600) as (source, _):
        failure = failed(await source.observe())
        assert failure.kind is FailureKind.OVERLOADED
        assert "600 s old" in failure.detail


async def test_what_is_borrowed_under_portfolio_margin_stands_beside_the_maintenance() -> None:
    async with two(abstraction="portfolioMargin", borrowed=1000.0) as (source, house):
        (pool,) = good(await source.observe()).margins
        held = house.engine.pools("two")
        owed = 1020 + sum(p.maintenance_margin for p in held if p.asset in ("USDT", "USDC"))
        assert pool.maintenance_margin == pytest.approx(owed)
        assert pool.margin_ratio == pytest.approx(pool.venue_margin_ratio)
        assert {estimate.figure for estimate in pool.estimates} == {"equity", "maintenance_margin"}


# --- dexes ---


def _with_a_third_dex(clock: ShiftedClock) -> Engine:
    """Another dex margined in the main one's token."""
    engine = book_of(HYPERLIQUID_CASE, clock.now())
    engine.add_contract(terms(linear("TSLA", "USDC", symbol="xyz:TSLA", brackets=STEPS)))
    engine.open("two", "xyz:TSLA", Side.LONG, 30, 400.0, 5)
    engine.set_marks({"xyz:TSLA": 395.0})
    return engine


async def test_dexes_of_one_token_are_one_pool_in_a_unified_account() -> None:
    clock = ShiftedClock()
    case = AccountCase(
        account="two",
        name="three dexes",
        pools=unified,
        shows=lambda symbol: not symbol.endswith("_PERP"),
        exact=TWO.exact,
        profile={"abstraction": "unifiedAccount"},
    )
    async with a_house(HYPERLIQUID_CASE, clock, _with_a_third_dex(clock)) as house:
        snapshot = good(await house.open(case).observe())
        assert compared(HYPERLIQUID_CASE, case, house.engine, snapshot)
        tesla = next(p for p in snapshot.positions if p.instrument.base == "TSLA")
        assert (tesla.instrument.symbol, tesla.pool) == ("XYZ-TSLA/USDC:USDC", "cross:USDC")


async def test_dexes_of_one_token_are_pools_apart_in_a_standard_account() -> None:
    clock = ShiftedClock()
    async with a_house(HYPERLIQUID_CASE, clock, _with_a_third_dex(clock)) as house:
        snapshot = good(await house.open(TWO).observe())
        assert {m.pool for m in snapshot.margins} == {"cross:USDC", "cross:cash:USDT", "cross:xyz:USDC"}
        assert {p.pool for p in snapshot.positions} == {"cross:USDC", "cross:cash:USDT", "cross:xyz:USDC"}


async def test_a_position_on_a_dex_that_was_not_there_before_is_seen_once_the_dexes_are_asked_for_again() -> None:
    clock = ShiftedClock()
    async with two(clock) as (source, house):
        assert len(good(await source.observe()).positions) == 3
        house.engine.add_contract(terms(linear("TSLA", "USDC", symbol="xyz:TSLA", brackets=STEPS)))
        house.engine.open("two", "xyz:TSLA", Side.LONG, 30, 400.0, 5)
        clock.ahead += timedelta(minutes=11)
        assert len(good(await source.observe()).positions) == 4


async def test_a_list_of_dexes_cut_short_is_never_taken_for_closed_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ShiftedClock()
    async with two(clock) as (source, _):
        assert len(good(await source.observe()).positions) == 3
        clock.ahead += timedelta(minutes=11)
        with monkeypatch.context() as cut:
            cut.setitem(hyperliquid_market.PUBLIC, "perpDexs", lambda _call, _dex: [None])
            failure = failed(await source.observe())
            assert (failure.kind, "cash" in failure.detail) == (FailureKind.IMPLAUSIBLE, True)
        clock.ahead += timedelta(minutes=1)
        assert len(good(await source.observe()).positions) == 3


async def test_marks_are_asked_of_the_dexes_in_which_something_is_held() -> None:
    clock = ShiftedClock()
    async with a_house(HYPERLIQUID_CASE, clock, book_of(HYPERLIQUID_CASE, clock.now())) as house:
        good(await house.open(replace(TWO, account="mixed", name="mixed")).observe())
        asked = {name for name in house.server.counts if name.startswith("metaAndAssetCtxs")}
        assert asked == {"metaAndAssetCtxs cash"}


async def test_what_is_asked_weighs_what_the_venue_says() -> None:
    async with two() as (source, _):
        kinds = ("clearinghouseState", "spotClearinghouseState", "userRole", "userAbstraction", "metaAndAssetCtxs")
        weights = [source._client._weight("/info", {"type": kind}) for kind in kinds]
        assert weights == [2, 2, 60, 20, 20]


def test_brackets_go_by_leverage_and_meet_at_their_edges() -> None:
    first, second = tiers_of([(0.0, 50.0), (100_000.0, 20.0)])
    assert first == Tier(0.0, 100_000.0, 0.01, 0.0)
    assert second.rate == 0.025
    assert second.amount == pytest.approx(1500)
    with pytest.raises(ReadError):
        tiers_of([(5.0, 50.0)])


# --- stop orders, records, keys ---


def an_order(**changes: Any) -> dict[str, Any]:
    given = {
        "coin": "BTC",
        "side": "A",
        "limitPx": "100000.0",
        "sz": "0.0",
        "oid": 91490942,
        "timestamp": 1681247412573,
        "triggerCondition": "Price below 105000",
        "isTrigger": True,
        "triggerPx": "105000.0",
        "children": [],
        "isPositionTpsl": True,
        "reduceOnly": True,
        "orderType": "Stop Market",
        "origSz": "0.0",
        "tif": None,
        "cloid": None,
    }
    return {**given, **changes}


async def test_stop_orders_of_every_dex_in_which_something_is_held_are_read() -> None:
    limit = an_order(isTrigger=False, triggerPx="0.0", orderType="Limit", isPositionTpsl=False, sz="0.1")
    rising = an_order(
        coin="cash:BTC", side="A", orderType="Take Profit Limit", triggerPx="130000.0", sz="0.1", isPositionTpsl=False
    )
    falling = an_order(coin="ETH", side="B", orderType="Stop Limit", sz="2.0", reduceOnly=False, isPositionTpsl=False)
    async with two(orders=(an_order(), limit, rising, falling, an_order(coin="@107"))) as (source, _):
        good(await source.observe())
        client = source._client
        settings = await VENUE.read_settings(client)
        stops = await VENUE.read_orders(client, await VENUE.read_instruments(client), settings)
    told = [(s.instrument.symbol, s.side, s.kind, s.trigger_price, s.size, s.reduce_only) for s in stops]
    assert told == [
        ("BTC/USDC:USDC", Side.LONG, OrderKind.STOP, 105000, None, True),
        ("ETH/USDC:USDC", Side.SHORT, OrderKind.STOP, 105000, 2, False),
        ("CASH-BTC/USDT:USDT", Side.LONG, OrderKind.TAKE_PROFIT, 130000, 0.1, True),
    ]


@pytest.mark.parametrize("change", [{"orderType": "Odd"}, {"side": "X"}, {"triggerPx": "0.0"}, {"coin": "NEW"}])
async def test_a_stop_order_that_is_not_understood_is_not_left_out(change: dict[str, Any]) -> None:
    async with two(orders=(an_order(**change),)) as (source, _):
        client = source._client
        settings = await VENUE.read_settings(client)
        with pytest.raises(ReadError) as failure:
            await VENUE.read_orders(client, await VENUE.read_instruments(client), settings)
        assert failure.value.kind is FailureKind.MALFORMED


def a_fill(number: int, **changes: Any) -> dict[str, Any]:
    given = {
        "coin": "ETH",
        "px": "3900.0",
        "sz": "1.5",
        "side": "A",
        "time": 1_760_130_000_000 + number,
        "startPosition": "2.0",
        "dir": "Close Long",
        "closedPnl": "-300.0",
        "hash": "0x0",
        "oid": number,
        "crossed": True,
        "fee": "0.0",
        "tid": number,
        "feeToken": "USDC",
    }
    return {**given, **changes}


async def test_liquidations_and_deleveragings_are_told_from_other_fills() -> None:
    clock = ShiftedClock()
    async with a_house(HYPERLIQUID_CASE, clock, book_of(HYPERLIQUID_CASE, clock.now())) as house:
        address = address_of(house.engine.account("two"))
        by_market = {"liquidatedUser": "0x" + address[2:].upper(), "markPx": "3900.0", "method": "market"}
        fills = (
            *(a_fill(number) for number in range(2100)),
            a_fill(3000, liquidation=by_market),
            a_fill(3001, liquidation={**by_market, "liquidatedUser": "0x" + "2" * 40}),
            a_fill(3002, coin="cash:BTC", dir="Auto-Deleveraging", startPosition="-0.3", side="B"),
            a_fill(3003, dir="Liquidated Cross Long"),
        )
        house.server.set_profile("two", fills=fills)
        client = house.open(TWO)._client
        listed = await VENUE.read_instruments(client)
        since = datetime.fromtimestamp(1_760_130_000, UTC)
        ends = await VENUE.read_ends(client, listed, ALONE, since)
    assert [(end.instrument.symbol, end.side, end.kind) for end in ends] == [
        ("ETH/USDC:USDC", Side.LONG, EndKind.LIQUIDATED),
        ("CASH-BTC/USDT:USDT", Side.SHORT, EndKind.DELEVERAGED),
        ("ETH/USDC:USDC", Side.LONG, EndKind.LIQUIDATED),
    ]
    assert (ends[0].contracts, ends[0].price, ends[0].at) == (1.5, 3900, since + timedelta(seconds=3))


async def test_more_fills_than_the_venue_keeps_are_not_cut_silently() -> None:
    async with two(fills=tuple(a_fill(number) for number in range(14_000))) as (source, _):
        client = source._client
        listed = await VENUE.read_instruments(client)
        with pytest.raises(ReadError) as failure:
            await VENUE.read_ends(client, listed, ALONE, datetime.fromtimestamp(1_760_130_000, UTC))
        assert failure.value.kind is FailureKind.IMPLAUSIBLE


KEY = "0x" + "1" * 64
OWNER = "0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a"


@pytest.mark.parametrize(
    ("credentials", "may"),
    [
        ({}, (False, False)),
        ({"privateKey": KEY}, (True, False)),
        ({"privateKey": KEY, "walletAddress": OWNER}, (True, True)),
    ],
    ids=["none", "an API wallet's", "its owner's"],
)
async def test_what_a_key_may_do_goes_by_whose_it_is(credentials: dict[str, str], may: tuple[bool, bool]) -> None:
    async with two() as (_, house):
        address = address_of(house.engine.account("two"))
        source = house.open(TWO, credentials={"walletAddress": address, **credentials})
        facts = await VENUE.read_key_facts(source._client)
        assert (facts.may_trade, facts.may_withdraw) == may
        assert (facts.notes == (NO_KEY,)) is not may[0]
        assert facts.clock_ahead_s == pytest.approx(0, abs=2)


async def test_a_key_that_is_none_is_said_to_be_needless() -> None:
    async with two() as (_, house):
        address = address_of(house.engine.account("two"))
        source = house.open(TWO, credentials={"walletAddress": address, "privateKey": "not a key"})
        with pytest.raises(ReadError) as failure:
            await VENUE.read_key_facts(source._client)
        assert failure.value.kind is FailureKind.AUTH
