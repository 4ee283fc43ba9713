"""The reader of any other venue: no figure it cannot vouch for, and no flat account out of a broken reply."""

from datetime import timedelta
from typing import Any

import pytest

from monitor.domain.account import FailureKind, Position, PriceOrigin, Side
from monitor.domain.study import Frame
from monitor.exchange.failures import ReadError
from monitor.exchange.registry import coverage, is_venue, venue_of
from monitor.exchange.venues.generic import GenericVenue
from monitor.exchange.venues.generic_tables import ENVELOPES
from monitor.exchange.venues.venue import AccountReading, AccountSettings
from monitor.paper.formats import milliseconds
from tests.builders import NOON, an_instrument

LISTED = {"BTC/USDT:USDT": an_instrument(contract_size=0.01), "BTC/USD:BTC": an_instrument("BTC/USD:BTC")}
BTC = LISTED["BTC/USDT:USDT"]
BALANCE = {"used": {"USDT": 12.5, "BTC": None}}


def a_row(info: Any = None, **changes: Any) -> dict[str, Any]:
    given = {
        "symbol": "BTC/USDT:USDT",
        "side": "long",
        "contracts": 300.0,
        "markPrice": 100.0,
        "entryPrice": 90.0,
        "liquidationPrice": 60.0,
        "maintenanceMargin": 1.5,
        "leverage": 5.0,
        "marginMode": "cross",
        "notional": 270.0,
    }
    row = {**given, **changes}
    told = {"liqPrice": "60.0", "lever": "5"} if info is None else info
    return {**row, "info": {"pos": row["contracts"], "mark": row["markPrice"], **told}}


def parsed(*rows: Any, venue: str = "okx", replies: Any = None, rates: Any = None) -> AccountReading:
    raw = (list(rows), [{"data": []}] if replies is None else replies, BALANCE, rates or {})
    return GenericVenue(id=venue).parse_account(raw, LISTED, AccountSettings())


def only(reading: AccountReading) -> Position:
    assert len(reading.positions) == 1
    return reading.positions[0]


def test_size_and_notional_are_computed_from_contracts_and_mark() -> None:
    position = only(parsed(a_row(contracts=-300.0, side="short")))
    assert (position.side, position.contracts, position.size, position.notional) == (Side.SHORT, 300, 3, 300)
    inverse = only(parsed(a_row(symbol="BTC/USD:BTC", contracts=2.0, markPrice=50.0)))
    assert (inverse.size, inverse.notional, inverse.pool) == (4, 4, "account:BTC")


def test_what_the_raw_reply_holds_is_the_venues_and_what_ccxt_computed_is_left_out() -> None:
    position = only(parsed(a_row()))
    assert (position.liquidation_price, position.liquidation_price_origin) == (60, PriceOrigin.VENUE)
    assert (position.leverage, position.maintenance_margin) == (5, None)


@pytest.mark.parametrize(
    ("price", "info"),
    [
        (3284.95, {"liqPrice": "0"}),
        (60.0, {}),
        (0.0, {"liqPrice": "0"}),
        (-5.0, {"liqPrice": "-5"}),
        (1e6, {"liqPrice": "1000000"}),
        (None, {"liqPrice": ""}),
    ],
)
def test_an_invented_or_absurd_liquidation_price_is_unknown(price: float | None, info: Any) -> None:
    position = only(parsed(a_row(info={} if info is None else info, liquidationPrice=price)))
    assert (position.liquidation_price, position.liquidation_price_origin) == (None, PriceOrigin.UNKNOWN)


def test_equity_and_margin_ratio_are_unknown_and_not_zero() -> None:
    reading = parsed(a_row())
    (margin,) = reading.margins
    assert (margin.pool, margin.equity, margin.maintenance_margin, margin.margin_ratio) == (
        "account:USDT",
        None,
        None,
        None,
    )
    assert reading.margin_in_use == 12.5


def test_a_mark_that_positions_lack_is_taken_from_the_funding_rates() -> None:
    rates = {"BTC/USDT:USDT": {"markPrice": 110.0, "info": {"markPx": "110"}}}
    assert only(parsed(a_row(markPrice=None), rates=rates)).mark_price == 110
    assert only(parsed(a_row({"mark": "", "notional": "270"}, markPrice=90.0), rates=rates)).mark_price == 110
    # ccxt worked it out, and another member of the row holds the same number by chance.
    assert only(parsed(a_row({"mark": "", "lever": "90"}, markPrice=90.0), rates=rates)).mark_price == 110
    with pytest.raises(ReadError) as failure:
        parsed(a_row(markPrice=None))
    assert failure.value.kind is FailureKind.UNSUPPORTED


def test_a_mark_of_another_contract_is_seen_by_what_the_venue_says_the_position_is_worth() -> None:
    rates = {"BTC/USDT:USDT": {"markPrice": 4000.0, "info": {"markPx": "4000"}}}
    with pytest.raises(ReadError) as failure:
        parsed(a_row({"worth": "300"}, markPrice=None, notional=300.0), rates=rates)
    assert failure.value.kind is FailureKind.IMPLAUSIBLE


@pytest.mark.parametrize(
    "changes",
    [
        {"contracts": None},
        {"contracts": "many"},
        {"side": None},
        {"side": "zero"},
        {"markPrice": float("nan")},
        {"symbol": "NEW/USDT:USDT"},
        {"symbol": None},
    ],
)
def test_a_strange_row_is_malformed_and_never_left_out(changes: dict[str, Any]) -> None:
    with pytest.raises(ReadError) as failure:
        parsed(a_row(**changes))
    assert failure.value.kind is FailureKind.MALFORMED


@pytest.mark.parametrize("used", [float("nan"), float("inf"), "abc", True])
def test_a_margin_in_use_that_is_no_number_is_malformed_and_no_sign_of_a_flat_account(used: Any) -> None:
    with pytest.raises(ReadError) as failure:
        GenericVenue(id="okx").parse_account(
            ([], [{"data": []}], {"used": {"USDT": used}}, {}), LISTED, AccountSettings()
        )
    assert failure.value.kind is FailureKind.MALFORMED


def test_only_numbers_as_json_writes_them_vouch_for_a_figure() -> None:
    position = only(parsed(a_row({"lever": "5_0", "liqPrice": " 60.0 "}, leverage=50.0)))
    assert (position.leverage, position.liquidation_price) == (None, None)


def test_rows_without_contracts_are_no_positions() -> None:
    assert parsed(a_row(contracts=0.0), a_row(contracts=0)).positions == ()


def nested(place: str, leaf: Any) -> Any:
    for key in reversed(place.split(".") if place else []):
        leaf = {key: leaf}
    return leaf


@pytest.mark.parametrize("venue", sorted(ENVELOPES))
def test_an_empty_list_in_its_place_is_a_flat_account(venue: str) -> None:
    for place in ENVELOPES[venue]:
        assert parsed(venue=venue, replies=[nested(place, [])]).positions == ()


@pytest.mark.parametrize("venue", sorted(ENVELOPES))
def test_a_reply_without_its_list_is_no_flat_account(venue: str) -> None:
    spoilt = [
        [],
        [{}],
        [{"code": "0", "msg": "ok"}],
        [{"result": {}}],
        [{"data": {}}],
        [{"data": None}],
        [nested("x.y", [])],
    ]
    for replies in spoilt:
        with pytest.raises(ReadError) as failure:
            parsed(venue=venue, replies=replies)
        assert failure.value.kind is FailureKind.MALFORMED


def test_coverage_says_what_is_exact_and_what_is_not() -> None:
    assert any("venue's own" in sentence for sentence in coverage("binanceusdm"))
    assert any("margin ratio are unknown" in sentence for sentence in coverage("bybitid"))
    assert any("USDT" in sentence for sentence in coverage("bybitid"))
    assert any("cannot be told from a broken reply" in sentence for sentence in coverage("xt"))


class Unified:
    """As much of a ccxt class as candles and books are asked of; `told` is what it answers."""

    def __init__(self, told: Any, **has: bool) -> None:
        self.told = told
        self.has = {"fetchOHLCV": True, "fetchOrderBook": True, **has}
        self.timeframes = {"1h": "60", "1d": "D"}

    def milliseconds(self) -> int:
        return milliseconds(NOON)

    async def fetch_ohlcv(self, *_: Any) -> Any:
        return self.told

    async def fetch_order_book(self, *_: Any) -> Any:
        return self.told


NOON_MS, HOUR_MS = milliseconds(NOON), 3_600_000
BARS = [[NOON_MS - HOUR_MS, 100.0, 110.0, 90.0, 105.0, 7.0], [NOON_MS, 105.0, 106.0, 104.0, 105.5, None]]


async def test_candles_come_by_the_unified_call_whatever_their_volume() -> None:
    found = await GenericVenue(id="htx").read_candles(Unified(BARS), "BTC/USDT:USDT", BTC, Frame.HOUR, 100)
    assert [(candle.at, candle.open, candle.close) for candle in found] == [
        (NOON - timedelta(hours=1), 100.0, 105.0),
        (NOON, 105.0, 105.5),
    ]


@pytest.mark.parametrize(
    ("symbol", "size"), [("BTC/USDT:USDT", 3 * 0.01), ("BTC/USD:BTC", 3 * 100 / 99.0)], ids=["linear", "inverse"]
)
async def test_a_book_comes_by_the_unified_call_its_contracts_made_base_units(symbol: str, size: float) -> None:
    told = {"bids": [[99.0, 3.0, 1]], "asks": [[101.0, 2.0]], "timestamp": None}
    book = await GenericVenue(id="htx").read_book(Unified(told), symbol, LISTED[symbol])
    (bid,) = book.bids
    assert bid.price == 99.0
    assert bid.size == pytest.approx(size)
    assert [level.price for level in book.asks] == [101.0]


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        (None, FailureKind.MALFORMED),
        ([], FailureKind.MALFORMED),
        ({}, FailureKind.MALFORMED),
        ([[NOON_MS, None, 1.0, 1.0, 1.0]], FailureKind.MALFORMED),
        ([[NOON_MS, 100.0, 99.0, 98.0, 100.0]], FailureKind.MALFORMED),
        ([[NOON_MS, *[100.0] * 4], [NOON_MS - HOUR_MS, *[100.0] * 5]], FailureKind.MALFORMED),
        ([[NOON_MS - 100 * HOUR_MS, 100.0, 101.0, 99.0, 100.0]], FailureKind.IMPLAUSIBLE),
        ({"bids": [[99.0, 1.0]], "asks": None}, FailureKind.MALFORMED),
        ({"bids": [[99.0, None]], "asks": []}, FailureKind.MALFORMED),
        ({"bids": [[99.0, 1.0]], "asks": [], "timestamp": NOON_MS - HOUR_MS}, FailureKind.IMPLAUSIBLE),
    ],
)
async def test_candles_and_books_that_are_not_sound_are_refused(told: Any, kind: FailureKind) -> None:
    venue, client = GenericVenue(id="htx"), Unified(told)
    read = venue.read_book if isinstance(told, dict) else venue.read_candles
    with pytest.raises(ReadError) as failure:
        await read(client, "BTC/USDT:USDT", BTC, *(() if isinstance(told, dict) else (Frame.HOUR, 100)))
    assert failure.value.kind is kind


async def test_a_venue_without_these_calls_is_not_asked() -> None:
    venue, without = GenericVenue(id="htx"), Unified([], fetchOHLCV=False, fetchOrderBook=False)
    for read in (venue.read_candles(without, "X", BTC, Frame.DAY, 9), venue.read_book(without, "X", BTC)):
        with pytest.raises(ReadError) as failure:
            await read
        assert failure.value.kind is FailureKind.UNSUPPORTED


def test_only_what_ccxt_knows_is_a_venue() -> None:
    assert is_venue("binanceusdm")
    assert is_venue("hyperliquid")
    assert not is_venue("bitmex")
    assert not is_venue("Exchange")
    with pytest.raises(ValueError, match="knows no exchange 'nasdaq'"):
        venue_of("nasdaq")
