"""Binance's raw replies, recorded and spoilt: every figure is the venue's own, a strange reply is no flat account."""

import asyncio
import gc
import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.domain.account import FailureKind, MarginMode, Position, PriceOrigin, Side
from monitor.exchange.failures import ReadError, UnknownSymbolError
from monitor.exchange.venues import binancecoinm, binanceusdm
from monitor.exchange.venues.binance import BinanceVenue, _portfolio
from monitor.exchange.venues.venue import AccountReading, AccountSettings
from tests.builders import SHARED, an_instrument, needs_shared

LINEAR = {
    "BTCUSDT": an_instrument(),
    "ETHUSDT": an_instrument("ETH/USDT:USDT"),
    "BTCUSDC": an_instrument("BTC/USDC:USDC"),
}
INVERSE = {"BTCUSD_PERP": an_instrument("BTC/USD:BTC")}
RANKS = [{"symbol": "BTCUSD_PERP", "adlQuantile": {"LONG": 1, "SHORT": 2, "BOTH": 3}}]


def recorded(description: str) -> Any:
    cases = json.loads((SHARED / "fixtures" / "binance.json").read_text())["methods"]["fetchPositions"]
    return next(case["httpResponse"] for case in cases if case["description"] == description)


def an_asset(name: str = "USDT", **changes: str) -> dict[str, str]:
    given = {
        "asset": name,
        "crossWalletBalance": "1000",
        "crossUnPnl": "-50",
        "availableBalance": "900",
        "maintMargin": "4",
    }
    return {**given, **changes}


def an_account_row(symbol: str = "BTCUSDT", **changes: str) -> dict[str, str]:
    given = {
        "symbol": symbol,
        "positionSide": "BOTH",
        "positionAmt": "10",
        "unrealizedProfit": "-50",
        "isolatedWallet": "0",
        "initialMargin": "100",
        "maintMargin": "4",
    }
    return {**given, **changes}


def a_risk_row(symbol: str = "BTCUSDT", **changes: Any) -> dict[str, Any]:
    given = {
        "symbol": symbol,
        "positionSide": "BOTH",
        "positionAmt": "10",
        "entryPrice": "105",
        "markPrice": "100",
        "unRealizedProfit": "-50",
        "liquidationPrice": "5.5",
        "notional": "1000",
        "positionInitialMargin": "100",
        "maintMargin": "4",
        "adl": 3,
    }
    return {**given, **changes}


def an_account(*rows: Any, assets: Any = None) -> dict[str, Any]:
    return {"assets": [an_asset()] if assets is None else assets, "positions": list(rows)}


def parsed(account: Any, risk: Any, settings: AccountSettings | None = None) -> AccountReading:
    return binanceusdm.parse([account, risk], LINEAR, settings or AccountSettings())


def only(reading: AccountReading) -> Position:
    assert len(reading.positions) == 1
    return reading.positions[0]


@needs_shared
def test_the_recorded_linear_position_reads_to_the_venues_own_figures() -> None:
    risk = recorded("Fetch linear positions with symbols (positionRisk v3)")
    account = recorded("account endpoint (v3 account), multi-assets")
    reading = parsed(account, risk, AccountSettings(leverages={"BTCUSDT": 80.0}))
    position = only(reading)
    assert position == Position(
        instrument=an_instrument(),
        side=Side.LONG,
        pool="cross:USDT",
        contracts=0.009,
        size=0.009,
        notional=608.2398,
        mark_price=67582.2,
        entry_price=67445.9,
        liquidation_price=64846.78939917,
        liquidation_price_origin=PriceOrigin.VENUE,
        leverage=80.0,
        margin_mode=MarginMode.CROSS,
        initial_margin=7.60299749,
        maintenance_margin=2.4329592,
        unrealized_pnl=1.2267,
        adl_rank=3,
    )


@needs_shared
def test_the_recorded_account_reads_to_one_pool_per_margin_asset() -> None:
    risk = recorded("Fetch linear positions with symbols (positionRisk v3)")
    reading = parsed(recorded("account endpoint (v3 account), multi-assets"), risk)
    usdt, usdc = reading.margins
    assert usdt.equity == pytest.approx(4.27203287)
    assert (usdt.pool, usdt.maintenance_margin) == ("cross:USDT", 2.43022194)
    assert (usdt.initial_margin, usdt.available) == (7.59444356, 18.65856952)
    assert (usdc.pool, usdc.equity, usdc.maintenance_margin) == ("cross:USDC", 22.0, 0)
    assert reading.margin_in_use == 2.43022194


@needs_shared
def test_the_recorded_inverse_position_reads_to_the_venues_own_figures() -> None:
    risk = recorded("inverse positions")
    row = {
        **an_account_row("BTCUSD_PERP", positionAmt="-3", maintMargin="0.00001758", initialMargin="0.00021983"),
        "positionInitialMargin": "0.00021983",
        "unrealizedProfit": "0.00004318",
        "isolated": False,
    }
    asset = an_asset("BTC", crossWalletBalance="0.00018838", crossUnPnl="0.00004318", maintMargin="0.00001758")
    reading = binancecoinm.parse([an_account(row, assets=[asset]), risk, RANKS], INVERSE, AccountSettings())
    position = only(reading)
    assert (position.side, position.contracts, position.leverage) == (Side.SHORT, 3, 20)
    assert (position.mark_price, position.entry_price) == (68234.2, 68911.00000037)
    assert position.notional == 0.00439662
    assert position.size == pytest.approx(300 / 68234.2)
    assert (position.liquidation_price, position.liquidation_price_origin) == (72491.16879818, PriceOrigin.VENUE)
    assert (position.unrealized_pnl, position.maintenance_margin) == (0.00004318, 0.00001758)
    assert position.adl_rank == 4
    assert reading.margins[0].equity == pytest.approx(0.00023156)
    assert reading.margins[0].margin_ratio == pytest.approx(0.0759, abs=5e-5)


def test_both_sides_of_a_hedged_contract_are_positions_of_one_cross_pool() -> None:
    sides = ({"positionSide": "LONG"}, {"positionSide": "SHORT", "positionAmt": "-4", "notional": "-400"})
    own = [{k: v for k, v in an_account_row(**side).items() if k != "notional"} for side in sides]
    reading = parsed(an_account(*own), [a_risk_row(**side) for side in sides])
    assert [(p.side, p.contracts, p.notional) for p in reading.positions] == [
        (Side.LONG, 10, 1000),
        (Side.SHORT, 4, 400),
    ]
    assert [m.maintenance_margin for m in reading.margins] == [8]


def test_each_side_of_a_hedged_isolated_contract_is_a_pool_of_its_own() -> None:
    sides = (
        {"positionSide": "LONG", "isolatedWallet": "120"},
        {"positionSide": "SHORT", "positionAmt": "-10", "isolatedWallet": "80", "maintMargin": "5"},
    )
    risk = [a_risk_row(positionSide="LONG"), a_risk_row(positionSide="SHORT", positionAmt="-10", notional="-1000")]
    reading = parsed(an_account(*(an_account_row(**side) for side in sides)), risk)
    isolated = {m.pool: (m.equity, m.maintenance_margin) for m in reading.margins if m.pool.startswith("isolated")}
    assert isolated == {"isolated:BTC/USDT:USDT:long": (70, 4), "isolated:BTC/USDT:USDT:short": (30, 5)}
    assert reading.margins[0].maintenance_margin == 0


def test_positions_margined_in_another_asset_are_another_pool() -> None:
    rows = [an_account_row(), an_account_row("BTCUSDC", maintMargin="7")]
    assets = [an_asset(), an_asset("USDC", crossWalletBalance="10", crossUnPnl="-5")]
    reading = parsed(an_account(*rows, assets=assets), [a_risk_row(), a_risk_row("BTCUSDC")])
    assert [(m.pool, m.equity, m.maintenance_margin) for m in reading.margins] == [
        ("cross:USDT", 950, 4),
        ("cross:USDC", 5, 7),
    ]


def test_a_flat_account_with_funds_is_a_pool_without_positions() -> None:
    flat = an_account(
        assets=[
            an_asset(maintMargin="0", crossUnPnl="0"),
            an_asset("BNB", crossWalletBalance="0", crossUnPnl="0", maintMargin="0"),
        ]
    )
    reading = parsed(flat, [])
    assert reading.positions == ()
    assert [(m.pool, m.margin_ratio) for m in reading.margins] == [("cross:USDT", 0)]
    assert reading.margin_in_use == 0


@pytest.mark.parametrize("told", ["0", "0.0", "-12.5", "0.00000001", "10000000"])
def test_a_liquidation_price_that_is_none_is_read_as_none(told: str | None) -> None:
    position = only(parsed(an_account(an_account_row()), [a_risk_row(liquidationPrice=told)]))
    assert (position.liquidation_price, position.liquidation_price_origin) == (None, PriceOrigin.NONE)


@pytest.mark.parametrize("told", [{"liquidationPrice": None}, {"liquidationPrice": ""}, {}])
def test_a_liquidation_price_that_is_not_told_is_unknown_and_not_none(told: dict[str, Any]) -> None:
    row = {**without(a_risk_row(), "liquidationPrice"), **told}
    position = only(parsed(an_account(an_account_row()), [row]))
    assert (position.liquidation_price, position.liquidation_price_origin) == (None, PriceOrigin.UNKNOWN)


@pytest.mark.parametrize("rank", [-1, 5, 2.5, "", None])
def test_a_rank_that_the_venue_does_not_have_is_unknown(rank: Any) -> None:
    assert only(parsed(an_account(an_account_row()), [a_risk_row(adl=rank)])).adl_rank is None


def test_what_the_venue_leaves_out_is_unknown_and_not_zero() -> None:
    row = a_risk_row()
    del row["adl"], row["entryPrice"]
    position = only(parsed(an_account(an_account_row()), [row]))
    assert (position.adl_rank, position.entry_price, position.leverage) == (None, None, None)


def without(row: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != key}


Spoil = Callable[[dict[str, Any], list[Any]], tuple[Any, Any]]
MALFORMED: dict[str, Spoil] = {
    "the account is a list": lambda account, risk: ([], risk),
    "the account is empty": lambda account, risk: ({}, risk),
    "the positions are missing": lambda account, risk: (without(account, "positions"), risk),
    "the positions are null": lambda account, risk: ({**account, "positions": None}, risk),
    "the positions are an object": lambda account, risk: ({**account, "positions": {}}, risk),
    "the assets are missing": lambda account, risk: (without(account, "assets"), risk),
    "the assets are text": lambda account, risk: ({**account, "assets": "none"}, risk),
    "the risk list is an object": lambda account, risk: (account, {}),
    "the risk list is of another shape": lambda account, risk: (account, {"positions": risk}),
    "a row is text": lambda account, risk: (account, [*risk, "BTCUSDT"]),
    "a row is null": lambda account, risk: ({**account, "positions": [*account["positions"], None]}, risk),
    "the mark is missing": lambda account, risk: (account, [without(risk[0], "markPrice")]),
    "the mark is zero": lambda account, risk: (account, [{**risk[0], "markPrice": "0.0"}]),
    "the mark is NaN": lambda account, risk: (account, [{**risk[0], "markPrice": "NaN"}]),
    "the mark is infinite": lambda account, risk: (account, [{**risk[0], "markPrice": "1e999"}]),
    "the mark has a separator": lambda account, risk: (account, [{**risk[0], "markPrice": "1_00"}]),
    "the mark has a blank": lambda account, risk: (account, [{**risk[0], "markPrice": " 100"}]),
    "the mark is of another script": lambda account, risk: (account, [{**risk[0], "markPrice": "１００"}]),
    "the mark is next to nothing": lambda account, risk: (account, [{**risk[0], "markPrice": "1e-300"}]),
    "the mark is a list": lambda account, risk: (account, [{**risk[0], "markPrice": ["100"]}]),
    "the mark is true": lambda account, risk: (account, [{**risk[0], "markPrice": True}]),
    "maintenance is empty": lambda account, risk: (account, [{**risk[0], "maintMargin": ""}]),
    "maintenance is words": lambda account, risk: (account, [{**risk[0], "maintMargin": "low"}]),
    "maintenance is negative": lambda account, risk: (account, [{**risk[0], "maintMargin": "-4"}]),
    "the account's maintenance is negative": lambda account, risk: (
        {**account, "positions": [an_account_row(maintMargin="-4")]},
        risk,
    ),
    "the liquidation price is words": lambda account, risk: (account, [{**risk[0], "liquidationPrice": "none"}]),
    "the amount is missing": lambda account, risk: (account, [without(risk[0], "positionAmt")]),
    "the side is unheard of": lambda account, risk: (account, [{**risk[0], "positionSide": "SIDEWAYS"}]),
    "the symbol is missing": lambda account, risk: (account, [without(risk[0], "symbol")]),
    "the wallet is NaN": lambda account, risk: ({**account, "assets": [an_asset(crossWalletBalance="NaN")]}, risk),
    "the wallet and its gain are beyond measure": lambda account, risk: (
        {**account, "assets": [an_asset(crossWalletBalance="1e308", crossUnPnl="1e308")]},
        risk,
    ),
    "an asset is listed twice": lambda account, risk: ({**account, "assets": [an_asset(), an_asset()]}, risk),
    "a position is listed twice": lambda account, risk: ({**account, "positions": 2 * account["positions"]}, risk),
    "a position's risk is listed twice": lambda account, risk: (account, [a_risk_row(markPrice="101"), *risk]),
    "a side is listed in both modes": lambda account, risk: (account, [a_risk_row(positionSide="LONG"), *risk]),
    "the margin asset has no balance": lambda account, risk: (
        {**account, "assets": [an_asset("USDC", maintMargin="0")]},
        risk,
    ),
}


@pytest.mark.parametrize("spoil", MALFORMED.values(), ids=MALFORMED)
def test_a_reply_of_the_wrong_shape_is_malformed(spoil: Spoil) -> None:
    account, risk = spoil(an_account(an_account_row()), [a_risk_row()])
    with pytest.raises(ReadError) as failure:
        parsed(account, risk)
    assert failure.value.kind is FailureKind.MALFORMED


IMPLAUSIBLE: dict[str, Spoil] = {
    "no position in the risk list": lambda account, risk: (account, []),
    "no position in the account": lambda account, risk: ({**account, "positions": []}, risk),
    "no position in both": lambda account, risk: ({**account, "positions": []}, []),
    "another amount": lambda account, risk: (account, [{**risk[0], "positionAmt": "9"}]),
    "the other side": lambda account, risk: (account, [{**risk[0], "positionAmt": "-10"}]),
    "a notional of another contract size": lambda account, risk: (account, [{**risk[0], "notional": "10000"}]),
}


@pytest.mark.parametrize("spoil", IMPLAUSIBLE.values(), ids=IMPLAUSIBLE)
def test_replies_that_contradict_each_other_are_implausible(spoil: Spoil) -> None:
    account, risk = spoil(an_account(an_account_row()), [a_risk_row()])
    with pytest.raises(ReadError) as failure:
        parsed(account, risk)
    assert failure.value.kind is FailureKind.IMPLAUSIBLE


def test_a_position_in_an_unlisted_contract_is_never_left_out() -> None:
    with pytest.raises(UnknownSymbolError):
        parsed(an_account(an_account_row("NEWUSDT")), [a_risk_row("NEWUSDT")])


def test_rows_without_an_amount_are_no_positions() -> None:
    resting = deepcopy(an_account_row("ETHUSDT", positionAmt="0.000", maintMargin="0"))
    reading = parsed(an_account(an_account_row(), resting), [a_risk_row(), a_risk_row("ETHUSDT", positionAmt="0")])
    assert only(reading).instrument == an_instrument()


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats()
    | st.sampled_from(["", "0", "-1", "NaN", "BTCUSDT", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["symbol", "assets", "positions"]), inner)
    ),
    max_leaves=6,
)


def paths_in(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [path, *(found for key in keys for found in paths_in(value[key], (*path, key)))]


def replaced(value: Any, path: tuple[Any, ...], by: Any) -> Any:
    if not path:
        return by
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], by)
    return copy


@given(st.data(), JSON)
def test_a_reply_with_anything_at_all_in_one_place_is_read_or_refused(data: st.DataObject, junk: Any) -> None:
    reply = [an_account(an_account_row(), an_account_row("ETHUSDT")), [a_risk_row(), a_risk_row("ETHUSDT")]]
    path = data.draw(st.sampled_from(paths_in(reply)))
    if not path:
        return
    try:
        account, risk = replaced(reply, path, junk)
        reading = parsed(account, risk)
    except ReadError:
        return
    assert len(reading.positions) == 2


@pytest.mark.parametrize("venue", [binanceusdm.VENUE, binancecoinm.VENUE], ids=lambda venue: venue.id)
def test_a_venue_permits_nothing_but_its_declared_reads(venue: BinanceVenue) -> None:
    for path, _ in venue.reads.values():
        assert venue.rules.permits("GET", path)
        for method in ("POST", "PUT", "DELETE", "PATCH", "get"):
            assert not venue.rules.permits(method, path)
    for path in (
        "/fapi/v1/order",
        "/fapi/v1/leverage",
        "/sapi/v1/capital/withdraw/apply",
        "",
        "/",
        "/fapi/v3/account/",
    ):
        assert not venue.rules.permits("GET", path)


async def test_a_question_given_up_before_it_was_asked_leaves_nothing_behind() -> None:
    """An edit ends the reads of an account at any moment; what was never awaited is a warning, here an error."""
    asking = asyncio.create_task(_portfolio(SimpleNamespace(urls={"api": {"sapi": "https://localhost"}})))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    gc.collect()
