"""What only Gate has: modes told by settle currency, accounts never opened, stop orders, records of ends, keys."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from monitor.domain.account import (
    AccountSnapshot,
    End,
    EndKind,
    FailureKind,
    MarginMode,
    OrderKind,
    PriceOrigin,
    Side,
    StopOrder,
)
from monitor.exchange.failures import ReadError
from monitor.exchange.modes import Mode
from monitor.exchange.registry import venue_of
from monitor.exchange.together import together
from monitor.exchange.venues.venue import AccountSettings, Instruments, KeyFacts
from monitor.paper.faults import Fault, FaultKind
from tests.reading import ShiftedClock, failed, good
from tests.venues.gate import GATE_CASE, SIZES, WORTH, classic, unified
from tests.venues.kit import House, a_house, book_of

VENUE = venue_of("gate")
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
# How a futures account tells its modes where it has no names for them.
BY_NUMBER = {"margin_mode_name": None, "margin_mode": 2}
BY_FLAG = {"position_mode": None, "in_dual_mode": True}


@pytest.fixture
async def house() -> AsyncIterator[House]:
    clock = ShiftedClock()
    async with a_house(GATE_CASE, clock, book_of(GATE_CASE, clock.now())) as opened:
        yield opened


async def read(house: House, account: str, **profile: Any) -> AccountSnapshot:
    if profile:
        house.server.set_profile(account, **profile)
    return good(await house.open(classic(account)).observe())


async def asked(house: House, account: str) -> tuple[Any, Instruments, AccountSettings]:
    """A client of that account, the instruments, and how the account is set up."""
    client = house.open(classic(account))._client
    return client, await VENUE.read_instruments(client), await VENUE.read_settings(client)


# --- modes ---


@pytest.mark.parametrize(
    ("account", "profile", "mode"),
    [
        ("mixed", {}, "usdt classic one-way, btc classic one-way"),
        ("hedged", {"not_open": frozenset({"btc"})}, "usdt classic hedge"),
        ("coin", {"not_open": frozenset({"usdt"})}, "btc classic one-way"),
        ("mixed", {"mode": "multi_currency"}, "usdt multi_currency one-way, btc multi_currency one-way"),
        ("two", {"of_account": BY_NUMBER, "not_open": {"btc"}}, "usdt portfolio one-way"),
        ("two", {"of_account": BY_FLAG, "not_open": {"btc"}}, "usdt classic hedge"),
    ],
)
async def test_the_mode_is_told_of_each_settle_currency(
    house: House, account: str, profile: Mapping[str, Any], mode: str
) -> None:
    house.server.set_profile(account, **profile)
    assert (await asked(house, account))[2].mode == mode


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        ({"not_open": frozenset({"usdt", "btc"})}, "no futures account is open"),
        ({"of_account": {"margin_mode_name": "novel"}}, "'novel'"),
        ({"of_account": {"margin_mode_name": None, "margin_mode": 9}}, "margin mode 9"),
        ({"of_account": {"enable_evolved_classic": False}}, "old classic"),
        ({"of_account": {"position_mode": "split"}}, "'split'"),
        ({"of_positions": {"mode": "dual_plus_long"}}, "dual_plus_long"),
    ],
)
async def test_a_mode_that_is_not_understood_is_refused_in_the_venues_words(
    house: House, profile: Mapping[str, Any], words: str
) -> None:
    house.server.set_profile("mixed", **profile)
    failure = failed(await house.open(classic("mixed")).observe())
    assert failure.kind is FailureKind.UNSUPPORTED
    assert words in failure.detail


async def test_an_account_that_becomes_unified_is_read_as_such_at_once(house: House) -> None:
    source = house.open(classic("hedged"))
    before = good(await source.observe())
    house.server.set_profile("hedged", mode="multi_currency", worth=WORTH)
    after = good(await source.observe())
    assert {m.pool for m in before.margins} == {"cross:USDT", "cross:BTC", "isolated:ETH/USDT:USDT:short"}
    assert {m.pool for m in after.margins} == {"cross:USD", "isolated:ETH/USDT:USDT:short"}


async def test_unified_accounts_that_disagree_on_their_mode_are_not_believed(house: House) -> None:
    house.server.set_profile("mixed", mode="portfolio", worth=WORTH, of_account={"margin_mode_name": "multi_currency"})
    failure = failed(await house.open(classic("mixed")).observe())
    assert failure.kind is FailureKind.IMPLAUSIBLE


async def test_a_coin_position_in_single_currency_mode_is_refused(house: House) -> None:
    house.server.set_profile("coin", mode="single_currency", worth=WORTH)
    failure = failed(await house.open(classic("coin")).observe())
    assert failure.kind is FailureKind.UNSUPPORTED
    assert "cross:BTC" in failure.detail


async def test_the_testnet_is_read_without_contracts_settled_in_coin(house: House) -> None:
    snapshot = good(await house.open(classic("mixed"), mode=Mode.TESTNET).observe())
    assert len(snapshot.positions) == 3
    assert not any("/btc/" in name for name in house.server.counts)


async def test_a_unified_account_of_the_testnet_is_refused(house: House) -> None:
    house.server.set_profile("mixed", mode="multi_currency", worth=WORTH)
    failure = failed(await house.open(classic("mixed"), mode=Mode.TESTNET).observe())
    assert failure.kind is FailureKind.UNSUPPORTED


# --- positions ---


async def test_a_coin_position_counts_in_a_pool_of_dollars_at_its_mark(house: House) -> None:
    snapshot = await read(house, "coin", mode="multi_currency", worth=WORTH)
    (position,) = snapshot.positions
    pool = snapshot.margin("cross:USD")
    assert pool is not None
    assert position.pool == "cross:USD"
    assert position.maintenance_margin is not None
    assert pool.maintenance_margin == pytest.approx(position.maintenance_margin * position.pool_rate)


@pytest.mark.parametrize(
    ("told", "price", "origin"), [("0", None, PriceOrigin.NONE), ("90000.5", 90_000.5, PriceOrigin.VENUE)]
)
async def test_a_long_that_no_price_liquidates_is_told_so(
    house: House, told: str, price: float | None, origin: PriceOrigin
) -> None:
    position = (await read(house, "two", of_positions={"liq_price": told})).positions[0]
    assert (position.liquidation_price, position.liquidation_price_origin) == (price, origin)
    assert position.estimates == ()


@pytest.mark.parametrize("told", ["99999999", "-1", "", None])
async def test_what_tells_no_price_of_a_short_is_not_read_as_none(house: House, told: str | None) -> None:
    """But for 99999999, which says of a short that there is none."""
    house.engine.close("mixed", "BTCUSDT", Side.LONG)
    house.engine.close("mixed", "SOLUSDT", Side.LONG)
    position = (await read(house, "mixed", of_positions={"liq_price": told})).positions[0]
    if told == "99999999":
        assert position.liquidation_price_origin is PriceOrigin.NONE
    else:
        assert position.liquidation_price_origin is PriceOrigin.OWN_ESTIMATE
        assert [e.figure for e in position.estimates] == ["liquidation_price"]


async def test_a_price_that_a_unified_account_does_not_tell_is_ours_and_marked(house: House) -> None:
    snapshot = await read(house, "two", mode="portfolio", worth=WORTH, of_positions={"liq_price": "0"})
    assert [[e.figure for e in p.estimates] for p in snapshot.positions] == [["liquidation_price"]]
    pool = snapshot.margin("cross:USD")
    assert pool is not None
    assert pool.venue_margin_ratio == pytest.approx(pool.margin_ratio)


async def test_margins_written_as_nought_are_unknown_and_made_of_brackets(house: House) -> None:
    told = await read(house, "mixed")
    snapshot = await read(house, "mixed", of_positions={"initial_margin": "0", "maintenance_margin": "0"})
    assert [p.initial_margin for p in snapshot.positions] == [None] * 3
    for position, exact in zip(snapshot.positions, told.positions, strict=True):
        assert "maintenance_margin" in [e.figure for e in position.estimates]
        assert position.maintenance_margin == pytest.approx(exact.maintenance_margin)


@pytest.mark.parametrize(
    ("row", "leverage", "mode"),
    [
        ({"pos_margin_mode": None, "lever": None, "leverage": "0"}, 20, MarginMode.CROSS),
        ({"pos_margin_mode": "cross", "lever": "", "leverage": "0"}, 20, MarginMode.CROSS),
        ({"pos_margin_mode": "cross", "lever": "7", "leverage": "0"}, 7, MarginMode.CROSS),
        ({"lever": None, "leverage": "0", "cross_leverage_limit": "0"}, None, MarginMode.CROSS),
    ],
)
async def test_leverage_and_margin_mode_are_read_by_new_names_and_by_old(
    house: House, row: Mapping[str, Any], leverage: float | None, mode: MarginMode
) -> None:
    house.engine.close("mixed", "SOLUSDT", Side.LONG)
    position = (await read(house, "mixed", of_positions=row)).positions[0]
    assert (position.leverage, position.margin_mode) == (leverage, mode)


async def test_a_position_in_liquidation_has_no_rank(house: House) -> None:
    snapshot = await read(house, "mixed", of_positions={"adl_ranking": 6})
    assert [p.adl_rank for p in snapshot.positions] == [None] * 3


@pytest.mark.parametrize(
    "row",
    [
        {"mode": "dual_short"},
        {"contract": "BTC_USDT"},
        {"contract": "BTC_USD"},
        {"pos_margin_mode": "novel"},
        {"size": "1e400"},
        {"value": None},
    ],
)
async def test_a_position_that_contradicts_itself_is_malformed(house: House, row: Mapping[str, Any]) -> None:
    house.engine.close("mixed", "ETHUSDT", Side.SHORT)
    house.server.set_profile("mixed", of_positions=row)
    assert failed(await house.open(classic("mixed")).observe()).kind in (FailureKind.MALFORMED, FailureKind.IMPLAUSIBLE)


# --- positions that vanish ---


async def test_an_empty_list_of_coin_positions_is_not_a_flat_account(house: House) -> None:
    house.server.misbehave(Fault(kind=FaultKind.EMPTY_LIST, path="/api/v4/futures/btc/positions"))
    assert failed(await house.open(classic("coin")).observe()).kind is FailureKind.IMPLAUSIBLE


async def test_an_isolated_position_that_vanishes_is_missed(house: House) -> None:
    """Its margin is bound still."""
    house.server.set_profile("mixed", of_account={"isolated_position_margin": "800.0"})
    for symbol, side in (("BTCUSDT", Side.LONG), ("ETHUSDT", Side.SHORT), ("SOLUSDT", Side.LONG)):
        house.engine.close("mixed", symbol, side)
    assert failed(await house.open(classic("mixed")).observe()).kind is FailureKind.IMPLAUSIBLE


@pytest.mark.parametrize("mode", ["multi_currency", "single_currency", "portfolio"])
async def test_an_empty_list_is_no_flat_unified_account(house: House, mode: str) -> None:
    source = house.open(unified("mixed", mode))
    house.server.misbehave(Fault(kind=FaultKind.EMPTY_LIST, path="/api/v4/futures/usdt/positions"))
    assert failed(await source.observe()).kind is FailureKind.IMPLAUSIBLE


@pytest.mark.parametrize(
    ("kind", "failure"),
    [
        (FaultKind.EMPTY_OBJECT, FailureKind.MALFORMED),
        (FaultKind.EMPTY_LIST, FailureKind.MALFORMED),
        (FaultKind.NOT_A_NUMBER, FailureKind.MALFORMED),
        (FaultKind.RATE_LIMITED, FailureKind.RATE_LIMIT),
    ],
)
async def test_totals_of_a_unified_account_that_cannot_be_read_fail_the_read(
    house: House, kind: FaultKind, failure: FailureKind
) -> None:
    source = house.open(unified("mixed", "multi_currency"))
    good(await source.observe())
    house.server.misbehave(Fault(kind=kind, path="/api/v4/unified/accounts"))
    assert failed(await source.observe()).kind is failure


async def test_a_list_without_end_is_malformed(house: House) -> None:
    rows = [{"time": 1, "contract": "BTC_USDT", "size": 1}] * 5_001
    house.server.set_profile("mixed", liquidates={"usdt": rows})
    client, instruments, settings = await asked(house, "mixed")
    with pytest.raises(ReadError, match="pages"):
        await VENUE.read_ends(client, instruments, settings, datetime(1970, 1, 1, tzinfo=UTC))


# --- refusals ---


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(kind=FaultKind.CLOCK_SKEW, seconds=-120), FailureKind.CLOCK),
        (Fault(kind=FaultKind.BAD_KEY), FailureKind.AUTH),
        (Fault(kind=FaultKind.OVERLOADED), FailureKind.OVERLOADED),
    ],
)
async def test_refusals_in_the_venues_words_are_understood(house: House, fault: Fault, kind: FailureKind) -> None:
    client, *_ = await asked(house, "mixed")
    house.server.misbehave(fault)
    with pytest.raises(ReadError) as refused:
        await VENUE.read_account(client, AccountSettings(mode="usdt classic one-way"))
    assert refused.value.kind is kind


async def test_a_clock_that_is_off_is_set_right_and_the_read_succeeds(house: House) -> None:
    source = house.open(classic("mixed"))
    house.server.misbehave(Fault(kind=FaultKind.CLOCK_SKEW, seconds=-120))
    assert len(good(await source.observe()).positions) == 3


# --- stop orders ---


def price_order(trigger: Mapping[str, Any], initial: Mapping[str, Any], order_type: str = "") -> dict[str, Any]:
    """A row as Gate's documents show one."""
    return {
        "user": 6320300,
        "trigger": {"strategy_type": 0, "price_type": 0, "expiration": 0, **trigger},
        "initial": {
            "contract": "BTC_USDT",
            "price": "0",
            "tif": "ioc",
            "is_close": False,
            "is_reduce_only": False,
            "auto_size": "",
            **initial,
        },
        "id": 126393906,
        "status": "open",
        "order_type": order_type,
    }


STOP, PROFIT = OrderKind.STOP, OrderKind.TAKE_PROFIT
LONG, SHORT = Side.LONG, Side.SHORT
BELOW, ABOVE = {"price": "100000", "rule": 2}, {"price": "130000", "rule": 1}


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (price_order(BELOW, {"size": "-1000", "is_reduce_only": True}), [(LONG, STOP, 100_000, 0.1, True)]),
        (price_order(ABOVE, {"size": -1000}), [(LONG, PROFIT, 130_000, 0.1, False)]),
        (price_order(ABOVE, {"size": 1000, "is_reduce_only": True}), [(SHORT, STOP, 130_000, 0.1, True)]),
        (price_order(BELOW, {"size": 0, "auto_size": "close_short"}), [(SHORT, PROFIT, 100_000, None, True)]),
        (price_order(BELOW, {"size": 0}, "close-long-position"), [(LONG, STOP, 100_000, None, True)]),
        (price_order(BELOW, {"size": -500}, "plan-close-long-position"), [(LONG, STOP, 100_000, 0.05, True)]),
        (
            price_order(BELOW, {"size": 0, "is_close": True}),
            [(LONG, STOP, 100_000, None, True), (SHORT, PROFIT, 100_000, None, True)],
        ),
        (
            price_order(BELOW, {"contract": "BTC_USD", "size": -1000, "is_reduce_only": True}),
            [(LONG, STOP, 100_000, 0.01, True)],
        ),
    ],
)  # fmt: skip
async def test_a_resting_price_order_is_read(house: House, row: dict[str, Any], told: list[tuple[Any, ...]]) -> None:
    settle = "btc" if row["initial"]["contract"] == "BTC_USD" else "usdt"
    house.server.set_profile("mixed", stops={settle: (row,)})
    client, instruments, settings = await asked(house, "mixed")
    found = await VENUE.read_orders(client, instruments, settings)
    assert [(o.side, o.kind, o.trigger_price, o.size, o.reduce_only) for o in found] == told


async def test_resting_orders_on_further_pages_are_read(house: House) -> None:
    row = price_order(BELOW, {"size": -1})
    house.server.set_profile("mixed", stops={"usdt": [row] * 230})
    client, instruments, settings = await asked(house, "mixed")
    assert len(await VENUE.read_orders(client, instruments, settings)) == 230


@pytest.mark.parametrize(("offset", "rate"), [("0.5%", 0.005), ("250", None)])
async def test_a_trailing_order_is_read(house: House, offset: str, rate: float | None) -> None:
    row = {"contract": "BTC_USDT", "amount": "-1000", "price_offset": offset, "reduce_only": True, "trigger_price": ""}
    house.server.set_profile("mixed", trails={"usdt": (row,)})
    client, instruments, settings = await asked(house, "mixed")
    assert await VENUE.read_orders(client, instruments, settings) == [
        StopOrder(
            instrument=instruments["BTC_USDT"],
            side=Side.LONG,
            kind=OrderKind.TRAILING,
            trigger_price=None,
            callback_rate=rate,
            size=1_000 * SIZES["BTC", "USDT"],
            reduce_only=True,
        )
    ]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/api/v4/futures/usdt/price_orders", FaultKind.EMPTY_OBJECT),
        ("/api/v4/futures/usdt/autoorder/v1/trail/list", FaultKind.EMPTY_OBJECT),
        ("/api/v4/futures/usdt/autoorder/v1/trail/list", FaultKind.EMPTY_LIST),
        ("/api/v4/futures/usdt/liquidates", FaultKind.NULL),
        ("/api/v4/futures/btc/auto_deleverages", FaultKind.EMPTY_OBJECT),
    ],
)
async def test_a_list_that_cannot_be_read_is_not_an_empty_one(house: House, path: str, kind: FaultKind) -> None:
    client, instruments, settings = await asked(house, "mixed")
    house.server.misbehave(Fault(kind=kind, path=path))
    with pytest.raises(ReadError) as refused:
        await together(
            VENUE.read_orders(client, instruments, settings), VENUE.read_ends(client, instruments, settings, AT)
        )
    assert refused.value.kind is FailureKind.MALFORMED


# --- the venue's own records ---


async def test_liquidations_and_deleveragings_are_told_since_then(house: House) -> None:
    """Rows as Gate's documents show them, but for their times."""
    seconds = int(AT.timestamp())
    liquidated = {"contract": "BTC_USDT", "size": 600, "order_price": "3405", "fill_price": "3424", "left": 0}
    deleveraged = {"contract": "BTC_USD", "fill_price": "2790.8082", "position_size": 1, "trade_size": -10}
    house.server.set_profile(
        "mixed",
        liquidates={"usdt": [{**liquidated, "time": seconds + 60}, {**liquidated, "time": seconds - 60, "size": -5}]},
        deleverages={"btc": [{**deleveraged, "time": seconds + 90}]},
    )
    client, instruments, settings = await asked(house, "mixed")
    assert await VENUE.read_ends(client, instruments, settings, AT) == [
        End(
            instrument=instruments["BTC_USDT"],
            side=Side.LONG,
            kind=EndKind.LIQUIDATED,
            at=AT + timedelta(seconds=60),
            contracts=600,
            price=3424.0,
        ),
        End(
            instrument=instruments["BTC_USD"],
            side=Side.LONG,
            kind=EndKind.DELEVERAGED,
            at=AT + timedelta(seconds=90),
            contracts=10,
            price=2790.8082,
        ),
    ]


# --- keys ---


def perms(**read_only: bool) -> dict[str, Any]:
    return {"perms": [{"name": name, "read_only": value} for name, value in read_only.items()]}


@pytest.mark.parametrize(
    ("keys", "addresses", "told"),
    [
        ([perms(futures=True, account=True)], ["127.0.0.1"], (False, False, True)),
        ([perms(futures=False, wallet=True)], [], (True, False, False)),
        ([perms(futures=True, wallet=False)], [], (False, True, False)),
        ([{**perms(futures=False), "key": "52fd0*****"}, perms(futures=True)], [], (False, False, False)),
        ([perms(futures=True), perms(futures=False)], [], (None, None, False)),
        ([{**perms(futures=True), "key": "*****"}], [], (None, None, False)),
        (None, ["127.0.0.1"], (None, None, True)),
    ],
)
async def test_what_a_key_may_do_is_told_or_unknown(
    house: House, keys: list[dict[str, Any]] | None, addresses: list[str], told: tuple[bool | None, ...]
) -> None:
    house.server.set_profile("mixed", keys=keys, ip_whitelist=addresses)
    facts = await house.open(classic("mixed")).key_facts()
    assert isinstance(facts, KeyFacts)
    assert (facts.may_trade, facts.may_withdraw, facts.ip_restricted) == told
    assert bool(facts.notes) is (told[0] is None)


# --- instruments ---


async def test_what_is_settled_in_a_third_coin_is_not_listed(house: House) -> None:
    client, instruments, _ = await asked(house, "mixed")
    row = {"name": "ETH_USD", "quanto_multiplier": "0.000001", "mark_price": "4000", "order_price_deviate": "0.5"}
    assert VENUE._instrument(client, row, "btc") is None  # type: ignore[attr-defined]
    assert instruments["BTC_USD"].inverse
    assert instruments["BTC_USD"].contract_size == SIZES["BTC", "BTC"]
