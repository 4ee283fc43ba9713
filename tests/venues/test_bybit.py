"""What only Bybit has: three margin modes, options in its totals, stop orders, records of ends, rights of a key."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from monitor.domain.account import (
    AccountSnapshot,
    End,
    EndKind,
    FailureKind,
    Instrument,
    OrderKind,
    PollFailure,
    PriceOrigin,
    Side,
    StopOrder,
)
from monitor.exchange.failures import ReadError
from monitor.exchange.source import AccountSource
from monitor.exchange.venues import bybit
from monitor.exchange.venues.bybit import VENUE
from monitor.exchange.venues.bybit_account import collateral
from monitor.exchange.venues.coins import dollar_rates
from monitor.exchange.venues.venue import AccountSettings, KeyFacts
from monitor.paper.dialects.bybit_account import READ_ONLY
from monitor.paper.faults import Fault, FaultKind
from monitor.paper.unified import worth
from tests.builders import needs_shared
from tests.bybit import recorded_positions
from tests.reading import ShiftedClock, failed, good
from tests.venues.bybit import LINEAR, USDC, USDT, WALLET
from tests.venues.kit import AccountCase, House, a_house, book_of

LTC = Instrument(
    venue="bybit", symbol="LTC/USDT:USDT", base="LTC", quote="USDT", settle="USDT", contract_size=1.0, inverse=False
)
CROSS = AccountSettings(mode="unified, cross margin")
OPTION = {"symbol": "BTC-26JUN26-90000-P", "side": "Sell", "size": "1.0", "positionIdx": 0}


@pytest.fixture
def clock() -> ShiftedClock:
    return ShiftedClock()


@pytest.fixture
async def house(clock: ShiftedClock) -> AsyncIterator[House]:
    async with a_house(LINEAR, clock, book_of(LINEAR, clock.now())) as opened:
        yield opened


def an_account(name: str, **profile: Any) -> AccountCase:
    return AccountCase(account=name, name=name, pools=lambda _engine, _owner: (), profile=profile)


async def read(house: House, name: str, **profile: Any) -> AccountSnapshot:
    return good(await house.open(an_account(name, **profile)).observe())


# --- recorded ---


def wallet(**coin: str) -> dict[str, Any]:
    totals = dict.fromkeys(
        ("totalMarginBalance", "totalMaintenanceMargin", "totalInitialMargin", "totalAvailableBalance"), "100"
    )
    usdt = {"coin": "USDT", "equity": "100", "usdValue": "99.9", "totalPositionMM": "0.81072399", **coin}
    return {"list": [{"accountType": "UNIFIED", "accountMMRate": "0.01", **totals, "coin": [usdt]}]}


@needs_shared
def test_a_recorded_position_is_read_to_the_venues_own_figures() -> None:
    listed = recorded_positions()["result"]["list"]
    reading = VENUE.parse_account((wallet(), [listed, [], []]), {"LTCUSDT": LTC}, CROSS)
    (position,) = reading.positions
    assert (position.side, position.contracts, position.size) == (Side.LONG, 1.2, 1.2)
    assert (position.entry_price, position.mark_price) == (64.59947917, 71.1)
    assert position.notional == pytest.approx(1.2 * 71.1)
    assert (position.initial_margin, position.maintenance_margin) == (12.95542633, 0.81072399)
    assert (position.unrealized_pnl, position.leverage, position.adl_rank) == (7.800625, 6, 2)
    assert (position.liquidation_price, position.liquidation_price_origin) == (None, PriceOrigin.NONE)
    assert position.pool_rate == pytest.approx(0.999)
    assert reading.margin_in_use == 0.81072399


@needs_shared
@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"size": ""}, FailureKind.MALFORMED),
        ({"size": "-1.2"}, FailureKind.MALFORMED),
        ({"side": ""}, FailureKind.MALFORMED),
        ({"positionIdx": "2"}, FailureKind.MALFORMED),
        ({"positionIdx": "3"}, FailureKind.MALFORMED),
        ({"markPrice": ""}, FailureKind.MALFORMED),
        ({"positionMM": ""}, FailureKind.MALFORMED),
        ({"positionMM": "-1"}, FailureKind.MALFORMED),
        ({"symbol": "XYZUSDT"}, FailureKind.MALFORMED),
        ({"positionValue": "7751.9375"}, FailureKind.IMPLAUSIBLE),
    ],
)
def test_a_recorded_position_made_strange_is_no_position(change: dict[str, str], kind: FailureKind) -> None:
    row = {**recorded_positions()["result"]["list"][0], **change}
    with pytest.raises(ReadError) as refused:
        VENUE.parse_account((wallet(), [[row], [], []]), {"LTCUSDT": LTC}, CROSS)
    assert refused.value.kind is kind


@needs_shared
@pytest.mark.parametrize(
    ("told", "origin"),
    [({}, PriceOrigin.UNKNOWN), ({"liqPrice": None}, PriceOrigin.UNKNOWN), ({"liqPrice": ""}, PriceOrigin.NONE)],
)
def test_a_liquidation_price_left_out_is_unknown_and_an_empty_one_is_none(
    told: dict[str, Any], origin: PriceOrigin
) -> None:
    row = recorded_positions()["result"]["list"][0]
    del row["liqPrice"]
    reading = VENUE.parse_account((wallet(), [[{**row, **told}], [], []]), {"LTCUSDT": LTC}, CROSS)
    assert reading.positions[0].liquidation_price_origin is origin


@needs_shared
def test_one_position_in_two_lists_is_malformed() -> None:
    listed = recorded_positions()["result"]["list"]
    with pytest.raises(ReadError, match="listed twice"):
        VENUE.parse_account((wallet(), [listed, listed, []]), {"LTCUSDT": LTC}, CROSS)


# --- modes ---


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        ({"unified_margin_status": 1}, "unifiedMarginStatus 1"),
        ({"unified_margin_status": 4}, "unifiedMarginStatus 4"),
        ({"margin_mode": "SOMETHING_NEW"}, "SOMETHING_NEW"),
    ],
)
async def test_an_account_of_another_kind_is_refused_in_words(house: House, profile: dict[str, Any], said: str) -> None:
    failure = failed(await house.open(an_account("mixed", **profile)).observe())
    assert failure.kind is FailureKind.UNSUPPORTED
    assert said in failure.detail


async def test_a_mode_changed_while_running_is_noticed_by_the_first_reply_that_does_not_fit(house: House) -> None:
    source = house.open(an_account("mixed"))
    assert [m.pool for m in good(await source.observe()).margins] == ["cross:USD"]
    house.server.set_profile("mixed", margin_mode="PORTFOLIO_MARGIN")
    assert failed(await source.observe()).kind is FailureKind.MALFORMED
    assert {p.leverage for p in good(await source.observe()).positions} == {None}


async def test_what_a_coin_counts_in_the_pool_is_by_the_venues_own_value_of_it(house: House) -> None:
    rates = worth(house.engine)
    for name in ("two", "coin"):
        positions = (await read(house, name)).positions
        assert [p.pool_rate for p in positions] == [pytest.approx(rates[p.instrument.settle]) for p in positions]


def test_a_coin_the_account_has_none_of_counts_by_the_mark_or_as_a_dollar() -> None:
    worth = partial(dollar_rates, value="usdValue", equity="equity")
    assert worth({"USDT": {"equity": "0", "usdValue": "0"}}) == {}
    assert worth({"USDT": {"equity": "5", "usdValue": ""}}) == {}
    assert worth({"USDT": {"equity": "-5", "usdValue": "-4.9"}}) == {"USDT": pytest.approx(0.98)}


# --- a short list, and options ---


async def test_a_list_that_is_short_for_good_is_told_though_the_account_was_never_read_before(house: House) -> None:
    house.server.misbehave(Fault(kind=FaultKind.NO_POSITIONS, path=USDT))
    failure = failed(await house.open(an_account("mixed")).observe())
    assert failure.kind is FailureKind.IMPLAUSIBLE
    assert "USDT" in failure.detail


async def test_options_owe_margin_that_no_list_explains_and_are_told_of(house: House) -> None:
    source = house.open(an_account("mixed", options=(OPTION,)))
    house.server.misbehave(Fault(kind=FaultKind.NO_POSITIONS, path=USDT))
    snapshot = good(await source.observe())
    assert any("options are held" in caveat for caveat in snapshot.caveats)


async def test_options_opened_while_running_are_noticed_within_one_read(house: House) -> None:
    source = house.open(an_account("two"))
    assert good(await source.observe()).caveats == ()
    house.server.set_profile("two", options=(OPTION,))
    house.server.misbehave(Fault(kind=FaultKind.NO_POSITIONS, path=USDC))
    assert any("options are held" in caveat for caveat in good(await source.observe()).caveats)


async def test_options_that_a_key_may_not_read_may_be_held(house: House) -> None:
    snapshot = await read(house, "mixed", options=None)
    assert len(snapshot.positions) == 2
    assert any("options are held" in caveat for caveat in snapshot.caveats)


# --- pages and public data ---


class Pages:
    """Answers a call with one page after the other."""

    def __init__(self, *pages: dict[str, Any]) -> None:
        self.left = list(pages)
        self.asked: list[Any] = []

    async def __call__(self, query: Any) -> Any:
        self.asked.append(dict(query))
        return {"retCode": 0, "result": self.left.pop(0) if len(self.left) > 1 else self.left[0]}


async def test_a_page_that_is_not_full_is_the_last_whatever_cursor_it_tells() -> None:
    pages = Pages({"list": [{}, {}], "nextPageCursor": "a%2C1"}, {"list": [{}], "nextPageCursor": "b"})
    assert len(await bybit.pages(pages, {"category": "linear"}, 2)) == 3
    assert [asked.get("cursor") for asked in pages.asked] == [None, "a%2C1"]


async def test_a_cursor_that_comes_again_is_malformed() -> None:
    with pytest.raises(ReadError, match="follows itself"):
        await bybit.pages(Pages({"list": [{}, {}], "nextPageCursor": "a"}), {}, 2)


async def test_pages_without_end_are_not_cut_short_in_silence() -> None:
    endless = Pages(*({"list": [{}], "nextPageCursor": str(n)} for n in range(100)))
    with pytest.raises(ReadError, match="more than"):
        await bybit.pages(endless, {}, 1)


def a_bracket(cap: str, rate: str, leverage: str, deduction: str, unit: float = 1.0) -> dict[str, str]:
    return {
        "symbol": "LTCUSDT",
        "riskLimitValue": cap,
        "maintenanceMargin": rate,
        "initialMargin": f"{unit / float(leverage)}",
        "maxLeverage": leverage,
        "mmDeduction": deduction,
    }


@pytest.mark.parametrize(
    "brackets",
    [
        [a_bracket("200000", "0.01", "50", ""), a_bracket("400000", "0.015", "25", "1000")],
        [a_bracket("400000", "0.015", "25", ""), a_bracket("200000", "0.01", "50", "")],
        [a_bracket("200000", "1", "50", "", 100), a_bracket("400000", "1.5", "25", "", 100)],
    ],
    ids=["amounts told", "amounts left out, in another order", "in percent, as the documents show them"],
)
def test_brackets_are_the_same_however_they_are_written(brackets: list[dict[str, str]]) -> None:
    read_as = bybit.tiers_of(brackets, "LTCUSDT")
    assert [(tier.floor, tier.cap) for tier in read_as] == [(0, 200_000), (200_000, 400_000)]
    assert [tier.rate for tier in read_as] == [0.01, pytest.approx(0.015)]
    assert [tier.amount for tier in read_as] == [0, pytest.approx(1000)]


@pytest.mark.parametrize(
    "brackets",
    [[], [a_bracket("200000", "0.01", "50", "", 10)], [{**a_bracket("200000", "0.01", "50", ""), "symbol": "BTCUSDT"}]],
    ids=["none", "of no unit", "of another contract"],
)
def test_brackets_that_cannot_be_are_malformed(brackets: list[dict[str, str]]) -> None:
    with pytest.raises(ReadError):
        bybit.tiers_of(brackets, "LTCUSDT")


async def test_the_size_of_an_inverse_contract_is_a_dollar_and_not_its_smallest_order(house: House) -> None:
    sizes = {p.instrument.symbol: p.instrument.contract_size for p in (await read(house, "coin")).positions}
    assert sizes == {"BTC/USD:BTC": 1.0, "ETH/USD:ETH": 1.0}


# --- stop orders, ends, keys ---


def a_stop(**changes: Any) -> dict[str, Any]:
    given = {
        "symbol": "BTCUSDT",
        "side": "Sell",
        "positionIdx": 0,
        "stopOrderType": "StopLoss",
        "triggerPrice": "90000",
        "triggerDirection": 2,
        "qty": "0.5",
        "reduceOnly": True,
        "closeOnTrigger": True,
        "orderStatus": "Untriggered",
    }
    return {**given, **changes}


STOPS = (
    (a_stop(), (Side.LONG, OrderKind.STOP, 90_000, 0.5, True)),
    (a_stop(qty="0"), (Side.LONG, OrderKind.STOP, 90_000, None, True)),
    (a_stop(stopOrderType="PartialTakeProfit"), (Side.LONG, OrderKind.TAKE_PROFIT, 90_000, 0.5, True)),
    (a_stop(stopOrderType="TrailingStop"), (Side.LONG, OrderKind.TRAILING, 90_000, 0.5, True)),
    (a_stop(stopOrderType="Stop"), (Side.LONG, OrderKind.STOP, 90_000, 0.5, True)),
    (a_stop(stopOrderType="Stop", triggerDirection=1), (Side.LONG, OrderKind.TAKE_PROFIT, 90_000, 0.5, True)),
    (
        a_stop(stopOrderType="Stop", side="Buy", triggerDirection=1, reduceOnly=False, closeOnTrigger=False),
        (Side.SHORT, OrderKind.STOP, 90_000, 0.5, False),
    ),
    (
        a_stop(positionIdx=1, reduceOnly=False, closeOnTrigger=False),
        (Side.LONG, OrderKind.STOP, 90_000, 0.5, True),
    ),
    (
        a_stop(symbol="BTCUSD_PERP", side="Buy", qty="9000", triggerPrice="90000"),
        (Side.SHORT, OrderKind.STOP, 90_000, 0.1, True),
    ),
    (a_stop(symbol="ETHUSDC", triggerPrice="3500"), (Side.LONG, OrderKind.STOP, 3_500, 0.5, True)),
)


async def orders_of(source: AccountSource) -> list[StopOrder]:
    instruments = await VENUE.read_instruments(source._client)
    return list(await VENUE.read_orders(source._client, instruments, CROSS))


async def test_stop_orders_of_every_scope_are_read(house: House) -> None:
    source = house.open(an_account("mixed", stops=tuple(row for row, _ in STOPS)))
    read_as = [(o.side, o.kind, o.trigger_price, o.size, o.reduce_only) for o in await orders_of(source)]
    assert sorted(read_as, key=repr) == sorted((due for _, due in STOPS), key=repr)


async def test_more_stop_orders_than_a_page_holds_are_read(house: House) -> None:
    source = house.open(an_account("mixed", stops=tuple(a_stop(qty=f"{n}") for n in range(1, 121))))
    assert [order.size for order in await orders_of(source)] == list(range(1, 121))


def an_execution(kind: str, at: datetime, symbol: str = "BTCUSDT", side: str = "Sell") -> dict[str, Any]:
    at_ms = round(at.timestamp() * 1000)
    told = {"symbol": symbol, "side": side, "execType": kind, "execQty": "0.5", "execPrice": "100", "leavesQty": "0"}
    return {**told, "execTime": str(at_ms)}


async def test_liquidations_and_deleveragings_are_told_by_the_venues_own_executions(
    house: House, clock: ShiftedClock
) -> None:
    now = clock.now().replace(microsecond=0)
    executions = (
        an_execution("Trade", now),
        an_execution("BustTrade", now),
        an_execution("BustTrade", now - timedelta(hours=3)),
        an_execution("BustTrade", now, "DELISTEDUSDT"),
        an_execution("AdlTrade", now, "BTCUSD_PERP", "Buy"),
    )
    source = house.open(an_account("mixed", executions=executions))
    instruments = await VENUE.read_instruments(source._client)
    ends = await VENUE.read_ends(source._client, instruments, CROSS, now - timedelta(hours=1))
    kind, names = EndKind, instruments
    assert list(ends) == [
        End(instrument=names["BTCUSDT"], side=Side.LONG, kind=kind.LIQUIDATED, at=now, contracts=0.5, price=100),
        End(instrument=names["BTCUSD_PERP"], side=Side.SHORT, kind=kind.DELEVERAGED, at=now, contracts=0.5, price=100),
    ]
    long_ago = now - timedelta(days=400)
    assert len(await VENUE.read_ends(source._client, instruments, CROSS, long_ago)) == 3


def rights(**changes: Any) -> dict[str, Any]:
    return {**READ_ONLY, "readOnly": 0, "permissions": {"Wallet": []}, **changes}


@pytest.mark.parametrize(
    ("key", "trades", "withdraws", "restricted"),
    [
        (READ_ONLY, False, False, False),
        ({**READ_ONLY, "permissions": {"Wallet": ["Withdraw"]}, "ips": ["10.0.0.1"]}, False, False, True),
        ({**READ_ONLY, "ips": [""]}, False, False, False),
        (rights(), False, False, False),
        (rights(permissions={"ContractTrade": ["Order"]}), True, False, False),
        (rights(permissions={"Spot": ["SpotTrade"], "Wallet": ["Withdraw"]}, ips=["10.0.0.1"]), True, True, True),
        (rights(permissions={"Wallet": ["SubMemberTransfer"]}, ips=[]), False, True, False),
        (rights(permissions={"Wallet": ["AccountTransfer"]}), False, False, False),
    ],
)
async def test_what_a_key_may_do_is_told(
    house: House, key: dict[str, Any], trades: bool, withdraws: bool, restricted: bool
) -> None:
    facts = await house.open(an_account("mixed", key=key)).key_facts()
    assert isinstance(facts, KeyFacts), facts
    assert (facts.may_trade, facts.may_withdraw, facts.ip_restricted) == (trades, withdraws, restricted)
    assert facts.expires_at == datetime(2031, 5, 15, 3, 21, 5, tzinfo=UTC)
    assert facts.clock_ahead_s == pytest.approx(0, abs=5)
    assert bool(facts.notes) is ("AccountTransfer" in key["permissions"].get("Wallet", ()))


@pytest.mark.parametrize(
    "key", [{"readOnly": 2}, {"permissions": None}, {"permissions": {"Wallet": "all"}}, {"expiredAt": "soon"}]
)
async def test_rights_in_odd_words_are_no_rights(house: House, key: dict[str, Any]) -> None:
    facts = await house.open(an_account("mixed", key={**READ_ONLY, **key})).key_facts()
    assert isinstance(facts, PollFailure), facts
    assert facts.kind is FailureKind.MALFORMED


# --- refusals in the venue's own words ---


async def test_an_address_that_is_banned_is_not_asked_again_for_a_while(house: House, clock: ShiftedClock) -> None:
    house.server.misbehave(Fault(kind=FaultKind.BANNED, path=WALLET))
    failure = failed(await house.open(an_account("mixed")).observe())
    assert failure.kind is FailureKind.BANNED
    assert failure.retry_at is not None
    assert failure.retry_at > clock.now() + timedelta(seconds=60)


async def test_a_clock_that_runs_ahead_is_set_by_the_venues(house: House, clock: ShiftedClock) -> None:
    source = house.open(an_account("mixed"))
    good(await source.observe())
    house.server.misbehave(Fault(kind=FaultKind.CLOCK_SKEW, seconds=-30))
    good(await source.observe())


def test_nothing_counts_of_a_coin_whose_switch_as_collateral_is_off() -> None:
    coins = {
        "BTC": {"usdValue": "60000", "equity": "1", "collateralSwitch": False},
        "ETH": {"usdValue": "3000", "equity": "1", "collateralSwitch": True},
        "PEPE": {"usdValue": "0", "equity": "1e6", "marginCollateral": False},
    }
    assert [(one.coin, one.haircut) for one in collateral(coins)] == [("BTC", 1.0), ("ETH", None)]
