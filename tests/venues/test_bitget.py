"""What Bitget alone has: two kinds of accounts and their modes, lists, samples of its documents."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from monitor.domain.account import (
    FailureKind,
    Instrument,
    MarginMode,
    PriceOrigin,
    Side,
)
from monitor.exchange.failures import ReadError
from monitor.exchange.venues.bitget import VENUE
from monitor.exchange.venues.venue import AccountReading, AccountSettings
from monitor.paper.contract import Contract
from monitor.paper.faults import Fault, FaultKind
from tests.reading import ShiftedClock, failed, good
from tests.venues import bitget
from tests.venues.bitget import CLASSIC_POSITIONS, UNIFIED_POSITIONS, reading
from tests.venues.kit import AccountCase, a_house, book_of

MIXED, HEDGED = bitget.CLASSIC.accounts
IN_ONE = bitget.UNIFIED.accounts[0]
IN_COIN = bitget.UNIFIED_COIN.accounts[0]
CLASSIC = AccountSettings(mode="classic account, single-asset mode")
UNIFIED = AccountSettings(mode="unified account, advanced mode, one-way")
SETTINGS = "/api/v3/account/settings"


async def refused(account: AccountCase, **profile: Any) -> tuple[FailureKind, str]:
    async with reading(account, **profile) as (_, source, _clock):
        failure = failed(await source.observe())
        return failure.kind, failure.detail


# --- modes ---


@pytest.mark.parametrize(
    ("account", "profile", "mode"),
    [
        (MIXED, {}, "classic account, single-asset mode"),
        (MIXED, {"of_accounts": {"USDT": {"assetMode": "union"}}}, "classic account, multi-assets mode"),
        (IN_ONE, {}, "unified account, advanced mode, one-way"),
        (IN_ONE, {"account_mode": "hybrid", "level": "basic"}, "unified account, basic mode, one-way"),
        (bitget.UNIFIED.accounts[1], {"level": "isolated"}, "unified account, isolated mode, hedge"),
    ],
)
async def test_the_mode_is_told_in_words(account: AccountCase, profile: Mapping[str, Any], mode: str) -> None:
    async with reading(account, **profile) as (_, source, _clock):
        assert (await VENUE.read_settings(source._client)).mode == mode


@pytest.mark.parametrize(
    ("profile", "kind"),
    [
        ({"account_mode": "upgrading"}, FailureKind.MAINTENANCE),
        ({"account_mode": "switching"}, FailureKind.MAINTENANCE),
        ({"account_mode": "telepathic"}, FailureKind.UNSUPPORTED),
        ({"level": "delta"}, FailureKind.UNSUPPORTED),
    ],
)
async def test_a_mode_that_is_not_to_be_read_is_refused(profile: Mapping[str, str], kind: FailureKind) -> None:
    assert (await refused(IN_ONE, **profile))[0] is kind


async def test_an_unknown_asset_mode_of_a_classic_account_is_refused() -> None:
    kind, detail = await refused(MIXED, of_accounts={"USDT": {"assetMode": "telepathic"}})
    assert kind is FailureKind.UNSUPPORTED
    assert "telepathic" in detail


async def test_an_account_that_is_moved_to_the_other_kind_while_it_is_watched_is_read_on() -> None:
    async with reading(MIXED) as (house, source, clock):
        before = good(await source.observe())
        house.server.set_profile("mixed", unified=True)
        after = good(await source.observe())
        assert len(after.positions) == len(before.positions)
        assert after.margin("cross:USD") is not None
        house.server.set_profile("mixed", unified=False)
        assert failed(await source.observe()).kind is FailureKind.UNSUPPORTED
        clock.ahead += timedelta(minutes=2)
        assert good(await source.observe()).margin("cross:USDT") is not None


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(kind=FaultKind.BAD_KEY, path=SETTINGS), FailureKind.AUTH),
        (Fault(kind=FaultKind.OVERLOADED, path=SETTINGS), FailureKind.OVERLOADED),
        (Fault(kind=FaultKind.SERVER_ERROR, path=SETTINGS), FailureKind.OVERLOADED),
        (Fault(kind=FaultKind.EMPTY_OBJECT, path=SETTINGS), FailureKind.MALFORMED),
    ],
)
async def test_a_unified_account_whose_mode_is_not_told_is_not_taken_for_a_classic_one(
    fault: Fault, kind: FailureKind
) -> None:
    async with reading(IN_ONE) as (house, source, _clock):
        house.server.misbehave(fault)
        assert failed(await source.observe()).kind is kind


# --- lists ---


@pytest.mark.parametrize("product", ["USDT-FUTURES", "USDC-FUTURES", "COIN-FUTURES"])
@pytest.mark.parametrize("account", [MIXED, IN_ONE], ids=["classic", "unified"])
async def test_each_list_of_positions_is_needed_even_where_it_would_be_empty(
    account: AccountCase, product: str
) -> None:
    positions = UNIFIED_POSITIONS if account is IN_ONE else CLASSIC_POSITIONS
    async with reading(account) as (house, source, _clock):
        house.server.misbehave(Fault(kind=FaultKind.EMPTY_OBJECT, path=f"{positions} {product}"))
        assert failed(await source.observe()).kind is FailureKind.MALFORMED


async def test_a_position_in_a_classic_contract_settled_in_coin_is_refused_and_not_left_out() -> None:
    kind, detail = await refused(MIXED, coin_positions=({"symbol": "BTCUSD", "total": "0.1"},))
    assert kind is FailureKind.UNSUPPORTED
    assert "BTCUSD" in detail


@pytest.mark.parametrize("account", [MIXED, IN_ONE], ids=["classic", "unified"])
async def test_a_position_margined_in_another_coin_is_refused(account: AccountCase) -> None:
    kind, detail = await refused(account, of_positions={"marginCoin": "BGB"})
    assert kind is FailureKind.UNSUPPORTED
    assert "BGB" in detail


@pytest.mark.parametrize(
    ("account", "positions"), [(MIXED, CLASSIC_POSITIONS), (IN_ONE, UNIFIED_POSITIONS)], ids=["classic", "unified"]
)
async def test_an_account_that_owes_more_than_its_positions_explain_lists_them_short(
    account: AccountCase, positions: str
) -> None:
    async with reading(account) as (house, source, _clock):
        house.server.misbehave(Fault(kind=FaultKind.NO_POSITIONS, path=f"{positions} USDT-FUTURES"))
        failure = failed(await source.observe())
        assert failure.kind is FailureKind.IMPLAUSIBLE
        assert "a list is short" in failure.detail


async def test_what_a_unified_account_owes_on_borrowed_money_is_no_missing_position() -> None:
    async with reading(IN_ONE) as (house, source, _clock):
        owed = {"mmr": "5000.0", "mgnRatio": "0.5"}
        house.server.set_profile("mixed", unified=True, of_accounts={"USD": owed})
        assert failed(await source.observe()).kind is FailureKind.IMPLAUSIBLE
        borrowed = {**owed, "assets": [{"coin": "USDT", "debt": "1000.0"}]}
        house.server.set_profile("mixed", unified=True, of_accounts={"USD": borrowed})
        pool = good(await source.observe()).margin("cross:USD")
        assert pool is not None
        assert pool.margin_ratio == pytest.approx(0.5)


@pytest.mark.parametrize("account", [MIXED, IN_ONE, IN_COIN], ids=["classic", "unified", "coin"])
async def test_contracts_counted_in_another_unit_are_not_believed(account: AccountCase) -> None:
    async with reading(account) as (house, source, _clock):
        held = house.engine.positions(account.account)[0].contracts
        house.server.set_profile(account.account, **account.profile, of_positions={"total": f"{held * 100:g}"})
        assert failed(await source.observe()).kind is FailureKind.IMPLAUSIBLE


@pytest.mark.parametrize("account", [MIXED, IN_ONE], ids=["classic", "unified"])
@pytest.mark.parametrize("how", [FaultKind.SERVER_ERROR, FaultKind.HANG, FaultKind.EMPTY_LIST, FaultKind.NOT_A_NUMBER])
async def test_a_rank_that_is_not_told_costs_no_read(account: AccountCase, how: FaultKind) -> None:
    async with reading(account) as (house, source, _clock):
        house.server.misbehave(Fault(kind=how, path="*adlRank*"))
        snapshot = good(await source.observe())
        assert len(snapshot.positions) == 3
        assert {position.adl_rank for position in snapshot.positions} == {None}


@pytest.mark.parametrize("account", [MIXED, IN_ONE], ids=["classic", "unified"])
@pytest.mark.parametrize(
    ("told", "origin"),
    [
        ("0", PriceOrigin.NONE),
        ("-31.5", PriceOrigin.NONE),
        ("", PriceOrigin.OWN_ESTIMATE),
        (None, PriceOrigin.OWN_ESTIMATE),
    ],
)
async def test_that_there_is_no_liquidation_price_is_told_apart_from_one_that_is_not_told(
    account: AccountCase, told: str | None, origin: PriceOrigin
) -> None:
    async with reading(account, of_positions={"liquidationPrice": told}) as (_, source, _clock):
        (isolated,) = good(await source.observe()).positions_in("isolated:SOL/USDT:USDT:long")
        assert isolated.liquidation_price_origin is origin


async def test_the_ratio_of_a_multi_assets_account_is_over_all_its_money() -> None:
    money = {"assetMode": "union", "unionTotalMagin": "90000.0", "unionAvailable": "80000.0"}
    async with reading(MIXED, of_accounts={"USDT": {**money, "crossedRiskRate": "0.004"}}) as (_, source, _clock):
        pool = good(await source.observe()).margin("cross:USDT")
        assert pool is not None
        assert (pool.equity, pool.available) == (90_000.0, 80_000.0)
        assert pool.margin_ratio == pytest.approx(0.004)


async def test_a_classic_pool_whose_ratio_is_0_though_it_holds_positions_is_summed_of_them_and_marked() -> None:
    async with reading(MIXED, of_accounts={"USDT": {"crossedRiskRate": "0"}}) as (_, source, _clock):
        pool = good(await source.observe()).margin("cross:USDT")
        assert pool is not None
        assert pool.maintenance_margin
        assert [estimate.figure for estimate in pool.estimates] == ["maintenance_margin"]


async def test_a_coin_contract_reprices_a_unified_account_by_its_mark_and_says_so() -> None:
    async with reading(IN_COIN) as (_, source, _clock):
        positions = good(await source.observe()).positions
        assert {p.instrument.symbol for p in positions} == {"BTC/USD:BTC", "ETH/USD:ETH"}
        for position in positions:
            assert position.pool_rate == position.mark_price
            assert {e.figure for e in position.estimates} == {"maintenance_margin", "pool_rate"}


# --- samples of the venue's documents ---


def instrument(symbol: str) -> Instrument:
    base, rest = symbol.split("/")
    quote, settle = rest.split(":")
    return Instrument(
        venue="bitget",
        symbol=symbol,
        base=base,
        quote=quote,
        settle=settle,
        contract_size=1.0,
        inverse=settle == base,
    )


LISTED = {"BTCUSDT": instrument("BTC/USDT:USDT")}
# Of "Get all positions"; its mark is that at which the profit told is made.
ISOLATED_LONG = {
    "marginCoin": "USDT",
    "symbol": "BTCUSDT",
    "holdSide": "long",
    "marginSize": "9.5",
    "total": "0.01",
    "leverage": "20",
    "openPriceAvg": "25000",
    "marginMode": "isolated",
    "posMode": "hedge_mode",
    "unrealizedPL": "1.1695",
    "liquidationPrice": "24129.0",
    "keepMarginRate": "0.004",
    "markPrice": "25116.95",
    "marginRatio": "0.108288",
    "assetMode": "single",
}
# Of "Get position info".
UNIFIED_LONG = {
    "category": "USDT-FUTURES",
    "symbol": "BTCUSDT",
    "marginCoin": "USDT",
    "holdMode": "hedge_mode",
    "posSide": "long",
    "marginMode": "crossed",
    "positionBalance": "0",
    "total": "0.01",
    "leverage": "20",
    "avgPrice": "25000",
    "unrealisedPnl": "1.1695",
    "liquidationPrice": "-1",
    "mmr": "0.004",
    "markPrice": "25116.95",
}
ACCOUNT = {"marginCoin": "USDT", "accountEquity": "110.6695", "crossedMaxAvailable": "100", "crossedRiskRate": "0"}


def of_data(data: Any) -> dict[str, Any]:
    return {"code": "00000", "data": data}


def classic(*found: Mapping[str, Any], **account: Any) -> AccountReading:
    positions = [of_data(list(found)), of_data([]), of_data([])]
    accounts = [of_data([{**ACCOUNT, **account}]), of_data([])]
    return VENUE.parse_account((positions, accounts, [None, None]), LISTED, CLASSIC)


def test_an_isolated_classic_position_owes_the_fee_of_closing_too() -> None:
    read = classic(ISOLATED_LONG)
    (position,) = read.positions
    pools = {pool.pool: pool for pool in read.margins}
    own = pools["isolated:BTC/USDT:USDT:long"]
    assert own.equity == pytest.approx(10.6695)
    assert own.initial_margin == 9.5
    assert own.maintenance_margin == position.maintenance_margin == pytest.approx(0.0046 * 251.1695, rel=1e-4)
    assert pools["cross:USDT"].equity == pytest.approx(100.0)
    assert (position.side, position.margin_mode) == (Side.LONG, MarginMode.ISOLATED)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"holdSide": "up"}, FailureKind.MALFORMED),
        ({"marginMode": "portfolio"}, FailureKind.MALFORMED),
        ({"total": "-0.01"}, FailureKind.MALFORMED),
        ({"markPrice": "0"}, FailureKind.MALFORMED),
        ({"unrealizedPL": ""}, FailureKind.MALFORMED),
        ({"marginSize": None}, FailureKind.MALFORMED),
    ],
)
def test_a_classic_row_that_is_not_sound_is_no_position(change: Mapping[str, Any], kind: FailureKind) -> None:
    with pytest.raises(ReadError) as raised:
        classic({**ISOLATED_LONG, **change})
    assert raised.value.kind is kind


def test_a_classic_position_that_is_listed_twice_is_malformed() -> None:
    with pytest.raises(ReadError, match="listed twice"):
        classic(ISOLATED_LONG, ISOLATED_LONG)


def test_a_classic_position_in_a_coin_of_which_no_account_is_told_is_malformed() -> None:
    with pytest.raises(ReadError, match="USDT is not listed"):
        classic(ISOLATED_LONG, marginCoin="USDC")


@pytest.mark.parametrize("data", [None, {}, {"list": []}])
def test_a_classic_reply_without_its_list_is_not_a_flat_account(data: Any) -> None:
    with pytest.raises(ReadError) as raised:
        VENUE.parse_account(([of_data(data)] * 3, [of_data([])] * 2, [None, None]), LISTED, CLASSIC)
    assert raised.value.kind is FailureKind.MALFORMED


def unified(data: Any, **account: Any) -> AccountReading:
    told = {"effEquity": "1000.0", "mmr": "1.0", "imr": "12.6", "mgnRatio": "0.00115", "assets": [], **account}
    positions = [of_data(data), of_data({"list": None}), of_data({"list": None})]
    return VENUE.parse_account((positions, of_data(told), [None]), LISTED, UNIFIED)


def test_a_unified_account_that_holds_nothing_lists_null() -> None:
    assert unified({"list": None}, mmr="0", mgnRatio="0").positions == ()


@pytest.mark.parametrize("data", [{}, None, [], {"positions": []}])
def test_a_unified_reply_without_its_list_is_not_a_flat_account(data: Any) -> None:
    with pytest.raises(ReadError) as raised:
        unified(data, mmr="0", mgnRatio="0")
    assert raised.value.kind is FailureKind.MALFORMED


@pytest.mark.parametrize(("ratio", "owed"), [("0.00115", 1.15), ("0", 1.0), ("0.0005", 1.0)])
def test_a_unified_pool_owes_what_its_ratio_says_or_what_is_told_where_that_is_more(ratio: str, owed: float) -> None:
    (pool,) = unified({"list": [{**UNIFIED_LONG, "positionBalance": "12.7"}]}, mgnRatio=ratio).margins
    assert pool.maintenance_margin == pytest.approx(owed)


def test_a_unified_position_that_binds_nothing_is_not_believed() -> None:
    with pytest.raises(ReadError, match="yet bind 0") as raised:
        unified({"list": [UNIFIED_LONG]})
    assert raised.value.kind is FailureKind.IMPLAUSIBLE


# --- public ---


async def test_a_mark_that_is_not_sound_is_unknown_and_costs_no_other() -> None:
    async with reading(MIXED) as (house, source, _clock):
        listed = await VENUE.read_instruments(source._client)
        house.server.misbehave(
            Fault(kind=FaultKind.NOT_A_NUMBER, path="/api/v3/market/tickers USDT-FUTURES", fields=("markPrice",))
        )
        marks = await VENUE.read_marks(source._client, listed, {})
        assert marks["BTC/USDT:USDT"] is None
        assert marks["BTC/USDC:USDC"] is not None


async def test_brackets_that_leave_a_gap_are_not_believed() -> None:
    def with_a_gap(contract: Contract) -> Contract:
        first, *rest = bitget.CLASSIC.terms(contract).brackets
        return replace(bitget.CLASSIC.terms(contract), brackets=(first._replace(cap=first.cap / 2), *rest))

    clock = ShiftedClock()
    case = replace(bitget.CLASSIC, terms=with_a_gap)
    async with a_house(case, clock, book_of(case, clock.now())) as house:
        client = house.open(MIXED)._client
        listed = await VENUE.read_instruments(client)
        held = {i.symbol: i for i in listed.values() if i.symbol == "BTC/USDT:USDT"}
        with pytest.raises(ReadError, match="a bracket begins at 50000"):
            await VENUE.read_tiers(client, listed, held)
