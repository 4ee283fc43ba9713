"""Beside OKX's accounts: contracts, marks and tiers, stop orders of three kinds, bills of forced closes, keys."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from monitor.domain.account import End, EndKind, FailureKind, Instrument, OrderKind, PollFailure, Side
from monitor.exchange.failures import ReadError
from monitor.exchange.venues import okx
from monitor.exchange.venues.okx import VENUE
from monitor.exchange.venues.venue import AccountSettings, KeyFacts
from tests.reading import ShiftedClock
from tests.venues.kit import House, a_house, book_of
from tests.venues.okx import OKX_CASE, futures

Json = dict[str, Any]
SETTINGS = AccountSettings(mode="futures mode, net positions")


@pytest.fixture
def clock() -> ShiftedClock:
    return ShiftedClock()


@pytest.fixture
async def house(clock: ShiftedClock) -> AsyncIterator[House]:
    async with a_house(OKX_CASE, clock, book_of(OKX_CASE, clock.now())) as opened:
        yield opened


def client_of(house: House, name: str = "mixed", **profile: Any) -> Any:
    if profile:
        house.server.set_profile(name, **profile)
    return house.open(futures(name))._client


class Told:
    """Stands for a call: answers by the kind of contract asked for, and keeps what was asked."""

    def __init__(self, **by_kind: list[Json]) -> None:
        self.by_kind = by_kind
        self.asked: list[Mapping[str, Any]] = []

    async def __call__(self, query: Mapping[str, Any]) -> Json:
        self.asked.append(dict(query))
        return {"code": "0", "msg": "", "data": self.by_kind.get(query.get("instType", "ANY"), [])}


# --- contracts ---


def a_contract(raw: str = "BTC-USDT-SWAP", **changes: Any) -> Json:
    told = {"instId": raw, "instType": "SWAP", "uly": "BTC-USDT", "settleCcy": "USDT", "ctType": "linear"}
    return {**told, "ctVal": "0.01", "ctMult": "1", "expTime": "", **changes}


async def instruments_of(house: House, *swaps: Json, futures: tuple[Json, ...] = ()) -> Mapping[str, Instrument]:
    client = client_of(house)
    client.publicGetPublicInstruments = Told(SWAP=list(swaps), FUTURES=list(futures))
    return await VENUE.read_instruments(client)


@pytest.mark.parametrize(
    ("row", "symbol", "size", "inverse"),
    [
        (a_contract(), "BTC/USDT:USDT", 0.01, False),
        (a_contract(ctMult="10"), "BTC/USDT:USDT", 0.1, False),
        (a_contract(ctMult=""), "BTC/USDT:USDT", 0.01, False),
        (a_contract(uly="BTC-USD", settleCcy="BTC", ctType="inverse", ctVal="100"), "BTC/USD:BTC", 100, True),
        (a_contract(uly="BTC-USD", settleCcy="USDC"), "BTC/USD:USDC", 0.01, False),
        (a_contract(instType="FUTURES", expTime="1798185600000"), "BTC/USDT:USDT-261225", 0.01, False),
    ],
    ids=["linear", "multiplied", "multiplier left out", "inverse", "settled in a stablecoin for dollars", "dated"],
)
async def test_a_contract_is_read_by_its_underlying_and_what_it_settles_in(
    house: House, row: Json, symbol: str, size: float, inverse: bool
) -> None:
    instrument = (await instruments_of(house, row))["BTC-USDT-SWAP"]
    assert (instrument.symbol, instrument.contract_size, instrument.inverse) == (symbol, size, inverse)


async def test_a_contract_not_told_whole_is_left_out_and_none_at_all_is_malformed(house: House) -> None:
    odd = (
        {"instId": "NEW-USDT-SWAP", "instType": "SWAP", "state": "preopen"},
        a_contract("A-USDT-SWAP", uly=""),
        a_contract("B-USDT-SWAP", uly="B"),
        a_contract("C-USDT-SWAP", ctVal="0"),
        a_contract("D-USDT-SWAP", ctType="quanto"),
        a_contract("E-USDT-261225", instType="FUTURES", expTime=""),
    )
    assert (await instruments_of(house, *odd, a_contract())).keys() == {"BTC-USDT-SWAP"}
    with pytest.raises(ReadError, match="no contract"):
        await instruments_of(house, *odd)


# --- marks ---


def a_mark(raw: str, kind: str, now_ms: int, price: str = "50000") -> Json:
    return {"instId": raw, "instType": kind, "markPx": price, "ts": str(now_ms)}


def a_payment(raw: str, **changes: Any) -> Json:
    told = {"instId": raw, "instType": "SWAP", "fundingRate": "0.0001", "fundingTime": "1798185600000"}
    return {**told, "nextFundingTime": "1798200000000", **changes}


DATED, XPERP, SWAP = "BTC-USDT-261225", "BTC-USD_UM_XPERP-310404", "BTC-USDT-SWAP"


async def marks_of(house: House, *payments: Json, price: str = "50000", age_s: int = 0) -> Mapping[str, Any]:
    client = client_of(house)
    listed = (a_contract(), *(a_contract(raw, instType="FUTURES", uly="X-USDT", expTime=ms) for raw, ms in EXPIRIES))
    instruments = await instruments_of(house, *listed)
    now_ms = client.milliseconds() - age_s * 1000
    dated = [a_mark(DATED, "FUTURES", now_ms), a_mark(XPERP, "FUTURES", now_ms)]
    client.publicGetPublicMarkPrice = Told(SWAP=[a_mark(SWAP, "SWAP", now_ms, price)], FUTURES=dated)
    client.publicGetPublicFundingRate = Told(ANY=list(payments))
    marks = await VENUE.read_marks(client, instruments, {})
    return {raw: marks[instrument.symbol] for raw, instrument in instruments.items()}


EXPIRIES = ((DATED, "1798185600000"), (XPERP, "1932940800000"))


async def test_a_dated_contract_pays_no_funding_and_a_perpetual_one_of_which_none_is_told_an_unknown_one(
    house: House,
) -> None:
    marks = await marks_of(house, a_payment(SWAP))
    assert (marks[SWAP].funding_rate, marks[SWAP].funding_interval) == (0.0001, timedelta(hours=4))
    assert (marks[DATED].funding_rate, marks[XPERP].funding_rate) == (0.0, None)
    marks = await marks_of(house, a_payment(XPERP))
    assert (marks[SWAP].funding_rate, marks[XPERP].funding_rate) == (None, 0.0001)


@pytest.mark.parametrize("odd", [{"fundingRate": "x"}, {"nextFundingTime": "1798185600000"}, {"fundingTime": "-"}])
async def test_a_row_that_is_not_sound_makes_its_own_mark_unknown_and_no_other(house: House, odd: Json) -> None:
    marks = await marks_of(house, a_payment(SWAP, **odd))
    assert marks[SWAP] is None
    assert marks[DATED].price == 50_000
    assert (await marks_of(house, price="0"))[SWAP] is None


async def test_marks_that_all_stand_still_are_not_taken(house: House) -> None:
    with pytest.raises(ReadError) as failure:
        await marks_of(house, age_s=61)
    assert failure.value.kind is FailureKind.IMPLAUSIBLE


# --- tiers ---


def a_tier(largest: str, rate: str, family: str = "BTC-USDT") -> Json:
    return {"instFamily": family, "maxSz": largest, "minSz": "0", "mmr": rate, "tier": "1"}


class ToldOfFamilies(Told):
    async def __call__(self, query: Mapping[str, Any]) -> Json:
        reply = await super().__call__(query)
        return {**reply, "data": [row for row in reply["data"] if row["instFamily"] in query["instFamily"].split(",")]}


async def test_tiers_are_asked_for_five_families_at_a_time_and_not_too_fast() -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    def named(number: int, kind: str) -> str:
        return f"C{number}-USDT-{kind}"

    raws = [named(number, "SWAP") for number in range(12)] + [named(0, "261225"), "C0-USD_UM_XPERP-310404"]
    instruments = {
        raw: Instrument(
            venue="okx", symbol=raw, base="C", quote="USDT", settle="USDT", contract_size=1.0, inverse=False
        )
        for raw in raws
    }
    tiers = ToldOfFamilies(SWAP=[a_tier("10", "0.004", "C3-USDT")], FUTURES=[a_tier("20", "0.01", "C0-USDT")])
    client = SimpleNamespace(
        shared=SimpleNamespace(clock=SimpleNamespace(sleep=sleep)),
        milliseconds=lambda: 0,
        publicGetPublicMarkPrice=Told(SWAP=[a_mark(raw, "SWAP", 1, "100") for raw in raws]),
        publicGetPublicPositionTiers=tiers,
    )
    held = {raw: instruments[raw] for raw in raws}
    read_as = await VENUE.read_tiers(client, instruments, held)
    families = [query["instFamily"].split(",") for query in tiers.asked]
    assert [len(asked) for asked in families] == [5, 5, 2, 1]
    assert [query["instType"] for query in tiers.asked] == ["SWAP"] * 3 + ["FUTURES"]
    assert waited == [okx.TIER_PAUSE_S] * 3
    (perpetual,), (dated,) = read_as["C3-USDT-SWAP"], read_as["C0-USDT-261225"]
    assert read_as.keys() == {"C3-USDT-SWAP", "C0-USDT-261225"}
    assert [perpetual.cap, dated.cap, perpetual.amount, dated.amount] == [1000, 2000, 0, 0]
    assert [perpetual.rate, dated.rate] == pytest.approx([0.0045, 0.0105])


async def test_nothing_held_asks_for_no_tiers() -> None:
    assert await VENUE.read_tiers(None, {}, {}) == {}


def test_tiers_that_cannot_be_are_malformed() -> None:
    instrument = Instrument(
        venue="okx", symbol="BTC/USD:BTC", base="BTC", quote="USD", settle="BTC", contract_size=100.0, inverse=True
    )
    listed = [a_tier("1000", "0.01"), a_tier("500", "0.004")]
    told = okx.tiers_of(listed, instrument, 50_000)
    assert [(tier.floor, tier.cap) for tier in told] == [(0, 1), (1, 2)]
    with pytest.raises(ReadError, match="listed twice"):
        okx.tiers_of([*listed, a_tier("500", "0.02")], instrument, 50_000)


# --- stop orders ---


def an_algo(number: int = 1, **changes: Any) -> Json:
    told = {
        "algoId": str(number),
        "instId": "BTC-USDT-SWAP",
        "instType": "SWAP",
        "ordType": "conditional",
        "side": "sell",
        "posSide": "net",
        "sz": "50",
        "closeFraction": "",
        "reduceOnly": "true",
        "slTriggerPx": "90000",
        "tpTriggerPx": "",
        "triggerPx": "",
        "moveTriggerPx": "",
        "callbackRatio": "",
        "activePx": "",
        "last": "116000",
    }
    return {**told, **changes}


def a_trigger(**changes: Any) -> Json:
    return an_algo(**{"ordType": "trigger", "slTriggerPx": "", "triggerPx": "90000", **changes})


def a_trail(**changes: Any) -> Json:
    return an_algo(**{"ordType": "move_order_stop", "slTriggerPx": "", "callbackRatio": "0.05", **changes})


LONG, SHORT = Side.LONG, Side.SHORT
STOP, TAKE_PROFIT, TRAILING = OrderKind.STOP, OrderKind.TAKE_PROFIT, OrderKind.TRAILING
Order = tuple[Side, OrderKind, float | None, float | None, float | None, bool]
ORDERS: tuple[tuple[Json, list[Order]], ...] = (
    (an_algo(), [(LONG, STOP, 90_000, None, 0.5, True)]),
    (an_algo(reduceOnly="false"), [(LONG, STOP, 90_000, None, 0.5, False)]),
    (an_algo(sz="", closeFraction="1"), [(LONG, STOP, 90_000, None, None, True)]),
    (an_algo(slTriggerPx="", tpTriggerPx="130000"), [(LONG, TAKE_PROFIT, 130_000, None, 0.5, True)]),
    (
        an_algo(ordType="oco", tpTriggerPx="130000"),
        [(LONG, STOP, 90_000, None, 0.5, True), (LONG, TAKE_PROFIT, 130_000, None, 0.5, True)],
    ),
    (an_algo(posSide="short", side="buy", reduceOnly="false"), [(SHORT, STOP, 90_000, None, 0.5, True)]),
    (an_algo(posSide="short", side="sell"), []),
    (an_algo(instType="SPOT", instId="BTC-USDT"), []),
    (a_trigger(), [(LONG, STOP, 90_000, None, 0.5, True)]),
    (a_trigger(triggerPx="130000"), [(LONG, TAKE_PROFIT, 130_000, None, 0.5, True)]),
    (a_trigger(side="buy"), [(SHORT, TAKE_PROFIT, 90_000, None, 0.5, True)]),
    (a_trigger(side="buy", triggerPx="130000"), [(SHORT, STOP, 130_000, None, 0.5, True)]),
    (a_trail(), [(LONG, TRAILING, None, 0.05, 0.5, True)]),
    (a_trail(moveTriggerPx="110000"), [(LONG, TRAILING, 110_000, 0.05, 0.5, True)]),
    (a_trail(callbackRatio="", callbackSpread="50"), [(LONG, TRAILING, None, None, 0.5, True)]),
    (
        an_algo(instId="BTC-USD-SWAP", slTriggerPx="100000", sz="100"),
        [(LONG, STOP, 100_000, None, 0.1, True)],
    ),
    (a_trail(instId="BTC-USD-SWAP", sz="116"), [(LONG, TRAILING, None, 0.05, 0.1, True)]),
)


async def orders_of(house: House, *rows: Json) -> list[Order]:
    client = client_of(house, algos=rows)
    instruments = await VENUE.read_instruments(client)
    orders = await VENUE.read_orders(client, instruments, SETTINGS)
    return [(o.side, o.kind, o.trigger_price, o.callback_rate, o.size, o.reduce_only) for o in orders]


@pytest.mark.parametrize(("row", "due"), ORDERS)
async def test_a_stop_order_is_read_as_what_it_closes(house: House, row: Json, due: list[Order]) -> None:
    assert await orders_of(house, row) == due


async def test_stop_orders_of_all_kinds_and_pages_are_read(house: House) -> None:
    many = [an_algo(number, sz=f"{number}00") for number in range(1, 251)]
    sizes = [size for *_, size, _ in await orders_of(house, *many, a_trigger(number=900), a_trail(number=901))]
    assert sizes == [*range(1, 251), 0.5, 0.5]


@pytest.mark.parametrize(
    "odd", [{"side": "hold"}, {"posSide": "both"}, {"sz": ""}, {"sz": "", "closeFraction": "0.5"}, {"posSide": ""}]
)
async def test_a_stop_order_in_odd_words_is_malformed(house: House, odd: Json) -> None:
    with pytest.raises(ReadError) as failure:
        await orders_of(house, an_algo(**odd))
    assert failure.value.kind is FailureKind.MALFORMED


async def test_pages_that_follow_themselves_or_never_end_are_malformed() -> None:
    same = Told(ANY=[{"algoId": "7"}] * okx.PAGE)
    with pytest.raises(ReadError, match="follows itself"):
        await okx.pages(same, {}, "algoId")

    class Endless(Told):
        async def __call__(self, query: Mapping[str, Any]) -> Json:
            start = int(query.get("after", 0))
            self.by_kind = {"ANY": [{"algoId": str(start + number)} for number in range(1, okx.PAGE + 1)]}
            return await super().__call__(query)

    with pytest.raises(ReadError, match="more than"):
        await okx.pages(Endless(), {}, "algoId")


# --- forced closes ---


def a_bill(at: datetime, kind: str, sub_kind: str, number: int = 1, **changes: Any) -> Json:
    told = {"billId": str(number), "instType": "SWAP", "instId": "BTC-USDT-SWAP", "sz": "30", "px": "100000"}
    return {**told, "type": kind, "subType": sub_kind, "ts": str(round(at.timestamp() * 1000)), **changes}


@pytest.mark.parametrize(
    ("kind", "sub_kinds", "due"),
    [
        ("5", ("100", "103", "104", "107"), (EndKind.LIQUIDATED, Side.LONG)),
        ("5", ("101", "102", "105", "106"), (EndKind.LIQUIDATED, Side.SHORT)),
        ("9", ("125", "128"), (EndKind.DELEVERAGED, Side.LONG)),
        ("9", ("126", "127"), (EndKind.DELEVERAGED, Side.SHORT)),
        ("5", ("110", "111"), None),
    ],
)
async def test_liquidations_and_deleveragings_are_told_by_the_venues_own_bills(
    house: House, clock: ShiftedClock, kind: str, sub_kinds: tuple[str, ...], due: tuple[EndKind, Side] | None
) -> None:
    now = clock.now().replace(microsecond=0)
    rows = [a_bill(now, kind, sub_kind, number) for number, sub_kind in enumerate(sub_kinds)]
    old = a_bill(now - timedelta(hours=3), kind, sub_kinds[0], 90)
    margin = a_bill(now, kind, sub_kinds[0], 91, instType="MARGIN", instId="BTC-USDT")
    client = client_of(house, bills=(*rows, old, margin))
    instruments = await VENUE.read_instruments(client)
    ends = await VENUE.read_ends(client, instruments, SETTINGS, now - timedelta(hours=1))
    expected = [] if due is None else [due] * len(rows)
    assert list(ends) == [
        End(instrument=instruments["BTC-USDT-SWAP"], side=side, kind=ended, at=now, contracts=30, price=100_000)
        for ended, side in expected
    ]


async def test_bills_are_asked_for_no_longer_than_they_are_kept(house: House, clock: ShiftedClock) -> None:
    client = client_of(house)
    bills = client.privateGetAccountBills = Told()
    await VENUE.read_ends(client, {}, SETTINGS, clock.now() - timedelta(days=400))
    begun = {int(query["begin"]) for query in bills.asked}
    oldest = (clock.now() - timedelta(days=7)).timestamp() * 1000
    assert len(begun) == 1
    assert oldest < min(begun) < oldest + 5 * 60_000


# --- keys ---


@pytest.mark.parametrize(
    ("config", "trades", "withdraws", "restricted", "notes"),
    [
        ({"perm": "read_only", "ip": "10.0.0.1"}, False, False, True, 0),
        ({"perm": "read_only", "ip": ""}, False, False, False, 0),
        ({"perm": "read_only,trade", "ip": "10.0.0.1,10.0.0.2"}, True, False, True, 1),
        ({"perm": "read_only,withdraw,trade", "ip": ""}, True, True, False, 2),
    ],
)
async def test_what_a_key_may_do_is_told(
    house: House, config: Json, trades: bool, withdraws: bool, restricted: bool, notes: int
) -> None:
    house.server.set_profile("mixed", config=config)
    facts = await house.open(futures("mixed")).key_facts()
    assert isinstance(facts, KeyFacts), facts
    assert (facts.may_trade, facts.may_withdraw, facts.ip_restricted) == (trades, withdraws, restricted)
    assert len(facts.notes) == notes
    assert facts.clock_ahead_s == pytest.approx(0, abs=5)


@pytest.mark.parametrize("config", [{"perm": ""}, {"perm": "read_only,lend"}, {"perm": None}, {"ip": None}])
async def test_rights_in_odd_words_are_no_rights(house: House, config: Json) -> None:
    house.server.set_profile("mixed", config=config)
    facts = await house.open(futures("mixed")).key_facts()
    assert isinstance(facts, PollFailure), facts
    assert facts.kind is FailureKind.MALFORMED
