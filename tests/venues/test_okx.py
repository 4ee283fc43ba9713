"""What only OKX has in an account: four modes, a ratio that counts a fee, lists that may be short, kinds not read."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from monitor.domain.account import AccountSnapshot, FailureKind, Instrument, PriceOrigin, Side
from monitor.exchange.failures import ReadError, UnknownSymbolError
from monitor.exchange.modes import Mode
from monitor.exchange.venues.okx import VENUE
from monitor.exchange.venues.venue import AccountReading, AccountSettings
from monitor.paper.dialects.okx import BALANCE, POSITIONS
from monitor.paper.dialects.okx_account import MULTI, PORTFOLIO, SPOT
from monitor.paper.faults import Fault, FaultKind
from tests.reading import ShiftedClock, failed, good
from tests.venues.kit import AccountCase, House, a_house, book_of
from tests.venues.okx import OKX_CASE, futures

Json = dict[str, Any]

BTC = Instrument(
    venue="okx", symbol="BTC/USDT:USDT", base="BTC", quote="USDT", settle="USDT", contract_size=0.01, inverse=False
)
ETH = Instrument(
    venue="okx", symbol="ETH/USD:ETH", base="ETH", quote="USD", settle="ETH", contract_size=10.0, inverse=True
)
LISTED = {"BTC-USDT-SWAP": BTC, "ETH-USD-SWAP": ETH}
IN_FUTURES = AccountSettings(mode="futures mode, net positions")
IN_MULTI = AccountSettings(mode="multi-currency margin, net positions")
IN_PORTFOLIO = AccountSettings(mode="portfolio margin, net positions")


@pytest.fixture
async def house() -> AsyncIterator[House]:
    clock = ShiftedClock()
    async with a_house(OKX_CASE, clock, book_of(OKX_CASE, clock.now())) as opened:
        yield opened


def an_account(name: str, **profile: Any) -> AccountCase:
    return AccountCase(account=name, name=name, pools=lambda _engine, _owner: (), profile=profile)


async def read(house: House, name: str, **profile: Any) -> AccountSnapshot:
    return good(await house.open(an_account(name, **profile)).observe())


def a_row(**changes: Any) -> Json:
    """A long of 300 contracts of 0.01 BTC, margined across."""
    told = {
        "instId": "BTC-USDT-SWAP",
        "instType": "SWAP",
        "mgnMode": "cross",
        "posSide": "net",
        "pos": "300",
        "ccy": "USDT",
        "avgPx": "40000",
        "markPx": "50000",
        "lever": "10.0",
        "liqPx": "",
        "imr": "15000",
        "mmr": "600",
        "margin": "",
        "mgnRatio": "20",
        "notionalUsd": "150090",
        "usdPx": "",
        "upl": "30000",
        "adl": "3",
    }
    return {**told, **changes}


def an_inverse_row(**changes: Any) -> Json:
    """300 contracts of 10 dollars at 2000: 1.5 ETH."""
    told = {"instId": "ETH-USD-SWAP", "ccy": "ETH", "markPx": "2000", "avgPx": "2000", "upl": "0"}
    return a_row(**{**told, "notionalUsd": "3000", "imr": "0.15", "mmr": "0.006", **changes})


def isolated(**changes: Any) -> Json:
    return a_row(**{"mgnMode": "isolated", "imr": "", "margin": "15000", "mgnRatio": "60", **changes})


def a_coin(name: str = "USDT", **changes: Any) -> Json:
    told = {"ccy": name, "eq": "45000", "eqUsd": "45027", "cashBal": "15000", "upl": "30000", "isoEq": "0"}
    figures = {"isoUpl": "0", "imr": "15000", "mmr": "600", "mgnRatio": "66.6666666667", "availEq": "30000"}
    return {**told, **figures, **changes}


def a_balance(*coins: Json, **changes: Any) -> Json:
    """Of futures mode, where the figures of the whole account are empty."""
    empty = dict.fromkeys(("adjEq", "availEq", "imr", "mmr", "mgnRatio", "notionalUsdForSwap"), "")
    return {"totalEq": "45027", "isoEq": "0", **empty, "details": list(coins or (a_coin(),)), **changes}


def unified(**changes: Any) -> Json:
    told = {"adjEq": "45000", "availEq": "30000", "imr": "15000", "mmr": "600", "mgnRatio": "66.6666666667"}
    coin = a_coin(imr="", mmr="", mgnRatio="")
    return a_balance(coin, **{**told, "notionalUsdForSwap": "150090", "notionalUsdForFutures": "0", **changes})


def parsed(balance: Json, *rows: Json, settings: AccountSettings = IN_FUTURES) -> AccountReading:
    return VENUE.parse_account((balance, list(rows)), LISTED, settings)


# --- the fee that the ratio counts ---


def test_the_ratio_of_a_recorded_account_counts_a_fee_that_its_maintenance_margin_does_not() -> None:
    figures = {"adjEq": "10679688.0460531643092577", "imr": "3372.2942371050594217", "mmr": "134.8917694842024"}
    balance = unified(**figures, mgnRatio="70375.35408747017", notionalUsdForSwap="33722.9423710505978888")
    row = a_row(notionalUsd="33722.9423710505978888", pos="67.4458847421")
    (pool,) = parsed(balance, row, settings=IN_MULTI).margins
    assert pool.maintenance_margin is not None
    fee = pool.maintenance_margin - 134.8917694842024
    assert fee == pytest.approx(0.0005 * 33722.9423710505978888)
    assert pool.margin_ratio == pytest.approx(1 / 70375.35408747017)


def test_the_ratio_of_a_recorded_isolated_position_counts_the_same_fee() -> None:
    row = an_inverse_row(
        mgnMode="isolated",
        pos="1",
        margin="0.0003896645377994",
        upl="-0.0000009932766034",
        mmr="0.0000311811092368",
        mgnRatio="11.731726509588816",
        markPx="2565.6",
        imr="",
        notionalUsd="10",
    )
    coin = a_coin("ETH", mmr="0", imr="0", mgnRatio="", isoEq="0.000388671")
    reading = parsed(a_balance(coin), row)
    pool = next(margin for margin in reading.margins if margin.pool.startswith("isolated:"))
    assert pool.maintenance_margin is not None
    # 0.05 % of the notional beside the 0.8 % of its tier.
    assert pool.maintenance_margin / 0.0000311811092368 == pytest.approx(1 + 0.05 / 0.8)
    assert reading.positions[0].maintenance_margin == 0.0000311811092368


def test_where_the_equity_is_gone_the_maintenance_margin_stands_alone() -> None:
    gone = a_coin(cashBal="-31000", mgnRatio="-1.4")
    (pool,) = parsed(a_balance(gone), a_row()).margins
    assert (pool.equity, pool.maintenance_margin, pool.venue_margin_ratio) == (-1000, 600, None)
    assert pool.under_water


def test_what_bots_and_isolated_positions_hold_is_no_equity_of_the_cross_pool() -> None:
    coin = a_coin(eq="50150", cashBal="15000", upl="29500", isoUpl="-500", isoEq="5000", stgyEq="150")
    pools = {
        pool.pool: pool for pool in parsed(a_balance(coin), a_row(), isolated(posSide="short", upl="-500")).margins
    }
    assert pools["cross:USDT"].equity == 45_000
    assert pools["isolated:BTC/USDT:USDT:short"].equity == 14_500


# --- positions ---


@pytest.mark.parametrize(
    ("changes", "side", "contracts"),
    [
        ({}, Side.LONG, 300),
        ({"pos": "-300"}, Side.SHORT, 300),
        ({"posSide": "short"}, Side.SHORT, 300),
        ({"posSide": "long"}, Side.LONG, 300),
    ],
)
def test_the_side_is_named_or_the_sign_of_net_positions(changes: Json, side: Side, contracts: float) -> None:
    (position,) = parsed(a_balance(), a_row(**changes)).positions
    assert (position.side, position.contracts, position.size) == (side, contracts, 3)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"pos": "many"}, FailureKind.MALFORMED),
        ({"posSide": "both"}, FailureKind.MALFORMED),
        ({"posSide": "long", "pos": "-300"}, FailureKind.MALFORMED),
        ({"mgnMode": "cash"}, FailureKind.MALFORMED),
        ({"markPx": ""}, FailureKind.MALFORMED),
        ({"upl": ""}, FailureKind.MALFORMED),
        ({"mmr": ""}, FailureKind.MALFORMED),
        ({"lever": ""}, FailureKind.MALFORMED),
        ({"ccy": "USDC"}, FailureKind.MALFORMED),
        ({"instType": ""}, FailureKind.MALFORMED),
        ({"notionalUsd": "15009000"}, FailureKind.IMPLAUSIBLE),
    ],
)
def test_a_position_that_cannot_be_read_fails_the_whole_read(changes: Json, kind: FailureKind) -> None:
    with pytest.raises(ReadError) as failure:
        parsed(a_balance(), a_row(**changes))
    assert failure.value.kind is kind


def test_a_position_in_a_contract_that_is_not_listed_is_told() -> None:
    with pytest.raises(UnknownSymbolError):
        parsed(a_balance(), a_row(instId="NEW-USDT-SWAP"))


def test_a_stablecoin_off_its_dollar_is_no_size_in_other_units() -> None:
    (position,) = parsed(a_balance(), a_row(notionalUsd="105000", usdPx="0.7")).positions
    assert position.notional == 150_000


@pytest.mark.parametrize("told", ["", "0", "-1", "0.0001", "99999999", None])
def test_a_liquidation_price_that_is_not_told_is_unknown_and_not_none(told: str | None) -> None:
    (position,) = parsed(a_balance(), a_row(liqPx=told)).positions
    assert (position.liquidation_price, position.liquidation_price_origin) == (None, PriceOrigin.UNKNOWN)


@pytest.mark.parametrize("unit", [1.0, 2000.0], ids=["coins", "dollars"])
def test_margins_of_inverse_positions_are_the_same_told_in_coins_or_in_dollars(unit: float) -> None:
    row = an_inverse_row(imr=str(0.15 * unit), mmr=str(0.006 * unit))
    (position,) = parsed(unified(notionalUsdForSwap="3000"), row, settings=IN_MULTI).positions
    assert [position.initial_margin, position.maintenance_margin] == pytest.approx([0.15, 0.006])


def test_margins_of_a_whole_risk_unit_are_not_taken_for_those_of_a_position() -> None:
    (position,) = parsed(unified(), a_row(lever=""), settings=IN_PORTFOLIO).positions
    assert (position.initial_margin, position.maintenance_margin, position.leverage) == (None, None, None)


@pytest.mark.parametrize(("told", "rank"), [("0", 1), ("1", 1), ("5", 5), ("6", None), ("", None)])
def test_the_first_to_be_deleveraged_is_5(told: str, rank: int | None) -> None:
    assert parsed(a_balance(), a_row(adl=told)).positions[0].adl_rank == rank


def test_one_side_held_across_and_isolated_is_refused_and_listed_twice_is_malformed() -> None:
    both = a_balance(a_coin(isoEq="15000"))
    with pytest.raises(ReadError, match="across and isolated") as failure:
        parsed(both, a_row(), isolated())
    assert failure.value.kind is FailureKind.UNSUPPORTED
    with pytest.raises(ReadError, match="listed twice"):
        parsed(a_balance(), a_row(), a_row())
    sides = {position.side for position in parsed(both, a_row(), isolated(pos="-300")).positions}
    assert sides == {Side.LONG, Side.SHORT}


def test_a_currency_listed_twice_and_a_ratio_left_out_while_margin_is_owed_are_malformed() -> None:
    with pytest.raises(ReadError, match="listed twice"):
        parsed(a_balance(a_coin(), a_coin()), a_row())
    with pytest.raises(ReadError, match="mgnRatio"):
        parsed(a_balance(a_coin(mgnRatio="")), a_row())


def test_positions_of_other_kinds_are_named_and_their_margin_is_not_missed() -> None:
    option = {"instId": "BTC-USD-261225-90000-P", "instType": "OPTION", "pos": "-5", "ccy": "USDT", "mgnMode": "cross"}
    event = {"instId": "BTC-ABOVE", "instType": "EVENTS", "pos": "1", "ccy": "", "mgnMode": ""}
    balance = a_balance(a_coin(mmr="5000", mgnRatio="8", isoEq="14500"))
    reading = parsed(balance, a_row(), option, event, isolated(pos="-1", notionalUsd="500"))
    assert len(reading.positions) == 2
    assert any("OPTION" in caveat for caveat in reading.caveats)


def test_what_a_coin_counts_is_by_the_venues_own_value_of_it_and_else_by_the_mark_or_a_dollar() -> None:
    rows = a_row(), an_inverse_row()
    rates = [p.pool_rate for p in parsed(unified(), *rows, settings=IN_MULTI).positions]
    assert rates == [pytest.approx(45027 / 45000), 2000]
    assert [p.pool_rate for p in parsed(unified(details=[]), *rows, settings=IN_MULTI).positions] == [1, 2000]


# --- short lists ---


@pytest.mark.parametrize(
    ("balance", "rows", "settings"),
    [
        (a_balance(), (), IN_FUTURES),
        (a_balance(a_coin(mmr="1800", mgnRatio="20")), (a_row(),), IN_FUTURES),
        (a_balance(a_coin(isoEq="15000")), (a_row(),), IN_FUTURES),
        (unified(), (), IN_MULTI),
        (unified(notionalUsdForSwap="300000"), (a_row(),), IN_MULTI),
        (unified(notionalUsdForFutures="300"), (a_row(),), IN_PORTFOLIO),
        (unified(isoEq="15000"), (a_row(),), IN_MULTI),
    ],
    ids=["none", "one of two", "no isolated", "none", "one of two", "no dated", "no isolated"],
)
def test_a_list_that_is_short_is_not_believed(balance: Json, rows: tuple[Json, ...], settings: AccountSettings) -> None:
    with pytest.raises(ReadError) as failure:
        parsed(balance, *rows, settings=settings)
    assert failure.value.kind is FailureKind.IMPLAUSIBLE


def test_margin_moved_by_hand_to_a_position_not_yet_opened_is_no_short_list() -> None:
    nothing = a_coin(isoEq="15000", upl="0", imr="0", mmr="0", mgnRatio="")
    reading = parsed(a_balance(nothing), isolated(pos="0"))
    assert reading.positions == ()
    assert reading.margin_in_use == 15_000


def test_margin_of_open_orders_under_multi_currency_margin_is_no_short_list() -> None:
    reading = parsed(unified(mmr="5000", mgnRatio="8", notionalUsdForSwap="0"), settings=IN_MULTI)
    assert reading.positions == ()


async def test_a_list_that_is_short_for_good_is_told_though_the_account_was_never_read_before(house: House) -> None:
    house.server.misbehave(Fault(kind=FaultKind.NO_POSITIONS, path=POSITIONS))
    for profile in ({}, {"acct_lv": MULTI}, {"acct_lv": PORTFOLIO}):
        failure = failed(await house.open(an_account("mixed", **profile)).observe())
        assert failure.kind is FailureKind.IMPLAUSIBLE


# --- modes ---


@pytest.mark.parametrize(
    ("config", "said"),
    [({"acctLv": "5"}, "acctLv is 5"), ({"posMode": "odd_mode"}, "odd_mode"), ({"stgyType": "2"}, "stgyType is 2")],
)
async def test_an_account_of_another_kind_is_refused_in_words(house: House, config: Json, said: str) -> None:
    failure = failed(await house.open(an_account("mixed", config=config)).observe())
    assert failure.kind is FailureKind.UNSUPPORTED
    assert said in failure.detail


async def test_a_delta_neutral_strategy_is_told_of(house: House) -> None:
    snapshot = await read(house, "mixed", config={"stgyType": "1"})
    assert any("delta neutral" in caveat for caveat in snapshot.caveats)


async def test_the_mode_is_told_in_words(house: House) -> None:
    for name, words in (("mixed", "futures mode, net positions"), ("hedged", "futures mode, long/short positions")):
        settings = await VENUE.read_settings(house.open(futures(name))._client)
        assert settings.mode == words


@pytest.mark.parametrize("mode", [MULTI, PORTFOLIO])
async def test_a_mode_changed_while_running_is_noticed_by_the_first_reply_that_does_not_fit(
    house: House, mode: str
) -> None:
    source = house.open(futures("mixed"))
    pools = {margin.pool for margin in good(await source.observe()).margins}
    assert "cross:USDT" in pools
    house.server.set_profile("mixed", acct_lv=mode)
    assert failed(await source.observe()).kind is FailureKind.MALFORMED
    assert "cross:USD" in {margin.pool for margin in good(await source.observe()).margins}
    house.server.set_profile("mixed", acct_lv="2")
    assert failed(await source.observe()).kind is FailureKind.MALFORMED
    assert {margin.pool for margin in good(await source.observe()).margins} == pools


async def test_spot_mode_has_no_contracts_and_a_pool_only_where_it_may_borrow(house: House) -> None:
    snapshot = await read(house, "mixed", acct_lv=SPOT)
    assert (snapshot.positions, snapshot.margins) == ((), ())
    borrowing = {"adjEq": "1000", "imr": "50", "mmr": "25", "mgnRatio": "40"}
    (pool,) = (await read(house, "mixed", acct_lv=SPOT, of_balance=borrowing)).margins
    assert (pool.pool, pool.equity, pool.maintenance_margin, pool.margin_ratio) == ("cross:USD", 1000, 25, 0.025)
    with pytest.raises(ReadError, match="spot mode"):
        parsed(a_balance(), a_row(), settings=AccountSettings(mode="spot mode, net positions"))


# --- demo trading, refusals ---


async def test_demo_trading_is_asked_for_by_a_header_and_keys_are_of_one_of_the_two(house: House) -> None:
    house.engine.add_account("demo", api_key="demo-key", secret="demo-secret")
    house.engine.deposit("demo", "USDT", 1_000)
    assert good(await house.open(futures("demo"), mode=Mode.DEMO).observe()).margins
    for name, mode in (("demo", Mode.LIVE), ("mixed", Mode.DEMO)):
        failure = failed(await house.open(futures(name), mode=mode).observe())
        assert (failure.kind, "50101" in failure.detail) == (FailureKind.AUTH, True)


async def test_a_wrong_passphrase_is_told_as_a_bad_key(house: House) -> None:
    wrong = {"apiKey": "mixed-key", "secret": "mixed-secret", "password": "wrong"}
    failure = failed(await house.open(futures("mixed"), credentials=wrong).observe())
    assert (failure.kind, "PASSPHRASE" in failure.detail) == (FailureKind.AUTH, True)


async def test_a_clock_that_runs_ahead_is_set_by_the_venues(house: House) -> None:
    source = house.open(futures("mixed"))
    good(await source.observe())
    house.server.misbehave(Fault(kind=FaultKind.CLOCK_SKEW, seconds=-90))
    good(await source.observe())


async def test_a_reply_that_is_no_success_is_malformed_whatever_it_holds(house: House) -> None:
    async def half_done(_query: object) -> Json:
        return {"code": "2", "data": [{}], "msg": ""}

    client = house.open(futures("mixed"))._client
    client.privateGetAccountConfig = half_done
    with pytest.raises(ReadError, match="no success"):
        await VENUE.read_settings(client)


async def test_a_balance_of_two_accounts_is_malformed(house: House) -> None:
    client = house.open(futures("mixed"))._client
    reply = await client.privateGetAccountBalance()

    async def twice(_query: object) -> Json:
        return {**reply, "data": reply["data"] * 2}

    client.privateGetAccountBalance = twice
    with pytest.raises(ReadError, match="expected one row"):
        await VENUE.read_account(client, IN_FUTURES)
    assert house.server.counts[BALANCE] == 1
