"""What rests and what was taken at Binance: each dialect of its stop orders, and its forced orders."""

# ruff: noqa: F401, F811 - fixtures are imported, and named again as parameters

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from monitor.domain.account import End, EndKind, FailureKind, OrderKind, Side, StopOrder
from monitor.exchange.failures import ReadError
from monitor.exchange.venues import binancecoinm, binanceusdm
from monitor.exchange.venues.binance import PORTFOLIO_MARGIN, BinanceVenue
from monitor.exchange.venues.venue import AccountSettings
from tests.reading import ShiftedClock
from tests.venues.kit import AccountCase, House
from tests.venues.test_binance import clock, house, opened

SINGLE = f"{binanceusdm.SINGLE}, one-way"

# --- stop orders ---


def an_algo_order(**changes: Any) -> dict[str, Any]:
    """As openAlgoOrders lists it."""
    given = {
        "algoId": 2148627,
        "algoType": "CONDITIONAL",
        "orderType": "STOP_MARKET",
        "symbol": "BTCUSDT",
        "side": "SELL",
        "positionSide": "BOTH",
        "quantity": "0.5",
        "triggerPrice": "90000.000",
        "closePosition": False,
        "reduceOnly": True,
    }
    return {**given, **changes}


def a_book_order(**changes: Any) -> dict[str, Any]:
    """As openOrders lists it."""
    given = {
        "orderId": 1917641,
        "type": "STOP",
        "symbol": "BTCUSD_PERP",
        "side": "BUY",
        "positionSide": "BOTH",
        "origQty": "90",
        "executedQty": "0",
        "stopPrice": "120000",
        "closePosition": False,
        "reduceOnly": True,
    }
    return {**given, **changes}


def a_strategy(**changes: Any) -> dict[str, Any]:
    """As papi's cm/conditional/openOrders lists it."""
    given = {
        "strategyId": 123445,
        "strategyType": "TAKE_PROFIT_MARKET",
        "symbol": "BTCUSD_PERP",
        "side": "BUY",
        "positionSide": "SHORT",
        "origQty": "100",
        "stopPrice": "100000",
        "reduceOnly": False,
    }
    return {**given, **changes}


TRAILING = {"orderType": "TRAILING_STOP_MARKET", "activatePrice": "118000", "callbackRate": "0.3"}
# Where each dialect is spoken: venue, mode of the account, path.
Where = tuple[BinanceVenue, str, str]
ALGO: Where = (binanceusdm.VENUE, SINGLE, "/fapi/v1/openAlgoOrders")
BOOK: Where = (binanceusdm.VENUE, SINGLE, "/fapi/v1/openOrders")
COIN_ALGO: Where = (binancecoinm.VENUE, binancecoinm.CLASSIC, "/dapi/v1/openAlgoOrders")
COIN_BOOK: Where = (binancecoinm.VENUE, binancecoinm.CLASSIC, "/dapi/v1/openOrders")
UM_ALGO: Where = (binanceusdm.VENUE, PORTFOLIO_MARGIN, "/papi/v1/um/algo/openAlgoOrders")
CM_CONDITIONAL: Where = (binanceusdm.VENUE, PORTFOLIO_MARGIN, "/papi/v1/cm/conditional/openOrders")
STOPS: tuple[tuple[Where, dict[str, Any], tuple[Any, ...] | None], ...] = (
    (
        ALGO,
        an_algo_order(),
        (Side.LONG, OrderKind.STOP, 90_000, None, 0.5, True),
    ),
    (
        ALGO,
        an_algo_order(orderType="TAKE_PROFIT", side="BUY", closePosition=True, reduceOnly=False, quantity="0"),
        (Side.SHORT, OrderKind.TAKE_PROFIT, 90_000, None, None, True),
    ),
    (
        ALGO,
        an_algo_order(**TRAILING),
        (Side.LONG, OrderKind.TRAILING, 118_000, pytest.approx(0.003), 0.5, True),
    ),
    (
        ALGO,
        an_algo_order(positionSide="LONG", reduceOnly=False),
        (Side.LONG, OrderKind.STOP, 90_000, None, 0.5, True),
    ),
    (ALGO, an_algo_order(positionSide="SHORT"), None),
    (
        ALGO,
        an_algo_order(reduceOnly=False),
        (Side.LONG, OrderKind.STOP, 90_000, None, 0.5, False),
    ),
    (
        BOOK,
        a_book_order(symbol="BTCUSDT", origQty="0.5", executedQty="0.2"),
        (Side.SHORT, OrderKind.STOP, 120_000, None, pytest.approx(0.3), True),
    ),
    (BOOK, a_book_order(symbol="BTCUSDT", type="LIMIT"), None),
    (
        COIN_BOOK,
        a_book_order(),
        (Side.SHORT, OrderKind.STOP, 120_000, None, pytest.approx(0.075), True),
    ),
    (
        COIN_ALGO,
        an_algo_order(symbol="ETHUSD_PERP", quantity="40", triggerPrice="4000"),
        (Side.LONG, OrderKind.STOP, 4_000, None, 1.0, True),
    ),
    (
        UM_ALGO,
        an_algo_order(),
        (Side.LONG, OrderKind.STOP, 90_000, None, 0.5, True),
    ),
    (
        CM_CONDITIONAL,
        a_strategy(),
        (Side.SHORT, OrderKind.TAKE_PROFIT, 100_000, None, 0.1, True),
    ),
    (
        CM_CONDITIONAL,
        a_strategy(strategyType="TRAILING_STOP_MARKET", activatePrice="125000", priceRate="1"),
        (Side.SHORT, OrderKind.TRAILING, 125_000, 0.01, 0.08, True),
    ),
)


async def orders_of(house: House, where: Where, row: dict[str, Any]) -> list[StopOrder]:
    venue, mode, path = where
    profile = {"listed": {path: (row,)}, "portfolio_margin": mode == PORTFOLIO_MARGIN}
    case = AccountCase(account="mixed", name="mixed", pools=lambda _engine, _owner: (), profile=profile)
    client = house.open(case, venue=venue.id)._client
    return list(await venue.read_orders(client, await venue.read_instruments(client), AccountSettings(mode=mode)))


@pytest.mark.parametrize(("where", "row", "due"), STOPS)
async def test_a_stop_order_is_read_in_each_of_binances_words_for_it(
    house: House, where: Where, row: dict[str, Any], due: tuple[Any, ...] | None
) -> None:
    orders = await orders_of(house, where, row)
    told = [(o.side, o.kind, o.trigger_price, o.callback_rate, o.size, o.reduce_only) for o in orders]
    assert told == ([] if due is None else [due])


@pytest.mark.parametrize(
    "row",
    [
        an_algo_order(side="HOLD"),
        an_algo_order(reduceOnly="maybe"),
        an_algo_order(quantity="-1"),
        an_algo_order(symbol="XYZUSDT"),
        a_book_order(stopPrice="0"),
    ],
)
async def test_a_stop_order_in_strange_words_is_told_as_a_failure(house: House, row: dict[str, Any]) -> None:
    with pytest.raises(ReadError) as refused:
        await orders_of(house, ALGO, row)
    assert refused.value.kind is FailureKind.MALFORMED


# --- ends ---


def a_forced_order(at_ms: int, number: int = 1, **changes: Any) -> dict[str, Any]:
    given = {
        "orderId": number,
        "symbol": "BTCUSDT",
        "status": "FILLED",
        "clientOrderId": "autoclose-1596107620040000020",
        "avgPrice": "10913.21000",
        "executedQty": "0.001",
        "side": "SELL",
        "positionSide": "BOTH",
        "time": at_ms,
    }
    return {**given, **changes}


async def ends_of(house: House, clock: ShiftedClock, mode: str, listed: Mapping[str, tuple[Any, ...]]) -> list[End]:
    client = opened(house, listed=listed, portfolio_margin=mode == PORTFOLIO_MARGIN)._client
    venue = binanceusdm.VENUE
    since = clock.now() - timedelta(hours=1)
    return list(await venue.read_ends(client, await venue.read_instruments(client), AccountSettings(mode=mode), since))


async def test_liquidations_and_deleveragings_are_told_by_the_names_of_forced_orders(
    house: House, clock: ShiftedClock
) -> None:
    now_ms = round(clock.now().timestamp()) * 1000
    rows = (
        a_forced_order(now_ms),
        a_forced_order(now_ms, 2, clientOrderId="adl_autoclose", side="BUY", symbol="ETHUSDT"),
        a_forced_order(now_ms, 3, clientOrderId="settlement_autoclose-1"),
        a_forced_order(now_ms, 4, executedQty="0"),
        a_forced_order(now_ms, 5, symbol="GONEUSDT"),
        a_forced_order(now_ms - 2 * 3_600_000, 6),
    )
    told = await ends_of(house, clock, SINGLE, {"/fapi/v1/forceOrders": rows})
    assert [(e.instrument.symbol, e.side, e.kind, e.contracts, e.price) for e in told] == [
        ("BTC/USDT:USDT", Side.LONG, EndKind.LIQUIDATED, 0.001, 10913.21),
        ("ETH/USDT:USDT", Side.SHORT, EndKind.DELEVERAGED, 0.001, 10913.21),
    ]
    assert {e.at.timestamp() * 1000 for e in told} == {now_ms}


async def test_forced_orders_of_a_portfolio_are_those_of_both_exchanges(house: House, clock: ShiftedClock) -> None:
    now_ms = round(clock.now().timestamp()) * 1000
    listed = {
        "/papi/v1/um/forceOrders": (a_forced_order(now_ms),),
        "/papi/v1/cm/forceOrders": (a_forced_order(now_ms, symbol="BTCUSD_PERP"),),
    }
    told = await ends_of(house, clock, PORTFOLIO_MARGIN, listed)
    assert [e.instrument.symbol for e in told] == ["BTC/USDT:USDT", "BTC/USD:BTC"]


@pytest.mark.parametrize("count", [100, 250])
async def test_forced_orders_on_further_pages_are_read(house: House, clock: ShiftedClock, count: int) -> None:
    now_ms = round(clock.now().timestamp()) * 1000
    rows = tuple(a_forced_order(now_ms + number // 3, number) for number in range(count))
    assert len(await ends_of(house, clock, SINGLE, {"/fapi/v1/forceOrders": rows})) == count


@pytest.mark.parametrize("apart_ms", [0, 1])
async def test_forced_orders_without_end_are_not_cut_short_in_silence(
    house: House, clock: ShiftedClock, apart_ms: int
) -> None:
    now_ms = round(clock.now().timestamp()) * 1000
    rows = tuple(a_forced_order(now_ms + number * apart_ms, number) for number in range(1200))
    with pytest.raises(ReadError, match="no end"):
        await ends_of(house, clock, SINGLE, {"/fapi/v1/forceOrders": rows})
