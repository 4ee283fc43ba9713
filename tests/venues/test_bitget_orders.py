"""What of a Bitget account is no position: resting stops, liquidations and auto-deleveragings, keys, refusals."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from monitor.domain.account import End, EndKind, FailureKind, OrderKind, Side, StopOrder
from monitor.exchange.failures import ReadError
from monitor.exchange.venues.bitget import VENUE
from monitor.exchange.venues.venue import KeyFacts
from monitor.paper.faults import Fault, FaultKind
from tests.reading import failed, good
from tests.venues import bitget
from tests.venues.bitget import reading
from tests.venues.kit import AccountCase

MIXED, HEDGED = bitget.CLASSIC.accounts
IN_ONE = bitget.UNIFIED.accounts[0]


# --- stops ---


async def stops_of(account: AccountCase, **profile: Any) -> Sequence[StopOrder]:
    async with reading(account, **profile) as (_, source, _clock):
        listed = await VENUE.read_instruments(source._client)
        settings = await VENUE.read_settings(source._client)
        return await VENUE.read_orders(source._client, listed, settings)


def a_plan(**changes: Any) -> dict[str, Any]:
    given = {"orderId": "7", "symbol": "BTCUSDT", "planType": "pos_loss", "side": "sell", "posSide": "net"}
    return {**given, "tradeSide": "", "triggerPrice": "110000", "callbackRatio": "", "size": "0.2", **changes}


@pytest.mark.parametrize(
    ("row", "side", "kind", "size", "reduces"),
    [
        (a_plan(size="0"), Side.LONG, OrderKind.STOP, None, True),
        (a_plan(planType="profit_plan", triggerPrice="130000"), Side.LONG, OrderKind.TAKE_PROFIT, 0.2, True),
        (a_plan(planType="loss_plan", side="buy", posSide="short"), Side.SHORT, OrderKind.STOP, 0.2, True),
        (a_plan(planType="loss_plan", side="buy", posSide="long"), Side.LONG, OrderKind.STOP, 0.2, True),
        (a_plan(planType="moving_plan", callbackRatio="2.5"), Side.LONG, OrderKind.TRAILING, 0.2, True),
        (a_plan(planType="track_plan", callbackRatio="2.5"), Side.LONG, OrderKind.TRAILING, 0.2, False),
        (a_plan(planType="normal_plan"), Side.LONG, OrderKind.STOP, 0.2, False),
        (a_plan(planType="normal_plan", side="buy"), Side.SHORT, OrderKind.TAKE_PROFIT, 0.2, False),
        (
            a_plan(planType="normal_plan", tradeSide="close", side="buy", posSide="long", symbol="BTCPERP"),
            Side.LONG,
            OrderKind.STOP,
            0.2,
            True,
        ),
    ],
)
async def test_a_resting_plan_order_of_a_classic_account_is_read(
    row: dict[str, Any], side: Side, kind: OrderKind, size: float | None, reduces: bool
) -> None:
    (stop,) = await stops_of(MIXED, plans=(row,))
    assert (stop.side, stop.kind, stop.size, stop.reduce_only) == (side, kind, size, reduces)
    assert stop.trigger_price == float(row["triggerPrice"])
    assert stop.callback_rate == (0.025 if row["callbackRatio"] else None)


async def test_a_plan_order_that_opens_a_side_of_hedge_mode_protects_nothing() -> None:
    row = a_plan(planType="normal_plan", tradeSide="open", side="buy", posSide="long")
    assert await stops_of(HEDGED, plans=(row,)) == []


async def test_plan_orders_on_further_pages_are_read() -> None:
    plans = tuple(a_plan(orderId=str(n + 1), size=str(n + 1)) for n in range(230))
    stops = await stops_of(MIXED, plans=plans)
    assert sorted(stop.size or 0 for stop in stops) == [n + 1 for n in range(230)]


@pytest.mark.parametrize("change", [{"planType": "telepathy"}, {"side": "hold"}, {"symbol": "NOTUSDT"}])
async def test_a_plan_order_in_words_that_are_not_known_is_refused(change: Mapping[str, str]) -> None:
    with pytest.raises(ReadError):
        await stops_of(MIXED, plans=(a_plan(**change),))


def a_strategy(**changes: Any) -> dict[str, Any]:
    given = {"symbol": "BTCUSDT", "type": "tpsl", "posSide": "long", "side": "", "qty": "0.5"}
    return {**given, "takeProfit": "", "stopLoss": "", "triggerPrice": "", **changes}


@pytest.mark.parametrize(
    ("row", "found"),
    [
        (
            a_strategy(stopLoss="100000", takeProfit="130000"),
            [(Side.LONG, OrderKind.STOP, 100_000.0), (Side.LONG, OrderKind.TAKE_PROFIT, 130_000.0)],
        ),
        (a_strategy(posSide="short", stopLoss="130000"), [(Side.SHORT, OrderKind.STOP, 130_000.0)]),
        (
            a_strategy(type="trigger", side="sell", posSide="", triggerPrice="100000"),
            [(Side.LONG, OrderKind.STOP, 100_000.0)],
        ),
        (
            a_strategy(type="trigger", side="buy", posSide="short", triggerPrice="100000"),
            [(Side.SHORT, OrderKind.TAKE_PROFIT, 100_000.0)],
        ),
        (a_strategy(type="trigger", side="buy", posSide="long", triggerPrice="100000"), []),
    ],
)
async def test_a_strategy_order_of_a_unified_account_is_read(
    row: dict[str, Any], found: Sequence[tuple[Side, OrderKind, float]]
) -> None:
    stops = await stops_of(IN_ONE, strategies=(row,))
    assert [(stop.side, stop.kind, stop.trigger_price) for stop in stops] == found
    assert all(stop.size == 0.5 for stop in stops)


# --- ends ---


async def ends_of(account: AccountCase, hours: float, **rows: Sequence[Mapping[str, Any]]) -> Sequence[End]:
    """Each row's time is told as hours before now."""
    async with reading(account) as (house, source, clock):
        now = clock.now()
        dated = {name: tuple(_dated(row, now) for row in listed) for name, listed in rows.items()}
        house.server.set_profile(account.account, **account.profile, **dated)
        listed = await VENUE.read_instruments(source._client)
        settings = await VENUE.read_settings(source._client)
        return await VENUE.read_ends(source._client, listed, settings, now - timedelta(hours=hours))


def _dated(row: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    at = str(round((now - timedelta(hours=row["hours_ago"])).timestamp() * 1000))
    return {**row, "cTime": at, "updatedTime": at}


def a_fill(number: int, words: str, hours_ago: float, side: str = "sell", **changes: Any) -> dict[str, Any]:
    told = {"tradeId": str(number), "symbol": "BTCUSDT", "side": side, "tradeSide": words, "hours_ago": hours_ago}
    return {**told, "price": "99000.5", "baseVolume": "0.5", **changes}


async def test_liquidations_and_deleveragings_are_found_among_the_fills_of_weeks() -> None:
    fills = [
        a_fill(1, "burst_close_long", 300),
        a_fill(2, "reduce_close_short", 200, "buy"),
        a_fill(3, "dte_sys_adl_close_long", 30, symbol="BTCPERP"),
        a_fill(4, "burst_sell_single", 20),
        a_fill(5, "offset_close_short", 10),
        a_fill(6, "close", 5),
        a_fill(7, "burst_close_long", 400),
    ]
    ends = await ends_of(MIXED, 350, fills=fills)
    assert sorted((end.kind, end.side, end.instrument.settle) for end in ends) == [
        (EndKind.DELEVERAGED, Side.LONG, "USDC"),
        (EndKind.LIQUIDATED, Side.LONG, "USDT"),
        (EndKind.LIQUIDATED, Side.LONG, "USDT"),
        (EndKind.LIQUIDATED, Side.SHORT, "USDT"),
        (EndKind.LIQUIDATED, Side.SHORT, "USDT"),
    ]
    assert {(end.contracts, end.price) for end in ends} == {(0.5, 99_000.5)}


async def test_fills_on_further_pages_are_searched() -> None:
    fills = [a_fill(n, "open", 1) for n in range(2, 232)]
    (end,) = await ends_of(MIXED, 5, fills=[*fills, a_fill(1, "burst_close_long", 2)])
    assert end.kind is EndKind.LIQUIDATED


async def test_liquidations_are_found_among_the_orders_of_a_unified_account() -> None:
    def an_order(number: int, kind: str, hours_ago: float, **changes: Any) -> dict[str, Any]:
        told = {"orderId": str(number), "symbol": "BTCUSDT", "side": "sell", "posSide": "long", "execType": kind}
        return {**told, "hours_ago": hours_ago, "cumExecQty": "0.5", "avgPrice": "99000.5", **changes}

    orders = [
        an_order(1, "liquidation", 900),
        an_order(2, "reduce", 100, side="buy", posSide=""),
        an_order(3, "normal", 50),
        an_order(4, "offset", 10, symbol="BTCUSD_CM"),
        an_order(5, "liquidation", 1200),
    ]
    ends = await ends_of(IN_ONE, 1000, orders=orders)
    assert sorted((end.kind, end.side, end.instrument.settle) for end in ends) == [
        (EndKind.LIQUIDATED, Side.LONG, "BTC"),
        (EndKind.LIQUIDATED, Side.LONG, "USDT"),
        (EndKind.LIQUIDATED, Side.SHORT, "USDT"),
    ]
    assert {(end.contracts, end.price) for end in ends} == {(0.5, 99_000.5)}


# --- keys and refusals ---


@pytest.mark.parametrize(
    ("account", "profile", "may_trade", "may_withdraw", "restricted"),
    [
        (MIXED, {"authorities": ("cor", "cpr")}, False, False, True),
        (MIXED, {"authorities": ("cor", "cow"), "ips": ""}, True, False, False),
        (MIXED, {"authorities": ("cor", "wwow")}, False, True, True),
        (MIXED, {"authorities": ("readonly",)}, False, False, True),
        (MIXED, {"authorities": ("telepathy",)}, True, False, True),
        (IN_ONE, {}, False, False, True),
        (IN_ONE, {"permission_kind": "read-and-write"}, True, False, True),
        (IN_ONE, {"permission_kind": "read-and-write", "permissions": ("withdraw",), "ips": ""}, False, True, False),
    ],
)
async def test_what_a_key_may_do(
    account: AccountCase, profile: Mapping[str, Any], may_trade: bool, may_withdraw: bool, restricted: bool
) -> None:
    async with reading(account, **profile) as (_, source, _clock):
        facts = await source.key_facts()
        assert isinstance(facts, KeyFacts), facts
        assert (facts.may_trade, facts.may_withdraw, facts.ip_restricted) == (may_trade, may_withdraw, restricted)
        assert facts.clock_ahead_s == pytest.approx(0, abs=1)


@pytest.mark.parametrize(
    ("account", "profile"),
    [
        (IN_ONE, {"permission_kind": "telepathic"}),
        (IN_ONE, {"permissions": ("read", "")}),
        (MIXED, {"authorities": ("cor", "")}),
    ],
)
async def test_a_permission_that_is_not_known_or_not_told_is_not_taken_to_read_only(
    account: AccountCase, profile: Mapping[str, Any]
) -> None:
    async with reading(account, **profile) as (_, source, _clock):
        facts = await source.key_facts()
        assert not isinstance(facts, KeyFacts)
        assert facts.kind is FailureKind.MALFORMED


async def test_a_wrong_passphrase_is_a_bad_key() -> None:
    async with reading(MIXED) as (house, _source, _clock):
        credentials = {"apiKey": "mixed-key", "secret": "mixed-secret", "password": "another-passphrase"}
        assert failed(await house.open(MIXED, credentials=credentials).observe()).kind is FailureKind.AUTH


async def test_a_clock_that_is_off_is_set_by_the_venues_time() -> None:
    async with reading(MIXED) as (house, source, _clock):
        house.server.misbehave(Fault(kind=FaultKind.CLOCK_SKEW, seconds=90))
        good(await source.observe())
