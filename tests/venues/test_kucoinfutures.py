"""What KuCoin Futures alone has: unified accounts, changes of mode, recorded replies, stops, fills, keys, refusals."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from monitor.domain.account import (
    AccountSnapshot,
    EndKind,
    FailureKind,
    Instrument,
    MarginMode,
    OrderKind,
    PriceOrigin,
    Side,
)
from monitor.exchange.failures import ReadError
from monitor.exchange.source import AccountSource
from monitor.exchange.venues.kucoinfutures import CLASSIC, CLASSIC_HEDGED, UNIFIED, VENUE
from monitor.exchange.venues.venue import AccountSettings, KeyFacts
from monitor.paper.faults import Fault, FaultKind
from tests.reading import ShiftedClock, failed, good
from tests.venues import kucoinfutures
from tests.venues.kit import AccountCase, House, a_house, book_of

MIXED = kucoinfutures.CLASSIC.accounts[0]
HEDGED = kucoinfutures.CLASSIC.accounts[1]
IN_ONE = kucoinfutures.UNIFIED.accounts[0]


@asynccontextmanager
async def reading(account: AccountCase, **profile: Any) -> AsyncIterator[tuple[House, AccountSource, ShiftedClock]]:
    clock = ShiftedClock()
    case = kucoinfutures.CLASSIC
    async with a_house(case, clock, book_of(case, clock.now())) as house:
        source = house.open(account)
        if profile:
            house.server.set_profile(account.account, **profile)
        yield house, source, clock


def instrument(symbol: str, size: float = 0.001) -> Instrument:
    base, quote = symbol.split("/")
    return Instrument(
        venue="kucoinfutures",
        symbol=f"{symbol}:{quote}",
        base=base,
        quote=quote,
        settle=quote,
        contract_size=size,
        inverse=False,
    )


LISTED = {
    "XBTUSDTM": instrument("BTC/USDT"),
    "CROUSDTM": instrument("CRO/USDT", 1.0),
    "DOGEUSDTM": instrument("DOGE/USDT", 100.0),
}


def classic(row: Mapping[str, Any], **overview: Any) -> AccountSnapshot:
    told = {
        "currency": "USDT",
        "accountEquity": 100.0,
        "unrealisedPNL": row["unrealisedPnl"],
        "positionMargin": row["posMargin"],
        "orderMargin": 0,
        "frozenFunds": 0,
        "availableBalance": 90.0,
        **overview,
    }
    raw = ({"code": "200000", "data": [row]}, {"USDT": {"code": "200000", "data": told}})
    read = VENUE.parse_account(raw, LISTED, AccountSettings(mode=CLASSIC))
    return AccountSnapshot(
        account="a", venue=VENUE.id, observed_at=ShiftedClock().now(), margins=read.margins, positions=read.positions
    )


# Recorded replies of the venue, as public test data and issues quote them.
SHORT_OF_CRO = {
    "symbol": "CROUSDTM",
    "crossMode": False,
    "marginMode": "ISOLATED",
    "positionSide": "BOTH",
    "delevPercentage": 0.02,
    "currentQty": -576,
    "markPrice": 0.07572,
    "markValue": -43.61472,
    "posCost": -43.05576,
    "posInit": 0.8611152,
    "posMargin": 1.3556506798,
    "posMaint": 0.4571886441,
    "maintMargin": 0.7966906798,
    "unrealisedPnl": -0.55896,
    "avgEntryPrice": 0.07475,
    "liquidationPrice": 0.0763,
    "settleCurrency": "USDT",
    "leverage": 56.64,
}
LONG_OF_BITCOIN = {
    "symbol": "XBTUSDTM",
    "crossMode": True,
    "marginMode": "CROSS",
    "positionSide": "LONG",
    "delevPercentage": 0.0,
    "currentQty": 1,
    "markPrice": 96985.6,
    "markValue": 96.9856,
    "posCost": 96.9768,
    "posInit": 4.84884,
    "posMargin": 4.84928,
    "posMaint": 0.38794369,
    "unrealisedPnl": 0.0088,
    "avgEntryPrice": 96976.8,
    "liquidationPrice": 52351.69,
    "settleCurrency": "USDT",
    "leverage": 20,
}


def test_a_recorded_isolated_position_is_liquidated_where_its_equity_meets_its_maintenance() -> None:
    snapshot = classic(SHORT_OF_CRO)
    (position,) = snapshot.positions
    pool = snapshot.margin("isolated:CRO/USDT:USDT:short")
    assert pool is not None
    assert pool.equity == pytest.approx(0.7966906798)
    assert pool.maintenance_margin == 0.4571886441
    assert (position.side, position.adl_rank) == (Side.SHORT, 1)
    assert position.leverage == pytest.approx(50.0)
    assert position.liquidation_price is not None
    assert pool.equity is not None
    lost = position.contracts * (position.liquidation_price - position.mark_price)
    a_tick = 0.0001 * position.contracts
    assert pool.equity - lost == pytest.approx(pool.maintenance_margin, abs=a_tick)


def test_a_recorded_cross_position_tells_its_margins_at_the_mark() -> None:
    (position,) = classic(LONG_OF_BITCOIN, riskRatio=0.00446).positions
    assert position.notional == 96.9856
    assert position.initial_margin == pytest.approx(position.notional / 20)
    assert position.maintenance_margin == 0.38794369
    assert (position.margin_mode, position.pool) == (MarginMode.CROSS, "cross:USDT")


def test_the_fee_of_closing_counts_into_what_a_cross_pool_must_hold() -> None:
    pool = classic(LONG_OF_BITCOIN, riskRatio=0.00446).margin("cross:USDT")
    assert pool is not None
    assert pool.margin_ratio == pool.venue_margin_ratio == 0.00446
    assert pool.maintenance_margin == pytest.approx(0.446)


def test_a_recorded_wallet_splits_into_cross_and_isolated_as_the_venue_splits_it() -> None:
    row = {**LONG_OF_BITCOIN, "marginMode": "ISOLATED", "posMargin": 63.98342359, "unrealisedPnl": 12.8706}
    snapshot = classic(row, accountEquity=387.224858816, unrealisedPNL=12.8706)
    pool = snapshot.margin("cross:USDT")
    assert pool is not None
    assert pool.equity == pytest.approx(310.370835226)


UNIFIED_ROW = {
    "symbol": "DOGEUSDTM",
    "marginMode": "CROSS",
    "size": "2",
    "entryPrice": "0.093795",
    "positionValue": "18.298",
    "markPrice": "0.09149",
    "leverage": "3",
    "unrealizedPnL": "-0.461",
    "initialMargin": "6.0993333327234",
    "mmr": "0.007",
    "maintenanceMargin": "0.128086",
}
UNIFIED_OVERVIEW = {
    "accountType": "UNIFIED",
    "riskRatio": "0.0085517383",
    "equity": "49.9358942670",
    "liability": "0.0000000000",
    "availableMargin": "46.0677901003",
    "adjustedEquity": "49.9358942670",
    "im": "3.8681041666",
    "mm": "0.3713380000",
}


def test_a_recorded_unified_account_is_one_pool_by_its_own_ratio() -> None:
    raw = ([UNIFIED_ROW], {"code": "200000", "data": UNIFIED_OVERVIEW})
    read = VENUE.parse_account(raw, LISTED, AccountSettings(mode=UNIFIED))
    (pool,), (position,) = read.margins, read.positions
    assert (pool.pool, pool.equity, pool.initial_margin) == ("cross:USD", 49.935894267, 3.8681041666)
    assert pool.margin_ratio == pytest.approx(0.0085517383)
    assert (position.notional, position.maintenance_margin, position.unrealized_pnl) == (18.298, 0.128086, -0.461)
    assert position.liquidation_price_origin is PriceOrigin.UNKNOWN


async def test_a_unified_position_without_a_liquidation_price_is_given_our_own() -> None:
    async with reading(IN_ONE, tells_liquidation=False) as (_, source, _clock):
        snapshot = good(await source.observe())
        for position in snapshot.positions:
            assert "liquidation_price" in {estimate.figure for estimate in position.estimates}
            assert position.adl_rank is None
        (isolated,) = snapshot.positions_in("isolated:SOL/USDT:USDT:long")
        assert isolated.liquidation_price_origin is PriceOrigin.OWN_ESTIMATE


async def test_an_isolated_position_whose_margin_is_not_told_has_no_known_equity() -> None:
    async with reading(IN_ONE, tells_isolated_margin=False) as (_, source, _clock):
        pool = good(await source.observe()).margin("isolated:SOL/USDT:USDT:long")
        assert pool is not None
        assert (pool.equity, pool.margin_ratio) == (None, None)


async def test_an_account_that_is_made_unified_while_it_is_watched_is_read_on_as_one() -> None:
    async with reading(MIXED) as (house, source, _clock):
        before = good(await source.observe())
        house.server.set_profile("mixed", unified=True)
        after = good(await source.observe())
        assert len(after.positions) == len(before.positions)
        assert after.margin("cross:USD") is not None
        house.server.set_profile("mixed", unified=False)
        assert good(await source.observe()).margin("cross:USDT") is not None


@pytest.mark.parametrize(("account", "mode"), [(MIXED, CLASSIC), (HEDGED, CLASSIC_HEDGED), (IN_ONE, UNIFIED)])
async def test_the_mode_is_told_in_words(account: AccountCase, mode: str) -> None:
    async with reading(account) as (_, source, _clock):
        assert (await VENUE.read_settings(source._client)).mode == mode


@pytest.mark.parametrize(
    ("overview", "why"),
    [
        ({"unrealisedPNL": 1_000.0}, "apart"),
        ({"riskRatio": 0.0}, "its positions alone"),
        ({"riskRatio": 0.9}, "the positions listed"),
    ],
)
async def test_an_account_that_contradicts_its_positions_is_not_believed(
    overview: Mapping[str, float], why: str
) -> None:
    async with reading(MIXED, more=overview) as (_, source, _clock):
        failure = failed(await source.observe())
        assert failure.kind is FailureKind.IMPLAUSIBLE
        assert why in failure.detail


async def test_margin_in_use_without_a_position_is_not_a_flat_account() -> None:
    async with reading(MIXED) as (house, source, _clock):
        house.server.misbehave(Fault(kind=FaultKind.NO_POSITIONS, path="/api/v1/positions"))
        failure = failed(await source.observe())
        assert failure.kind is FailureKind.IMPLAUSIBLE
        assert "none of them is listed" in failure.detail


async def test_a_pool_whose_ratio_is_not_told_is_summed_of_its_positions_and_marked() -> None:
    async with reading(MIXED, more={"riskRatio": None}) as (_, source, _clock):
        pool = good(await source.observe()).margin("cross:USDT")
        assert pool is not None
        assert pool.maintenance_margin
        assert [estimate.figure for estimate in pool.estimates] == ["maintenance_margin"]


# --- stops ---


def a_stop(**changes: Any) -> dict[str, Any]:
    given = {"symbol": "XBTUSDTM", "side": "sell", "size": 100, "stop": "down", "stopPrice": "110000"}
    return {**given, "closeOrder": False, "reduceOnly": True, **changes}


@pytest.mark.parametrize(
    ("row", "side", "kind", "size", "reduces"),
    [
        (a_stop(), Side.LONG, OrderKind.STOP, 0.1, True),
        (a_stop(stop="up", stopPrice="130000"), Side.LONG, OrderKind.TAKE_PROFIT, 0.1, True),
        (a_stop(side="buy", stop="up", reduceOnly=False), Side.SHORT, OrderKind.STOP, 0.1, False),
        (a_stop(closeOrder=True, reduceOnly=False), Side.LONG, OrderKind.STOP, None, True),
        (
            a_stop(symbol="XBTUSDM", side="buy", stop="down", stopPrice="100000"),
            Side.SHORT,
            OrderKind.TAKE_PROFIT,
            0.001,
            True,
        ),
    ],
)
async def test_a_resting_stop_is_read(
    row: dict[str, Any], side: Side, kind: OrderKind, size: float | None, reduces: bool
) -> None:
    async with reading(MIXED, stops=(row,)) as (_, source, _clock):
        listed = await VENUE.read_instruments(source._client)
        (stop,) = await VENUE.read_orders(source._client, listed, AccountSettings(mode=CLASSIC))
        assert (stop.side, stop.kind, stop.size, stop.reduce_only) == (side, kind, size, reduces)
        assert stop.trigger_price == float(row["stopPrice"])


async def test_stops_on_further_pages_are_read() -> None:
    async with reading(MIXED, stops=tuple(a_stop(size=n + 1) for n in range(230))) as (_, source, _clock):
        listed = await VENUE.read_instruments(source._client)
        stops = await VENUE.read_orders(source._client, listed, AccountSettings(mode=CLASSIC))
        assert sorted(stop.size or 0 for stop in stops) == pytest.approx([(n + 1) / 1000 for n in range(230)])


async def test_a_stop_that_opens_a_side_of_hedge_mode_protects_nothing() -> None:
    rows = (a_stop(side="sell", positionSide="SHORT"), a_stop(side="sell", positionSide="LONG"))
    async with reading(HEDGED, stops=rows) as (_, source, _clock):
        listed = await VENUE.read_instruments(source._client)
        stops = await VENUE.read_orders(source._client, listed, AccountSettings(mode=CLASSIC_HEDGED))
        assert [stop.side for stop in stops] == [Side.LONG]


@pytest.mark.parametrize(
    ("unit", "size", "units"), [("UNIT", "100", 0.1), ("BASECCY", "0.2", 0.2), ("QUOTECCY", "11000", 0.1)]
)
async def test_a_unified_stop_is_read_in_each_of_its_units(unit: str, size: str, units: float) -> None:
    row = {"symbol": "XBTUSDTM", "side": "SELL", "size": size, "sizeUnit": unit}
    stop = {**row, "triggerDirection": "DOWN", "triggerPrice": "110000", "reduceOnly": True}
    async with reading(IN_ONE, stops=(stop, {**row, "triggerPrice": ""})) as (_, source, _clock):
        listed = await VENUE.read_instruments(source._client)
        (read,) = await VENUE.read_orders(source._client, listed, AccountSettings(mode=UNIFIED))
        assert (read.side, read.kind) == (Side.LONG, OrderKind.STOP)
        assert read.size == pytest.approx(units)


@pytest.mark.parametrize("row", [a_stop(side="hold"), a_stop(stop="sideways"), a_stop(stopPrice="")])
async def test_a_stop_in_words_that_are_not_known_is_malformed(row: dict[str, Any]) -> None:
    async with reading(MIXED, stops=(row,)) as (_, source, _clock):
        listed = await VENUE.read_instruments(source._client)
        with pytest.raises(ReadError) as raised:
            await VENUE.read_orders(source._client, listed, AccountSettings(mode=CLASSIC))
        assert raised.value.kind is FailureKind.MALFORMED


# --- ends ---


async def test_liquidations_and_deleveragings_are_found_among_the_fills_of_days() -> None:
    async with reading(MIXED) as (house, source, clock):
        now_ms = round(clock.now().timestamp() * 1000)

        def fill(kind: str, hours_ago: float, side: str = "sell") -> dict[str, Any]:
            at = now_ms - round(hours_ago * 3_600_000)
            told = {"symbol": "XBTUSDTM", "tradeType": kind, "side": side, "size": 500, "price": "99000.5"}
            return {**told, "createdAt": at}

        fills = (fill("liquid", 30), fill("adl", 1, "buy"), fill("trade", 2), fill("liquid", 60))
        house.server.set_profile("mixed", fills=fills)
        listed = await VENUE.read_instruments(source._client)
        since = clock.now() - timedelta(hours=50)
        ends = await VENUE.read_ends(source._client, listed, AccountSettings(mode=CLASSIC), since)
        assert [(end.kind, end.side, end.contracts, end.price) for end in ends] == [
            (EndKind.LIQUIDATED, Side.LONG, 500, 99000.5),
            (EndKind.DELEVERAGED, Side.SHORT, 500, 99000.5),
        ]


async def test_a_unified_account_has_no_records_that_tell() -> None:
    async with reading(IN_ONE) as (_, source, clock):
        with pytest.raises(ReadError) as raised:
            await VENUE.read_ends(source._client, {}, AccountSettings(mode=UNIFIED), clock.now())
        assert raised.value.kind is FailureKind.UNSUPPORTED


# --- keys and refusals ---


@pytest.mark.parametrize(
    ("permission", "whitelist", "may_trade", "may_withdraw", "restricted"),
    [
        ("General", "127.0.0.1", False, False, True),
        ("General,Futures", None, True, False, False),
        ("General, Spot, InnerTransfer, Transfer", "127.0.0.1", True, True, True),
        ("General,Transfer", "", False, True, False),
    ],
)
async def test_what_a_key_may_do(
    permission: str, whitelist: str | None, may_trade: bool, may_withdraw: bool, restricted: bool
) -> None:
    async with reading(MIXED, permission=permission, ip_whitelist=whitelist) as (_, source, _clock):
        facts = await source.key_facts()
        assert isinstance(facts, KeyFacts), facts
        assert (facts.may_trade, facts.may_withdraw, facts.ip_restricted) == (may_trade, may_withdraw, restricted)
        assert facts.clock_ahead_s == pytest.approx(0, abs=1)
        assert facts.notes == ()


async def test_a_permission_that_is_not_known_is_told() -> None:
    async with reading(MIXED, permission="General,Telepathy") as (_, source, _clock):
        facts = await source.key_facts()
        assert isinstance(facts, KeyFacts), facts
        assert facts.notes == ("what Telepathy allows is not known",)


async def test_a_wrong_passphrase_is_a_bad_key() -> None:
    async with reading(MIXED) as (house, _source, _clock):
        credentials = {"apiKey": "mixed-key", "secret": "mixed-secret", "password": "another-passphrase"}
        assert failed(await house.open(MIXED, credentials=credentials).observe()).kind is FailureKind.AUTH


async def test_a_clock_that_is_off_is_set_by_the_venues_time() -> None:
    async with reading(MIXED) as (house, source, _clock):
        house.server.misbehave(Fault(kind=FaultKind.CLOCK_SKEW, seconds=20))
        good(await source.observe())
