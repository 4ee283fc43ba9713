"""What only Deribit has in an account: margin models by currency, a pool told in every coin, isolated positions."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from monitor.domain.account import AccountSnapshot, FailureKind, Instrument, PriceOrigin, Side
from monitor.exchange.failures import ReadError, UnknownSymbolError
from monitor.exchange.venues.deribit import VENUE, what_it_said
from monitor.exchange.venues.venue import AccountReading, AccountSettings
from monitor.paper.dialects.deribit import POSITIONS
from monitor.paper.dialects.deribit_account import (
    CROSS_PM,
    CROSS_SM,
    IGNORED,
    REFUSED,
    SEGREGATED_PM,
    SEGREGATED_SM,
    SHOWN,
)
from monitor.paper.faults import Fault, FaultKind
from tests.reading import ShiftedClock, failed, good
from tests.venues.deribit import DERIBIT_CASE, an_account
from tests.venues.kit import House, a_house, book_of

Json = dict[str, Any]

ETH = Instrument(
    venue="deribit", symbol="ETH/USD:ETH", base="ETH", quote="USD", settle="ETH", contract_size=1.0, inverse=True
)
ETH_USDC = Instrument(
    venue="deribit",
    symbol="ETH/USDC:USDC",
    base="ETH",
    quote="USDC",
    settle="USDC",
    contract_size=0.001,
    inverse=False,
)
LISTED = {"ETH-PERPETUAL": ETH, "ETH_USDC-PERPETUAL": ETH_USDC}
CROSS_WORDS = "cross portfolio margin, segregated portfolio margin"
ALONE_WORDS = "segregated standard margin"
MODES = {
    SEGREGATED_SM: ALONE_WORDS,
    SEGREGATED_PM: "segregated portfolio margin",
    CROSS_SM: "cross standard margin, segregated standard margin",
    CROSS_PM: CROSS_WORDS,
}


@pytest.fixture
async def house() -> AsyncIterator[House]:
    clock = ShiftedClock()
    async with a_house(DERIBIT_CASE, clock, book_of(DERIBIT_CASE, clock.now())) as opened:
        yield opened


async def read(house: House, name: str = "mixed", model: str = SEGREGATED_SM, **profile: Any) -> AccountSnapshot:
    return good(await house.open(an_account(name, model, **profile)).observe())


def a_coin(currency: str, **changes: Any) -> Json:
    told = {"currency": currency, "margin_model": SEGREGATED_SM, "margin_balance": 10.0, "maintenance_margin": 0.005}
    return {**told, "initial_margin": 0.01, "available_funds": 9.99, "delta_total_map": {}, **changes}


def a_collateral(currency: str, balance: float, available: float, **changes: Any) -> Json:
    """As recorded of an account with cross portfolio margin: every currency tells the whole pool."""
    pool = {
        "total_margin_balance_usd": 2.531977059,
        "total_maintenance_margin_usd": 0.4557215915800001,
        "total_initial_margin_usd": 0.640151869,
    }
    told = {"margin_model": CROSS_PM, "margin_balance": balance, "available_funds": available}
    return {**a_coin(currency), **told, **pool, **changes}


def an_inverse_row(**changes: Any) -> Json:
    """As recorded: a contract of a dollar bought at 2074.25 and settled at 2090.99 since."""
    told = {
        "size": 1,
        "kind": "future",
        "settlement_price": 2090.99,
        "maintenance_margin": 0.000005093,
        "initial_margin": 0.000010187,
        "open_orders_margin": 0.0000309,
        "direction": "buy",
        "index_price": 1963.1,
        "instrument_name": "ETH-PERPETUAL",
        "mark_price": 1963.31,
        "delta": 0.000509344,
        "average_price": 2074.25,
        "floating_profit_loss": -0.000031102,
        "realized_profit_loss": -5e-9,
        "total_profit_loss": -0.000027242,
        "leverage": 50,
        "size_currency": 0.000509344,
        "estimated_liquidation_price": None,
    }
    return {**told, **changes}


def a_linear_row(**changes: Any) -> Json:
    """A short of a contract of 0.001: as recorded, its size is in USDC."""
    told = {
        "instrument_name": "ETH_USDC-PERPETUAL",
        "direction": "sell",
        "size": -1.95833,
        "size_currency": -0.001,
        "mark_price": 1958.33,
        "average_price": 2105.0,
        "maintenance_margin": 0.0196,
        "initial_margin": 0.0392,
        "total_profit_loss": 0.14667,
        "floating_profit_loss": 0.13336,
    }
    return an_inverse_row(**{**told, **changes})


def parsed(told: Json, *rows: Json, mode: str = ALONE_WORDS) -> AccountReading:
    return VENUE.parse_account((told, list(rows)), LISTED, AccountSettings(mode=mode))


def alone(*coins: Json, **changes: Any) -> Json:
    return {"summaries": list(coins) or [a_coin("ETH"), a_coin("USDC")], **changes}


# --- the recorded account ---


def recorded() -> AccountReading:
    told = alone(
        a_collateral("BTC", 0.00003691, 0.00002758),
        a_collateral("ETH", 0.001294, 0.000967, delta_total_map={"eth_usd": 0.00051096}),
        a_collateral("USDC", 2.53197706, 1.89182519, delta_total_map={"eth_usdc": -0.001}),
        a_coin("BNB", margin_model=SEGREGATED_PM, margin_balance=0, maintenance_margin=0, initial_margin=0),
    )
    return parsed(told, an_inverse_row(), a_linear_row(), mode=CROSS_WORDS)


def test_the_recorded_collateral_is_one_pool_in_dollars_and_what_is_none_of_it_no_pool_while_it_is_empty() -> None:
    (pool,) = recorded().margins
    assert (pool.pool, pool.currency) == ("cross:USD", "USD")
    assert (pool.equity, pool.maintenance_margin) == (2.531977059, 0.4557215915800001)
    assert (pool.initial_margin, pool.venue_margin_ratio) == (0.640151869, None)
    assert pool.available == pytest.approx(2.531977059 - 0.640151869, abs=1e-8)


def test_the_profit_of_a_recorded_position_is_from_its_entry_and_not_from_the_last_settlement() -> None:
    position = recorded().positions[0]
    assert position.contracts == 1
    assert position.notional == pytest.approx(0.000509344, rel=1e-6)
    assert position.entry_price is not None
    gain = ETH.pnl(position.side, position.contracts, position.entry_price, position.mark_price)
    assert position.unrealized_pnl == pytest.approx(gain, abs=1e-9)


def test_a_linear_position_is_as_many_coins_as_its_size_in_quote_is_worth() -> None:
    position = recorded().positions[1]
    assert (position.side, position.contracts, position.size) == (Side.SHORT, 1, 0.001)
    assert position.notional == pytest.approx(1.95833)


def test_positions_of_the_pool_count_at_the_accounts_own_rates_and_else_at_the_mark_or_a_dollar() -> None:
    inverse, linear = recorded().positions
    assert inverse.pool_rate == pytest.approx(2.531977059 / 0.001294)
    assert linear.pool_rate == pytest.approx(1, rel=1e-6)
    nothing = [a_collateral(name, 0, 0, total_margin_balance_usd=0) for name in ("ETH", "USDC")]
    rates = [
        position.pool_rate
        for position in parsed(
            alone(*nothing), an_inverse_row(), a_linear_row(), mode="cross portfolio margin"
        ).positions
    ]
    assert rates == [1963.31, 1]


# --- positions ---


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"size": "many"}, FailureKind.MALFORMED),
        ({"size": 1, "size_currency": -0.000509344}, FailureKind.MALFORMED),
        ({"direction": "sell"}, FailureKind.MALFORMED),
        ({"direction": "zero"}, FailureKind.MALFORMED),
        ({"kind": None}, FailureKind.MALFORMED),
        ({"mark_price": 0}, FailureKind.MALFORMED),
        ({"maintenance_margin": None}, FailureKind.MALFORMED),
        ({"initial_margin": -1}, FailureKind.MALFORMED),
        ({"total_profit_loss": None}, FailureKind.MALFORMED),
        ({"isolated": "yes"}, FailureKind.MALFORMED),
        ({"size": 10}, FailureKind.IMPLAUSIBLE),
        ({"size_currency": 0.00509344}, FailureKind.IMPLAUSIBLE),
    ],
)
def test_a_position_that_cannot_be_read_fails_the_whole_read(changes: Json, kind: FailureKind) -> None:
    with pytest.raises(ReadError) as failure:
        parsed(alone(), an_inverse_row(**changes))
    assert failure.value.kind is kind


def test_a_row_without_a_size_is_no_position() -> None:
    assert parsed(alone(), an_inverse_row(size=0, size_currency=0, direction="zero")).positions == ()


def test_a_position_in_a_future_that_is_not_listed_or_in_a_currency_without_money_is_told() -> None:
    with pytest.raises(UnknownSymbolError):
        parsed(alone(), an_inverse_row(instrument_name="ETH-26DEC26"))
    with pytest.raises(ReadError, match="not listed"):
        parsed(alone(a_coin("USDC")), an_inverse_row())


@pytest.mark.parametrize("told", [None, "", 0, -1, 0.0001, 99_999_999])
def test_a_liquidation_price_that_is_not_told_is_unknown_and_not_none(told: Any) -> None:
    (position,) = parsed(alone(), an_inverse_row(estimated_liquidation_price=told)).positions
    assert (position.liquidation_price, position.liquidation_price_origin) == (None, PriceOrigin.UNKNOWN)


def test_a_liquidation_price_that_is_told_is_the_venues() -> None:
    (position,) = parsed(alone(), an_inverse_row(estimated_liquidation_price=1200.5)).positions
    assert (position.liquidation_price, position.liquidation_price_origin) == (1200.5, PriceOrigin.VENUE)


def test_positions_of_other_kinds_are_named_and_their_deltas_are_not_missed() -> None:
    option = {"instrument_name": "ETH-26DEC26-3000-C", "kind": "option", "size": -5, "direction": "sell"}
    reading = parsed(alone(a_coin("ETH", delta_total_map={"eth_usd": -2.5}), a_coin("USDC")), an_inverse_row(), option)
    assert len(reading.positions) == 1
    assert any("option" in caveat for caveat in reading.caveats)
    assert reading.margin_in_use is None


# --- isolated positions ---


def with_slots(*slots: Json) -> Json:
    return alone(isolated_account_summaries=list(slots))


def a_slot(number: int = 7, **changes: Any) -> Json:
    return {"id": number, "summaries": [a_coin("USDC", margin_balance=5, **changes)]}


def isolated(**changes: Any) -> Json:
    return a_linear_row(**{"isolated": True, "user_id": 7, "main_uid": 1, **changes})


WITH_ISOLATED = f"{ALONE_WORDS}, with isolated positions"


async def test_isolated_positions_are_read_with_the_money_of_their_subaccounts(house: House) -> None:
    snapshot = await read(house)
    (pool,) = (margin for margin in snapshot.margins if margin.pool == "isolated:SOL/USDT:USDT:long")
    assert len(snapshot.positions) == 3
    assert pool.equity is not None
    assert pool.equity > 0


@pytest.mark.parametrize("how", [IGNORED, REFUSED])
async def test_where_isolated_positions_are_not_shown_the_account_is_read_without_them(house: House, how: str) -> None:
    assert len((await read(house, isolated=how)).positions) == 2


async def test_isolated_positions_shown_from_now_on_are_read_at_once_when_the_mode_is_asked_for(house: House) -> None:
    client = house.open(an_account("mixed", SEGREGATED_SM, isolated=IGNORED))._client
    assert (await VENUE.read_settings(client)).mode == ALONE_WORDS
    house.server.set_profile("mixed", isolated=SHOWN)
    assert (await VENUE.read_settings(client)).mode == WITH_ISOLATED


def test_a_contract_held_across_and_isolated_is_refused_and_listed_twice_is_malformed() -> None:
    with pytest.raises(ReadError, match="across and isolated") as failure:
        parsed(with_slots(a_slot()), isolated(), a_linear_row(), mode=WITH_ISOLATED)
    assert failure.value.kind is FailureKind.UNSUPPORTED
    with pytest.raises(ReadError, match="listed twice"):
        parsed(alone(), a_linear_row(), a_linear_row())


@pytest.mark.parametrize(
    ("slots", "rows"),
    [((), (isolated(),)), ((a_slot(8),), (isolated(),)), ((a_slot(), a_slot(8)), (isolated(),)), ((a_slot(),), ())],
    ids=["no money", "money of another", "one without a position", "no position"],
)
def test_isolated_positions_and_their_money_that_do_not_match_are_not_believed(
    slots: tuple[Json, ...], rows: tuple[Json, ...]
) -> None:
    with pytest.raises(ReadError) as failure:
        parsed(with_slots(*slots), *rows, mode=WITH_ISOLATED)
    assert failure.value.kind is FailureKind.IMPLAUSIBLE


def test_a_subaccount_that_holds_an_order_alone_is_no_missing_position() -> None:
    reading = parsed(with_slots(a_slot(maintenance_margin=0)), mode=WITH_ISOLATED)
    assert reading.positions == ()


# --- short lists ---


@pytest.mark.parametrize(
    ("deltas", "rows"),
    [
        ({"eth_usd": 0.0005}, ()),
        ({"eth_usd": 0.0012}, (an_inverse_row(),)),
        ({"eth_usdc": -0.001}, (an_inverse_row(),)),
        ({"btc_usd": 0.001}, (an_inverse_row(),)),
    ],
    ids=["none", "one of two", "of another contract", "of another index"],
)
def test_a_list_that_is_short_is_not_believed(deltas: Json, rows: tuple[Json, ...]) -> None:
    with pytest.raises(ReadError) as failure:
        parsed(alone(a_coin("ETH", delta_total_map=deltas), a_coin("USDC")), *rows)
    assert failure.value.kind is FailureKind.IMPLAUSIBLE


def test_margin_that_stays_while_nothing_is_held_is_no_short_list() -> None:
    reading = parsed(alone())
    assert (reading.positions, reading.margin_in_use) == ((), 0)


@pytest.mark.parametrize("model", MODES)
async def test_a_list_that_is_short_for_good_is_told_though_the_account_was_never_read_before(
    house: House, model: str
) -> None:
    house.server.misbehave(Fault(kind=FaultKind.NO_POSITIONS, path=POSITIONS))
    failure = failed(await house.open(an_account("two", model)).observe())
    assert failure.kind is FailureKind.IMPLAUSIBLE


@pytest.mark.parametrize("summaries", [[], [a_coin("ETH"), a_coin("ETH")], [a_coin("ETH", delta_total_map=None)], None])
def test_summaries_that_cannot_be_are_malformed(summaries: Any) -> None:
    with pytest.raises(ReadError) as failure:
        parsed({"summaries": summaries})
    assert failure.value.kind is FailureKind.MALFORMED


# --- modes and refusals ---


@pytest.mark.parametrize(("model", "words"), MODES.items())
async def test_the_mode_is_told_in_words(house: House, model: str, words: str) -> None:
    settings = await VENUE.read_settings(house.open(an_account("two", model, isolated=IGNORED))._client)
    assert settings.mode == words


async def test_a_margin_model_that_is_not_known_is_refused_in_words(house: House) -> None:
    odd = an_account("two", SEGREGATED_SM, of_summaries={"margin_model": "triangular"})
    failure = failed(await house.open(odd).observe())
    assert failure.kind is FailureKind.UNSUPPORTED
    assert "triangular" in failure.detail


async def test_a_mode_changed_while_running_is_read_anew_within_the_same_read(house: House) -> None:
    source = house.open(an_account("two", SEGREGATED_SM))
    before = {margin.pool for margin in good(await source.observe()).margins}
    assert "cross:USDC" in before
    house.server.set_profile("two", model=CROSS_SM)
    assert {margin.pool for margin in good(await source.observe()).margins} == {"cross:USD"}
    assert source._settings.mode == f"{MODES[CROSS_SM]}, with isolated positions"
    house.server.set_profile("two", model=SEGREGATED_SM)
    assert {margin.pool for margin in good(await source.observe()).margins} == before


async def test_a_wrong_secret_is_refused_by_the_venue(house: House) -> None:
    source = house.open(an_account("two", SEGREGATED_SM), credentials={"apiKey": "two-key", "secret": "wrong"})
    assert failed(await source.observe()).kind is FailureKind.AUTH


async def test_a_clock_that_is_off_is_set_right_though_the_refusal_tells_of_no_time(house: House) -> None:
    house.server.misbehave(Fault(kind=FaultKind.CLOCK_SKEW, seconds=300))
    assert len((await read(house, "two")).positions) == 3


async def test_where_the_time_is_not_told_either_a_refused_signature_stays_what_it_is(house: House) -> None:
    house.server.misbehave(Fault(kind=FaultKind.CLOCK_SKEW, seconds=300))
    house.server.misbehave(Fault(kind=FaultKind.SERVER_ERROR, path="*/get_time"))
    assert failed(await house.open(an_account("two", SEGREGATED_SM)).observe()).kind is FailureKind.AUTH


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ({"error": {"code": 13009, "message": "unauthorized"}}, (13009, "unauthorized")),
        (
            {"error": {"code": -32602, "message": "Invalid params", "data": {"reason": "invalid currency"}}},
            (-32602, "Invalid params, invalid currency"),
        ),
        ({"error": {"code": 10028, "data": "odd"}}, (10028, None)),
        ({"error": 13009, "message": "odd"}, (None, None)),
        ({"result": {}}, (None, None)),
    ],
)
def test_what_a_refusal_says_is_its_code_message_and_reason(reply: Json, said: tuple[object, object]) -> None:
    assert what_it_said(reply) == said
