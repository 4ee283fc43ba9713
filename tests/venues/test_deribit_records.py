"""Beside Deribit's accounts: futures, marks, stop orders, forced trades, keys."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from monitor.domain.account import End, EndKind, FailureKind, Instrument, OrderKind, PollFailure, Side
from monitor.exchange.failures import ReadError
from monitor.exchange.venues import deribit
from monitor.exchange.venues.deribit import VENUE
from monitor.exchange.venues.venue import KeyFacts, Mark
from monitor.paper.dialects.deribit import a_key
from monitor.paper.dialects.deribit_account import SEGREGATED_SM
from tests.reading import ShiftedClock
from tests.venues.deribit import DERIBIT_CASE, an_account
from tests.venues.kit import House, a_house, book_of

Json = dict[str, Any]
ALONE = an_account("coin", SEGREGATED_SM)


@pytest.fixture
def clock() -> ShiftedClock:
    return ShiftedClock()


@pytest.fixture
async def house(clock: ShiftedClock) -> AsyncIterator[House]:
    async with a_house(DERIBIT_CASE, clock, book_of(DERIBIT_CASE, clock.now())) as opened:
        yield opened


def client_of(house: House, **profile: Any) -> Any:
    if profile:
        house.server.set_profile("coin", **profile)
    return house.open(ALONE)._client


class Told:
    """Stands for a call: answers with each result in turn, the last one again and again, and keeps what was asked."""

    def __init__(self, *results: Any) -> None:
        self.results = list(results)
        self.asked: list[Mapping[str, Any]] = []

    async def __call__(self, query: Mapping[str, Any]) -> Json:
        self.asked.append(dict(query))
        return {"jsonrpc": "2.0", "result": self.results[min(len(self.asked), len(self.results)) - 1]}


# --- futures ---


def a_future(name: str = "BTC-PERPETUAL", **changes: Any) -> Json:
    told = {"instrument_name": name, "kind": "future", "settlement_period": "perpetual", "contract_size": 10}
    coins = {"base_currency": "BTC", "counter_currency": "USD", "settlement_currency": "BTC"}
    return {**told, **coins, "quote_currency": "USD", "expiration_timestamp": 32503708800000, **changes}


DATED = a_future("BTC-25DEC26", settlement_period="month", expiration_timestamp=1798185600000)
LINEAR = a_future("BTC_USDC-PERPETUAL", counter_currency="USDC", settlement_currency="USDC", contract_size=0.0001)


async def instruments_of(house: House, *rows: Json) -> Mapping[str, Instrument]:
    client = client_of(house)
    client.publicGetGetInstruments = Told(list(rows))
    return await VENUE.read_instruments(client)


@pytest.mark.parametrize(
    ("row", "symbol", "size", "inverse"),
    [
        (a_future(), "BTC/USD:BTC", 10, True),
        (LINEAR, "BTC/USDC:USDC", 0.0001, False),
        (DATED, "BTC/USD:BTC-261225", 10, True),
    ],
    ids=["inverse", "linear", "dated"],
)
async def test_a_future_is_read_by_its_currencies(
    house: House, row: Json, symbol: str, size: float, inverse: bool
) -> None:
    (instrument,) = (await instruments_of(house, row)).values()
    assert (instrument.symbol, instrument.contract_size, instrument.inverse) == (symbol, size, inverse)


async def test_what_is_no_future_or_not_told_whole_is_left_out_and_none_at_all_is_malformed(house: House) -> None:
    odd = (
        a_future("BTC-FS-25DEC26_PERP", kind="future_combo"),
        a_future("A-PERPETUAL", settlement_currency="ETH"),
        a_future("B-PERPETUAL", contract_size=0),
        a_future("C-PERPETUAL", base_currency=None),
        a_future("D-25DEC26", settlement_period="month", expiration_timestamp=0),
    )
    assert (await instruments_of(house, *odd, a_future())).keys() == {"BTC-PERPETUAL"}
    with pytest.raises(ReadError, match="no future"):
        await instruments_of(house, *odd)


# --- marks ---


def a_summary(now_ms: int, name: str = "BTC-PERPETUAL", **changes: Any) -> Json:
    told = {"instrument_name": name, "mark_price": 50_000, "current_funding": 0.0001, "funding_8h": 0.0005}
    return {**told, "creation_timestamp": now_ms - 2000, **changes}


async def marks_of(house: House, *rows: Json) -> Mapping[str, Mark | None]:
    instruments = await instruments_of(house, a_future(), DATED)
    client = client_of(house)
    client.publicGetGetBookSummaryByCurrency = Told(list(rows))
    marks = await VENUE.read_marks(client, instruments, {})
    return {raw: marks[instrument.symbol] for raw, instrument in instruments.items() if instrument.symbol in marks}


async def test_the_rate_of_now_is_read_for_eight_hours_and_a_dated_future_pays_none(
    house: House, clock: ShiftedClock
) -> None:
    now_ms = round(clock.now().timestamp() * 1000)
    marks = await marks_of(house, a_summary(now_ms), a_summary(now_ms, "BTC-25DEC26", mark_price=51_000))
    assert marks == {
        "BTC-PERPETUAL": Mark(price=50_000, funding_rate=0.0001, funding_interval=timedelta(hours=8)),
        "BTC-25DEC26": Mark(price=51_000, funding_rate=0.0),
    }


@pytest.mark.parametrize("odd", [{"mark_price": 0}, {"mark_price": None}, {"current_funding": "x"}])
async def test_a_row_that_is_not_sound_makes_its_own_mark_unknown_and_no_other(
    house: House, clock: ShiftedClock, odd: Json
) -> None:
    now_ms = round(clock.now().timestamp() * 1000)
    marks = await marks_of(house, a_summary(now_ms, **odd), a_summary(now_ms, "BTC-25DEC26"))
    assert marks["BTC-PERPETUAL"] is None
    assert marks["BTC-25DEC26"] is not None


async def test_marks_that_all_stand_still_are_not_taken_and_none_at_all_are_malformed(
    house: House, clock: ShiftedClock
) -> None:
    with pytest.raises(ReadError, match="stand still") as failure:
        await marks_of(house, a_summary(round(clock.now().timestamp() * 1000) - 60_000))
    assert failure.value.kind is FailureKind.IMPLAUSIBLE
    with pytest.raises(ReadError, match="lists no future"):
        await marks_of(house)


async def test_marks_are_asked_for_by_the_currencies_that_futures_settle_in(house: House) -> None:
    client = client_of(house)
    instruments = await VENUE.read_instruments(client)
    summaries = client.publicGetGetBookSummaryByCurrency = Told([])
    with pytest.raises(ReadError):
        await VENUE.read_marks(client, instruments, {})
    assert [query["currency"] for query in summaries.asked] == ["BTC", "ETH", "USDC", "USDT"]


# --- stop orders ---


def an_order(**changes: Any) -> Json:
    told = {
        "order_id": "ETH-OTO-1",
        "order_state": "untriggered",
        "order_type": "stop_market",
        "instrument_name": "ETH-PERPETUAL",
        "direction": "sell",
        "amount": 1800,
        "trigger": "mark_price",
        "trigger_price": 3600,
        "reduce_only": True,
    }
    return {**told, **changes}


LONG, SHORT = Side.LONG, Side.SHORT
Order = tuple[Side, OrderKind, float | None, float | None, float | None, bool]
ORDERS: tuple[tuple[Json, list[Order]], ...] = (
    (an_order(), [(LONG, OrderKind.STOP, 3600, None, 0.5, True)]),
    (an_order(order_type="stop_limit", price=3500), [(LONG, OrderKind.STOP, 3600, None, 0.5, True)]),
    (an_order(reduce_only=False), [(LONG, OrderKind.STOP, 3600, None, 0.5, False)]),
    (an_order(direction="buy"), [(SHORT, OrderKind.STOP, 3600, None, 0.5, True)]),
    (an_order(order_type="take_market"), [(LONG, OrderKind.TAKE_PROFIT, 3600, None, 0.5, True)]),
    (an_order(order_type="take_limit"), [(LONG, OrderKind.TAKE_PROFIT, 3600, None, 0.5, True)]),
    (
        an_order(order_type="trailing_stop", trigger_offset=50),
        [(LONG, OrderKind.TRAILING, 3600, None, 0.5, True)],
    ),
    (
        an_order(order_type="trailing_stop", trigger_price=None, trigger_reference_price=4000),
        [(LONG, OrderKind.TRAILING, None, None, 0.45, True)],
    ),
    (
        an_order(instrument_name="BTC_USDC-PERPETUAL", amount=0.25, trigger_price=90_000),
        [(LONG, OrderKind.STOP, 90_000, None, 0.25, True)],
    ),
    (an_order(is_secondary_oto=True), []),
)


async def orders_of(house: House, *rows: Json) -> list[Order]:
    client = client_of(house, orders=rows)
    settings = await VENUE.read_settings(client)
    orders = await VENUE.read_orders(client, await VENUE.read_instruments(client), settings)
    return [(o.side, o.kind, o.trigger_price, o.callback_rate, o.size, o.reduce_only) for o in orders]


@pytest.mark.parametrize(("row", "due"), ORDERS)
async def test_a_stop_order_is_read_as_what_it_closes(house: House, row: Json, due: list[Order]) -> None:
    assert await orders_of(house, row) == due


@pytest.mark.parametrize(
    "odd",
    [
        {"direction": "hold"},
        {"amount": 0},
        {"order_type": "limit"},
        {"trigger_price": None},
        {"order_type": "trailing_stop", "trigger_price": None},
        {"reduce_only": None},
    ],
)
async def test_a_stop_order_in_odd_words_is_malformed(house: House, odd: Json) -> None:
    with pytest.raises(ReadError) as failure:
        await orders_of(house, an_order(**odd))
    assert failure.value.kind is FailureKind.MALFORMED


# --- forced trades ---


def a_trade(at: datetime, number: int = 1, **changes: Any) -> Json:
    told = {
        "trade_id": f"ETH-{number}",
        "instrument_name": "ETH-PERPETUAL",
        "timestamp": round(at.timestamp() * 1000),
        "direction": "sell",
        "amount": 300,
        "price": 3500.5,
        "liquidity": "T",
        "liquidation": "T",
    }
    return {**told, **changes}


async def ends_of(house: House, since: datetime, *rows: Json) -> list[End]:
    client = client_of(house, trades=rows)
    instruments = await VENUE.read_instruments(client)
    return list(await VENUE.read_ends(client, instruments, await VENUE.read_settings(client), since))


@pytest.mark.parametrize(
    ("changes", "side"),
    [
        ({}, LONG),
        ({"direction": "buy"}, SHORT),
        ({"liquidation": "MT"}, LONG),
        ({"liquidation": "M", "liquidity": "M"}, LONG),
        ({"liquidation": "M"}, None),
        ({"liquidity": "M"}, None),
        ({"liquidation": None}, None),
    ],
    ids=["taker", "of a short", "both", "maker", "of the other", "of the other", "a trade of one's own"],
)
async def test_a_liquidation_is_a_trade_in_which_this_users_order_was_the_forced_one(
    house: House, clock: ShiftedClock, changes: Json, side: Side | None
) -> None:
    now = clock.now().replace(microsecond=0)
    old = a_trade(now - timedelta(hours=3), 2)
    ends = await ends_of(house, now - timedelta(hours=1), a_trade(now, **changes), old)
    told = [(end.instrument.symbol, end.side, end.kind, end.at, end.contracts, end.price) for end in ends]
    due = [] if side is None else [("ETH/USD:ETH", side, EndKind.LIQUIDATED, now, 300, 3500.5)]
    assert told == due


async def test_trades_of_all_currencies_and_pages_are_read(house: House, clock: ShiftedClock) -> None:
    now = clock.now().replace(microsecond=0)
    many = [a_trade(now - timedelta(milliseconds=number // 3), number) for number in range(2500)]
    linear = a_trade(now, 9000, instrument_name="BTC_USDC-PERPETUAL", amount=0.5)
    ends = await ends_of(house, now - timedelta(hours=1), *many, linear)
    assert [end.contracts for end in ends] == [*[300] * 2500, pytest.approx(5000)]


async def test_trades_of_a_day_ago_are_asked_for_as_historical_ones(house: House, clock: ShiftedClock) -> None:
    now = clock.now().replace(microsecond=0)
    ago = a_trade(now - timedelta(days=3))
    assert len(await ends_of(house, now - timedelta(days=4), ago)) == 1


@pytest.mark.parametrize("odd", [{"liquidation": "X"}, {"liquidity": None}, {"liquidation": True}, {"amount": 0}])
async def test_a_forced_trade_in_odd_words_is_malformed(house: House, clock: ShiftedClock, odd: Json) -> None:
    now = clock.now()
    with pytest.raises(ReadError) as failure:
        await ends_of(house, now - timedelta(hours=1), a_trade(now, **odd))
    assert failure.value.kind is FailureKind.MALFORMED


async def test_pages_of_trades_that_follow_themselves_or_never_end_are_malformed() -> None:
    class Endless(Told):
        async def __call__(self, query: Mapping[str, Any]) -> Json:
            row = {"trade_id": str(len(self.asked)), "timestamp": query["start_timestamp"] + 1}
            self.results = [{"trades": [row], "has_more": True}]
            return await super().__call__(query)

    same = Told({"trades": [{"trade_id": "1", "timestamp": 5}], "has_more": True})
    for call in (same, Told({"trades": [], "has_more": True})):
        with pytest.raises(ReadError, match="follows itself"):
            await deribit.trades(call, {"start_timestamp": 5})
    with pytest.raises(ReadError, match="more than"):
        await deribit.trades(Endless(), {"start_timestamp": 5})


# --- keys ---


@pytest.mark.parametrize(
    ("changes", "trades", "withdraws", "restricted", "notes"),
    [
        ({}, False, False, True, 0),
        ({"max_scope": ["account:read", "trade:read", "wallet:read"]}, False, False, True, 0),
        ({"ip_whitelist": []}, False, False, False, 0),
        ({"ip_whitelist": None}, False, False, None, 0),
        ({"max_scope": "account:read trade:read_write"}, True, False, True, 0),
        ({"max_scope": "account:read trade:read block_rfq:read_write"}, True, False, True, 0),
        ({"max_scope": "account:read trade:read wallet:read_write mainaccount"}, False, True, True, 0),
        ({"max_scope": "account:read custody:read_write"}, False, True, True, 0),
        ({"max_scope": "account:read_write trade:read"}, True, False, True, 1),
        ({"max_scope": "account:read lending:read_write expires:3600"}, False, False, True, 1),
    ],
)
async def test_what_a_key_may_do_is_told(
    house: House, changes: Json, trades: bool, withdraws: bool, restricted: bool | None, notes: int
) -> None:
    house.server.set_profile(
        "coin", keys=(a_key("another", max_scope="wallet:read_write"), a_key("coin-key", **changes))
    )
    facts = await house.open(ALONE).key_facts()
    assert isinstance(facts, KeyFacts), facts
    assert (facts.may_trade, facts.may_withdraw, facts.ip_restricted) == (trades, withdraws, restricted)
    assert len(facts.notes) == notes
    assert facts.clock_ahead_s == pytest.approx(0, abs=5)


@pytest.mark.parametrize(
    "keys",
    [
        (),
        (a_key("another"),),
        (a_key("coin-key"), a_key("coin-key")),
        *((a_key("coin-key", max_scope=scope),) for scope in ("", None, [], [1], "trade:all")),
    ],
)
async def test_rights_in_odd_words_are_no_rights(house: House, keys: tuple[Json, ...]) -> None:
    house.server.set_profile("coin", keys=keys)
    facts = await house.open(ALONE).key_facts()
    assert isinstance(facts, PollFailure), facts
    assert facts.kind is FailureKind.MALFORMED
