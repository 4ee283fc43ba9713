"""What only BingX has: recorded rows, keys that may only read, modes, stop orders, records and keys of two shapes."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from monitor.domain.account import EndKind, FailureKind, Instrument, OrderKind, PriceOrigin, Side
from monitor.exchange.failures import ReadError
from monitor.exchange.source import AccountSource
from monitor.exchange.venues.bingx import MODE_UNTOLD, VENUE
from monitor.exchange.venues.bingx_account import parse
from monitor.exchange.venues.venue import AccountSettings, KeyFacts
from monitor.paper.faults import Fault, FaultKind
from tests.reading import ShiftedClock, failed, good
from tests.venues.bingx import BINGX_CASE
from tests.venues.kit import House, a_house, book_of

MIXED = BINGX_CASE.accounts[0]


@asynccontextmanager
async def mixed(clock: ShiftedClock | None = None, **profile: Any) -> AsyncIterator[tuple[AccountSource, House]]:
    clock = clock or ShiftedClock()
    async with a_house(BINGX_CASE, clock, book_of(BINGX_CASE, clock.now())) as house:
        house.server.set_profile("mixed", **profile)
        yield house.open(MIXED), house


def _instrument(base: str) -> Instrument:
    return Instrument(
        venue="bingx",
        symbol=f"{base}/USDT:USDT",
        base=base,
        quote="USDT",
        settle="USDT",
        contract_size=1.0,
        inverse=False,
    )


# Replies as BingX sent them.
CROSS = {
    "positionId": "1792480725958881280",
    "symbol": "LTC-USDT",
    "currency": "USDT",
    "positionAmt": "0.1",
    "availableAmt": "0.1",
    "positionSide": "LONG",
    "isolated": False,
    "avgPrice": "83.53",
    "initialMargin": "1.3922",
    "margin": "0.3528",
    "leverage": 6,
    "unrealizedProfit": "-1.0393",
    "realisedProfit": "-0.2119",
    "liquidationPrice": 0,
    "pnlRatio": "-0.7465",
    "maxMarginReduction": "0.0000",
    "riskRate": "0.0008",
    "markPrice": "73.14",
    "positionValue": "7.3136",
    "onlyOnePosition": True,
    "updateTime": 1721088016688,
}
ISOLATED = {
    **CROSS,
    "symbol": "FARTCOIN-USDT",
    "positionAmt": "231.093",
    "isolated": True,
    "avgPrice": "1.1099",
    "initialMargin": "25.6513",
    "margin": "21.4291",
    "leverage": 10,
    "unrealizedProfit": "-4.0142",
    "liquidationPrice": "1.0068",
    "riskRate": "0.0849",
    "markPrice": "1.0925",
    "positionValue": "251.9806",
}
BALANCE = {
    "asset": "USDT",
    "balance": "194.8212",
    "equity": "196.7431",
    "unrealizedProfit": "1.9219",
    "availableMargin": "193.7609",
    "usedMargin": "1.0602",
    "freezedMargin": "0.0000",
}
LISTED = {"LTC-USDT": _instrument("LTC"), "FARTCOIN-USDT": _instrument("FARTCOIN")}


def test_recorded_rows_are_read_to_the_figures_that_bingx_told() -> None:
    used = {**BALANCE, "usedMargin": "27.0435"}
    reading = parse([used], [CROSS, ISOLATED], LISTED, AccountSettings())
    cross, isolated = reading.positions
    pool, apart = reading.margins
    assert (cross.size, cross.mark_price, cross.notional, cross.leverage) == (0.1, 73.14, 7.3136, 6)
    assert (cross.liquidation_price, cross.liquidation_price_origin) == (None, PriceOrigin.UNKNOWN)
    assert (isolated.liquidation_price, isolated.liquidation_price_origin) == (1.0068, PriceOrigin.VENUE)
    assert isolated.initial_margin == 25.6513
    assert (apart.equity, apart.venue_margin_ratio) == (21.4291, 0.0849)
    assert pool.equity == pytest.approx(196.7431 - 21.4291)
    assert pool.venue_margin_ratio == 0.0008
    assert reading.margin_in_use == 27.0435


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        ([], FailureKind.IMPLAUSIBLE),
        ([{**CROSS, "initialMargin": "0.1"}], FailureKind.IMPLAUSIBLE),
        ([{**CROSS, "positionValue": "9.1"}], FailureKind.IMPLAUSIBLE),
        ([CROSS, {**CROSS, "positionId": "2"}], FailureKind.UNSUPPORTED),
        ([{**CROSS, "positionSide": "BOTH"}], FailureKind.MALFORMED),
        ([{**CROSS, "symbol": "XYZ-USDT"}], FailureKind.MALFORMED),
        ([{**CROSS, "currency": "VST"}], FailureKind.MALFORMED),
        ([{**CROSS, "positionAmt": None}], FailureKind.MALFORMED),
    ],
    ids=["none", "short", "value", "twice", "side", "unlisted", "asset", "amount"],
)
def test_positions_that_cannot_be_are_a_failure(rows: list[dict[str, Any]], kind: FailureKind) -> None:
    with pytest.raises(ReadError) as failure:
        parse([BALANCE], rows, LISTED, AccountSettings())
    assert failure.value.kind is kind


def test_demo_money_is_a_pool_of_its_own() -> None:
    demo = [{**BALANCE, "asset": "VST"}]
    reading = parse(demo, [{**CROSS, "currency": "VST"}], LISTED, AccountSettings())
    assert (reading.positions[0].pool, reading.margins[0].currency) == ("cross:VST", "VST")


# --- modes, and keys that may only read ---


async def test_a_key_that_may_only_read_is_read_and_says_what_it_is_not_told() -> None:
    async with mixed(reads_only=True) as (source, _):
        snapshot = good(await source.observe())
        assert len(snapshot.positions) == 3
        assert snapshot.caveats == (MODE_UNTOLD,)
        with pytest.raises(ReadError) as refused:
            await VENUE.read_orders(source._client, LISTED, AccountSettings())
        assert refused.value.kind is FailureKind.PERMISSION


@pytest.mark.parametrize(
    ("profile", "words"), [({"asset_mode": "multiAssetsMode"}, "multiAssetsMode"), ({"position_mode": "odd"}, "odd")]
)
async def test_a_mode_that_is_not_understood_is_refused(profile: Mapping[str, Any], words: str) -> None:
    async with mixed(**profile) as (source, _):
        failure = failed(await source.observe())
        assert failure.kind is FailureKind.UNSUPPORTED
        assert words in failure.detail


async def test_money_frozen_for_orders_backs_no_position() -> None:
    async with mixed() as (source, _):
        before = good(await source.observe()).margin("cross:USDT")
    async with mixed(frozen=1500.0) as (source, _):
        after = good(await source.observe()).margin("cross:USDT")
    assert before is not None
    assert after is not None
    assert after.equity == pytest.approx(before.equity)


async def test_a_liquidation_price_that_is_not_told_is_estimated_and_marked() -> None:
    clock = ShiftedClock()
    async with mixed(clock, untold_prices=True) as (source, house):
        await source.observe()
        # Brackets are asked for once it is known what is held.
        clock.ahead += timedelta(seconds=10)
        truths = {truth.symbol: truth.liquidation_price for truth in house.engine.positions("mixed")}
        snapshot = good(await source.observe())
        for position in snapshot.positions:
            assert position.liquidation_price == pytest.approx(truths[f"{position.instrument.base}USDT"], rel=1e-6)
            assert position.liquidation_price_origin is PriceOrigin.OWN_ESTIMATE


async def test_a_clock_that_is_off_is_learnt_and_the_read_goes_on() -> None:
    async with mixed() as (source, house):
        house.server.misbehave(Fault(kind=FaultKind.CLOCK_SKEW, seconds=90))
        good(await source.observe())
        assert house.server.counts["/openApi/swap/v2/server/time"] == 1


async def test_an_endpoint_that_is_shut_is_left_alone_until_the_moment_that_bingx_names() -> None:
    async with mixed() as (source, house):
        house.server.misbehave(Fault(kind=FaultKind.RATE_LIMITED, path=BINGX_CASE.reads[0]))
        failure = failed(await source.observe())
        assert failure.kind is FailureKind.RATE_LIMIT
        assert failure.retry_at is not None
        assert failure.retry_at - failure.observed_at == pytest.approx(timedelta(seconds=60), abs=timedelta(seconds=2))


# --- stop orders ---


def an_order(**changes: Any) -> dict[str, Any]:
    told = {"symbol": "BTC-USDT", "orderId": 1, "side": "SELL", "positionSide": "LONG", "type": "STOP_MARKET"}
    return {**told, "origQty": "0.2", "stopPrice": "100000", "priceRate": "", "closePosition": "false", **changes}


Expected = tuple[Side, OrderKind, float | None, float | None, float | None]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (an_order(), (Side.LONG, OrderKind.STOP, 100_000, None, 0.2)),
        (
            an_order(type="TAKE_PROFIT", side="BUY", positionSide="SHORT"),
            (Side.SHORT, OrderKind.TAKE_PROFIT, 1e5, None, 0.2),
        ),
        (an_order(positionSide="BOTH", closePosition="true"), (Side.LONG, OrderKind.STOP, 100_000, None, None)),
        (
            an_order(type="TRAILING_STOP_MARKET", priceRate="0.02", stopPrice=""),
            (Side.LONG, OrderKind.TRAILING, None, 0.02, 0.2),
        ),
        (an_order(type="LIMIT"), None),
        (an_order(type="TRIGGER_MARKET"), None),
        (an_order(side="BUY"), None),
    ],
    ids=["stop", "profit", "one-way", "trailing", "limit", "trigger", "opens"],
)
async def test_stop_orders_are_read(order: Mapping[str, Any], expected: Expected | None) -> None:
    async with mixed(orders=(order,)) as (source, _):
        orders = await VENUE.read_orders(
            source._client, await VENUE.read_instruments(source._client), AccountSettings()
        )
    told = [(o.side, o.kind, o.trigger_price, o.callback_rate, o.size) for o in orders]
    assert told == ([] if expected is None else [expected])


# --- records ---


def a_forced_close(kind: str, at: datetime, **changes: Any) -> dict[str, Any]:
    told = {"autoCloseType": kind, "symbol": "BTC-USDT", "side": "SELL", "positionSide": "LONG", "executedQty": "0.5"}
    return {**told, "avgPrice": "99000.5", "time": round(1000 * at.timestamp()), **changes}


async def test_liquidations_and_deleveragings_are_told_by_the_records() -> None:
    at = datetime(2026, 5, 1, 12, tzinfo=UTC)
    told = (
        a_forced_close("LIQUIDATION", at),
        a_forced_close("LIQUIDATION", at - timedelta(days=2)),
        a_forced_close("ADL", at, side="BUY", positionSide="BOTH"),
    )
    async with mixed(ends=told) as (source, house):
        client = source._client
        listed = await VENUE.read_instruments(client)
        found = await VENUE.read_ends(client, listed, AccountSettings(), at - timedelta(days=1))
        house.server.set_profile("mixed", ends=told[:1] * 100)
        with pytest.raises(ReadError) as many:
            await VENUE.read_ends(client, listed, AccountSettings(), at)
    assert [(end.side, end.kind, end.at, end.contracts, end.price) for end in found] == [
        (Side.LONG, EndKind.LIQUIDATED, at, 0.5, 99_000.5),
        (Side.SHORT, EndKind.DELEVERAGED, at, 0.5, 99_000.5),
    ]
    assert many.value.kind is FailureKind.IMPLAUSIBLE


# --- keys ---

NAMED = {
    "ipRestrict": True,
    "enableReading": True,
    "enableSpotAndMarginTrading": False,
    "enableWithdrawals": False,
    "enableInternalTransfer": False,
    "enableFutures": False,
    "permitsUniversalTransfer": False,
}


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ({"permissions": [2], "ipAddresses": []}, (False, False, False)),
        ({"permissions": [2, 3], "ipAddresses": ["192.0.2.1"]}, (True, False, True)),
        ({"permissions": [2, 5], "ipAddresses": []}, (False, True, False)),
        ({"permissions": [2, 9], "ipAddresses": []}, (None, None, False)),
        ({"code": 0, "data": {"permissions": [1, 2, 4]}}, (True, True, None)),
        ({"code": 0, "data": NAMED}, (False, False, True)),
        ({"code": 0, "data": {**NAMED, "enableFutures": True, "enableWithdrawals": True}}, (True, True, True)),
    ],
    ids=["reads", "trades", "withdraws", "strange", "enveloped", "by name", "by name, all"],
)
async def test_what_a_key_may_do_is_told(
    key: dict[str, Any], expected: tuple[bool | None, bool | None, bool | None]
) -> None:
    async with mixed(key=key) as (source, _):
        facts = await source.key_facts()
        assert isinstance(facts, KeyFacts)
        assert (facts.may_trade, facts.may_withdraw, facts.ip_restricted) == expected
        assert facts.clock_ahead_s == pytest.approx(0, abs=2)


@pytest.mark.parametrize("path", ["/openApi/swap/v2/trade/order", "/openApi/swap/v2/user/positions/close"])
def test_nothing_else_may_be_sent(path: str) -> None:
    assert not VENUE.rules.permits("GET", path)
    assert not VENUE.rules.permits("POST", "/openApi/swap/v1/trade/assetMode")
