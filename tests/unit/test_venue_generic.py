"""The reader of any other venue: no figure it cannot vouch for, and no flat account out of a broken reply."""

from typing import Any

import pytest

from monitor.domain.account import FailureKind, Position, PriceOrigin, Side
from monitor.exchange.failures import ReadError
from monitor.exchange.registry import coverage, is_venue, venue_of
from monitor.exchange.venues.generic import GenericVenue
from monitor.exchange.venues.generic_tables import ENVELOPES
from monitor.exchange.venues.venue import AccountReading, AccountSettings
from tests.builders import an_instrument

LISTED = {"BTC/USDT:USDT": an_instrument(contract_size=0.01), "BTC/USD:BTC": an_instrument("BTC/USD:BTC")}
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


def test_only_what_ccxt_knows_is_a_venue() -> None:
    assert is_venue("binanceusdm")
    assert is_venue("hyperliquid")
    assert not is_venue("bitmex")
    assert not is_venue("Exchange")
    with pytest.raises(ValueError, match="knows no exchange 'nasdaq'"):
        venue_of("nasdaq")
