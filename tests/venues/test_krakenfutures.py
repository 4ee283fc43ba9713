"""What only Kraken Futures has: wallets and what they hide, recorded and documented figures, levels, records, keys."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from monitor.domain.account import (
    AccountSnapshot,
    FailureKind,
    MarginMode,
    PriceOrigin,
)
from monitor.domain.market import MarketState, Observed, Tier, Tiers
from monitor.exchange.failures import ReadError
from monitor.exchange.venues.krakenfutures import VENUE
from monitor.exchange.venues.venue import AccountReading, AccountSettings
from monitor.paper.dialects.krakenfutures import ACCOUNTS, iso
from monitor.paper.faults import Fault, FaultKind
from monitor.risk.estimate import completed
from tests.reading import ShiftedClock, failed, good
from tests.venues.kit import House
from tests.venues.krakenfutures import ACROSS, AT, BOTH, COIN, DATED, KNOWN, MIXED, PERP, house

__all__ = ["house"]


# --- recorded and documented replies ---

# Of the demo, 19 April 2026.
FLEX: Mapping[str, Any] = {
    "currencies": {"BTC": {"quantity": 0.06616863739, "value": 5029.073837639447, "collateral": 4928.492360886658}},
    "initialMargin": 0,
    "initialMarginWithOrders": 0,
    "maintenanceMargin": 0,
    "balanceValue": 20916.9328979138,
    "portfolioValue": 20916.9328979138,
    "collateralValue": 20498.27800031727,
    "pnl": 0,
    "availableMargin": 20498.27800031727,
    "marginEquity": 20498.27800031727,
    "type": "multiCollateralMarginAccount",
}
NOTHING_OWED = {"im": 0.0, "mm": 0.0, "lt": 0.0, "tt": 0.0}
SINGLE: Mapping[str, Any] = {
    "auxiliary": {"usd": 0, "pv": 0.06615619029, "pnl": 0.0, "af": 0.06615619029, "funding": 0.0},
    "marginRequirements": NOTHING_OWED,
    "triggerEstimates": NOTHING_OWED,
    "balances": {"xbt": 0.06615619029},
    "currency": "xbt",
    "type": "marginAccount",
}
CASH: Mapping[str, Any] = {"balances": {"usd": 5000.0, "xbt": 0.06616863739}, "type": "cashAccount"}


def _read(
    *positions: Mapping[str, Any],
    flex: Mapping[str, Any] = FLEX,
    wallets: Mapping[str, Any] | None = None,
    mark: float = 80_000.0,
    times: tuple[datetime, datetime, datetime] = (AT, AT, AT),
    result: Any = "success",
) -> AccountReading:
    accounts: Mapping[str, Any] = {"cash": CASH, "flex": flex, "fi_xbtusd": SINGLE, **(wallets or {})}
    tickers = [{"symbol": raw, "markPrice": mark} for raw in KNOWN]
    told: tuple[dict[str, Any], ...] = (
        {"accounts": accounts},
        {"openPositions": list(positions)},
        {"tickers": tickers},
    )
    replies = [{"result": result, **reply, "serverTime": iso(time)} for reply, time in zip(told, times, strict=True)]
    return VENUE.parse_account(replies, KNOWN, AccountSettings())


def _row(**changes: Any) -> dict[str, Any]:
    return {"symbol": "PF_XBTUSD", "side": "long", "size": 0.5, "price": 81_000.0, **changes}


def test_a_recorded_flat_account_is_two_wallets_with_what_counts_of_their_collateral() -> None:
    reading = _read()
    assert [(m.pool, m.currency, m.equity, m.available) for m in reading.margins] == [
        ("cross:USD", "USD", 20498.27800031727, 20498.27800031727),
        ("cross:BTC", "BTC", 0.06615619029, 0.06615619029),
    ]
    assert reading.positions == ()
    assert reading.margin_in_use == 0


# The documents' accounts example: portfolio value is the balance and the profit.
DOCUMENTED = {
    "auxiliary": {"af": 100.73891563, "funding": 100.73891563, "pnl": 12.42134766, "pv": 153.73891563, "usd": 0},
    "balances": {"FI_XBTUSD_261225": "50000", "PI_XBTUSD": "-15000", "xbt": "141.31756797", "xrp": "0"},
    "currency": "xbt",
    "marginRequirements": {"im": 52.8, "lt": 39.6, "mm": 23.76, "tt": 15.84},
    "type": "marginAccount",
}
HELD_IN_IT = (
    _row(symbol="FI_XBTUSD_261225", size=50_000),
    _row(symbol="pi_xbtusd", side="short", size=15_000),
)


def test_a_documented_wallet_of_a_perpetual_and_a_dated_contract_is_one_pool() -> None:
    reading = _read(*HELD_IN_IT, wallets={"fi_xbtusd": DOCUMENTED})
    pool = reading.margins[1]
    assert pool.pool == "cross:BTC"
    assert pool.equity == pytest.approx(141.31756797 + 12.42134766)
    assert (pool.maintenance_margin, pool.initial_margin) == (23.76, 52.8)
    assert {(p.subject, p.pool) for p in reading.positions} == {
        ("BTC/USD:BTC-261225 long", "cross:BTC"),
        ("BTC/USD:BTC short", "cross:BTC"),
    }


@pytest.mark.parametrize("listed", [HELD_IN_IT[:1], HELD_IN_IT[1:], ()], ids=["one", "the other", "none"])
def test_a_contract_that_its_wallet_holds_must_be_listed(listed: tuple[Mapping[str, Any], ...]) -> None:
    with pytest.raises(ReadError) as failure:
        _read(*listed, wallets={"fi_xbtusd": DOCUMENTED})
    assert failure.value.kind is FailureKind.IMPLAUSIBLE


def test_our_liquidation_price_is_that_of_the_documents_worked_example() -> None:
    """Equity Protection Process: long 1,000 contracts at 8,000 with 0.01 BTC; maintenance 1 %; liquidated at 7481."""
    wallet = {
        **SINGLE,
        "auxiliary": {"pv": 0.01, "af": 0.0075, "pnl": 0.0},
        "marginRequirements": {"im": 0.0025, "mm": 0.00125, "lt": 0, "tt": 0},
        "balances": {"xbt": 0.01, "PI_XBTUSD": 1000},
    }
    row = _row(symbol="PI_XBTUSD", size=1000, price=8000)
    reading = _read(row, wallets={"fi_xbtusd": wallet}, mark=8000.0)
    tiers: Tiers = (Tier(0.0, 1e30, 0.01, 0.0),)
    market = MarketState(instrument=COIN, tiers=Observed(tiers, AT))
    snapshot = AccountSnapshot(
        account="a", venue="krakenfutures", observed_at=AT, margins=reading.margins, positions=reading.positions
    )
    position = completed(snapshot, {COIN.symbol: market}).positions[0]
    assert position.maintenance_margin == pytest.approx(0.00125)
    assert position.liquidation_price == pytest.approx(7481, abs=1)
    assert position.liquidation_price_origin is PriceOrigin.OWN_ESTIMATE


# --- the coins of the multi-collateral wallet ---


def test_the_coins_of_the_wallet_are_told_at_krakens_price_and_less_its_haircut() -> None:
    (coin,) = _read().collateral
    assert (coin.coin, coin.amount) == ("BTC", 0.06616863739)
    assert coin.price == pytest.approx(76_003.8, abs=0.1)
    assert coin.haircut == pytest.approx(0.02)
    next_to_nothing = {"currencies": {"XBT": {"quantity": 1e-5, "value": 0.8, "collateral": 0.78}}}
    assert _read(flex={**FLEX, **next_to_nothing}).collateral == ()


@pytest.mark.parametrize("spoilt", [{"quantity": None}, {"value": "junk"}, {"collateral": True}])
def test_a_coin_of_which_something_is_no_number_is_a_failure(spoilt: Mapping[str, Any]) -> None:
    told = {"BTC": {"quantity": 1.0, "value": 80_000.0, "collateral": 78_400.0, **spoilt}}
    with pytest.raises(ReadError) as failure:
        _read(flex={**FLEX, "currencies": told})
    assert failure.value.kind is FailureKind.MALFORMED


def test_a_liquidation_price_counts_that_the_coin_of_the_wallet_falls_with_the_position() -> None:
    """39,200 of Bitcoin after its haircut, 80,000 long: both fall to 67.568 %, where 800 are owed at 80,000."""
    told = {"XBT": {"quantity": 0.5, "value": 40_000.0, "collateral": 39_200.0}}
    flex = {**FLEX, "currencies": told, "marginEquity": 39_200.0, "maintenanceMargin": 800.0}
    reading = _read(_row(size=1.0, price=80_000.0), flex=flex)
    tiers: Tiers = (Tier(0.0, 1e30, 0.01, 0.0),)
    snapshot = AccountSnapshot(
        account="a",
        venue="krakenfutures",
        observed_at=AT,
        margins=reading.margins,
        positions=reading.positions,
        collateral=reading.collateral,
    )
    market = MarketState(instrument=PERP, tiers=Observed(tiers, AT))
    (position,) = completed(snapshot, {PERP.symbol: market}).positions
    assert position.liquidation_price == pytest.approx(80_000 * 80_000 / 118_400)
    assert position.liquidation_price_origin is PriceOrigin.OWN_ESTIMATE
    assert "what it holds of the coin included" in position.estimates[-1].basis


# --- isolated positions ---


def test_an_isolated_position_takes_its_margin_and_profit_off_the_wallet() -> None:
    flex = {**FLEX, "marginEquity": 10_000.0, "initialMargin": 9_000.0, "availableMargin": 1_000.0}
    reading = _read(_row(maxFixedLeverage=10.0), _row(symbol="PI_XBTUSD"), flex={**flex, "maintenanceMargin": 800})
    given, profit = 0.5 * 81_000 / 10, -0.5 * 1_000
    wallet, _, isolated = reading.margins
    assert reading.positions[0].margin_mode is MarginMode.ISOLATED
    assert isolated.pool == "isolated:BTC/USD:USD:long"
    assert [isolated.equity, isolated.initial_margin] == pytest.approx([given + profit, given])
    assert [wallet.equity, wallet.initial_margin, wallet.available] == pytest.approx(
        [10_000 - given - profit, 9_000 - given, 1_000 - profit]
    )
    assert wallet.maintenance_margin is None
    assert {e.figure for e in wallet.estimates} == {"equity", "initial_margin", "available"}
    assert reading.margin_in_use == 800


async def test_maintenance_of_wallet_and_isolated_position_are_sums_and_marked(house: House) -> None:
    snapshot = good(await house.open(MIXED).observe())
    told = good(await house.open(ACROSS).observe())
    wallet, exact = snapshot.margin("cross:USD"), told.margin("cross:USD")
    assert wallet is not None
    assert exact is not None
    assert wallet.maintenance_margin == pytest.approx(exact.maintenance_margin)
    assert "maintenance_margin" in {e.figure for e in wallet.estimates}
    assert exact.estimates == ()


# --- replies that cannot be believed ---


async def test_a_reply_that_stands_still_is_not_believed(house: House) -> None:
    source = house.open(ACROSS)
    house.server.misbehave(Fault(kind=FaultKind.STALE, path=ACCOUNTS))
    good(await source.observe())
    clock = source._clock
    assert isinstance(clock, ShiftedClock)
    clock.ahead += timedelta(minutes=2)
    house.engine.advance(clock.now())
    failure = failed(await source.observe())
    assert failure.kind is FailureKind.IMPLAUSIBLE
    assert "stands still" in failure.detail


async def test_a_position_that_is_missing_from_its_wallet_is_not_a_flat_account(house: House) -> None:
    house.server.set_profile("both", unlisted=("PF_XBTUSD",))
    failure = failed(await house.open(BOTH).observe())
    assert failure.kind is FailureKind.IMPLAUSIBLE
    assert "cross:USD" in failure.detail


def test_a_position_whose_fixed_leverage_is_null_is_margined_across() -> None:
    reading = _read(_row(maxFixedLeverage=None))
    assert [(p.margin_mode, p.pool, p.leverage) for p in reading.positions] == [(MarginMode.CROSS, "cross:USD", None)]


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        ([_row(), _row()], FailureKind.MALFORMED),
        ([_row(side="both")], FailureKind.MALFORMED),
        ([_row(size=-1)], FailureKind.MALFORMED),
        ([_row(size="NaN")], FailureKind.MALFORMED),
        ([_row(price=0)], FailureKind.MALFORMED),
        ([_row(maxFixedLeverage="ten")], FailureKind.MALFORMED),
        ([_row(maxFixedLeverage="")], FailureKind.MALFORMED),
        ([_row(maxFixedLeverage=0)], FailureKind.MALFORMED),
        ([_row(symbol="OP_XBTUSD_261225_C_90000")], FailureKind.MALFORMED),
    ],
    ids=["twice", "side", "below nought", "amount", "price", "leverage", "empty leverage", "leverage 0", "an option"],
)
def test_positions_that_cannot_be_are_a_failure(rows: list[dict[str, Any]], kind: FailureKind) -> None:
    with pytest.raises(ReadError) as failure:
        _read(*rows)
    assert failure.value.kind is kind


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"flex": {**FLEX, "type": "portfolioMarginAccount"}}, FailureKind.UNSUPPORTED),
        ({"flex": {**FLEX, "marginEquity": None}}, FailureKind.MALFORMED),
        ({"flex": {**FLEX, "maintenanceMargin": -1}}, FailureKind.MALFORMED),
        ({"flex": {**FLEX, "maintenanceMargin": 1}}, FailureKind.IMPLAUSIBLE),
        ({"wallets": {"fi_xbtusd": {**SINGLE, "auxiliary": None}}}, FailureKind.MALFORMED),
        ({"wallets": {"fi_xbtusd": {**SINGLE, "balances": None}}}, FailureKind.MALFORMED),
        ({"times": (AT, AT, AT - timedelta(seconds=61))}, FailureKind.IMPLAUSIBLE),
    ],
)
def test_wallets_that_cannot_be_are_a_failure(changes: Mapping[str, Any], kind: FailureKind) -> None:
    with pytest.raises(ReadError) as failure:
        _read(**changes)
    assert failure.value.kind is kind


def test_a_position_whose_coin_has_no_wallet_is_malformed() -> None:
    with pytest.raises(ReadError, match="without a wallet") as failure:
        _read(_row(symbol="PI_XBTUSD"), wallets={"fi_xbtusd": {**SINGLE, "type": "novelAccount"}})
    assert failure.value.kind is FailureKind.MALFORMED


def test_a_position_of_size_nought_is_none() -> None:
    emptied = {**SINGLE, "balances": {"xbt": 0.06615619029, "PI_XBTUSD": "0.0"}}
    assert _read(_row(size=0), wallets={"fi_xbtusd": emptied}).positions == ()


def test_an_account_with_nothing_in_it_is_flat_and_not_without_a_wallet() -> None:
    empty = {**FLEX, "marginEquity": 0, "availableMargin": 0}
    nothing = {**SINGLE, "auxiliary": {"pv": 0.0, "af": 0.0}}
    assert [(m.pool, m.equity) for m in _read(flex=empty, wallets={"fi_xbtusd": nothing}).margins] == [("cross:USD", 0)]


@pytest.mark.parametrize("result", ["error", None, True])
def test_a_reply_that_is_no_success_is_malformed_whatever_else_it_holds(result: Any) -> None:
    with pytest.raises(ReadError, match="the result is") as failure:
        _read(result=result)
    assert failure.value.kind is FailureKind.MALFORMED


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("authenticationError", FailureKind.AUTH),
        ("nonceBelowThreshold", FailureKind.AUTH),
        ("accountInactive", FailureKind.PERMISSION),
        ("apiLimitExceeded", FailureKind.RATE_LIMIT),
        ("Unavailable", FailureKind.OVERLOADED),
        ("marketUnavailable", FailureKind.MAINTENANCE),
        ("notFound", FailureKind.MALFORMED),
    ],
)
def test_each_refusal_is_of_its_kind(word: str, kind: FailureKind) -> None:
    for reply in ({"result": "error", "error": word}, {"result": "error", "errors": [{"code": word, "message": ""}]}):
        code, _ = VENUE.rules.said(reply)
        assert VENUE.rules.kinds_by_code.get(str(code), FailureKind.MALFORMED) is kind


# --- the market ---


class Told:
    """A client that is answered with these lists."""

    def __init__(self, **lists: Any) -> None:
        self.reply = {"result": "success", "serverTime": iso(AT), **lists}

    async def _answer(self) -> Any:
        return self.reply

    publicGetInstruments = publicGetTickers = privateGetTradingInstruments = _answer

    @staticmethod
    def safe_currency_code(raw: str) -> str:
        return {"XBT": "BTC"}.get(raw, raw)


async def test_perpetual_and_dated_contracts_in_dollars_are_listed_and_nothing_else() -> None:
    rows: list[dict[str, Any]] = [
        {"symbol": "PF_XBTUSD", "type": "flexible_futures", "contractSize": 1},
        {"symbol": "pi_xbtusd", "type": "futures_inverse", "contractSize": 1},
        {
            "symbol": "FI_XBTUSD_261225",
            "type": "futures_inverse",
            "contractSize": 1,
            "lastTradingTime": "2026-12-25T15:00:00.000Z",
        },
        {"symbol": "PF_EURGBP", "type": "flexible_futures", "contractSize": 1},
        {"symbol": "PF_LTCUSD", "type": "flexible_futures", "contractSize": 0},
        {"symbol": "pv_xrpxbt", "type": "futures_vanilla", "contractSize": 1},
        {"symbol": "OP_XBTUSD_261225_C_90000", "type": "options", "contractSize": 1},
        {"symbol": "in_xbtusd", "type": "spot index"},
    ]
    assert await VENUE.read_instruments(Told(instruments=rows)) == KNOWN
    with pytest.raises(ReadError):
        await VENUE.read_instruments(Told(instruments=rows[3:]))


async def test_funding_is_a_fraction_at_the_full_hour_and_none_of_a_dated_contract() -> None:
    """ETH in August 2018: 2.189e-7 a contract of a dollar and 0.006078 % were told of one payment."""
    rows = [
        {"symbol": "PF_XBTUSD", "markPrice": 80_000.0, "fundingRate": 1.6},
        {"symbol": "PI_XBTUSD", "markPrice": 277.6589, "fundingRate": 2.18900669884e-7},
        {"symbol": "FI_XBTUSD_261225", "markPrice": 81_000.0},
        {"symbol": "in_xbtusd", "last": 80_000.0},
    ]
    marks = await VENUE.read_marks(Told(tickers=rows), KNOWN, {})
    perp, coin, dated = (marks[instrument.symbol] for instrument in (PERP, COIN, DATED))
    assert perp is not None
    assert coin is not None
    assert dated is not None
    assert perp.funding_rate == pytest.approx(0.00002)
    assert coin.funding_rate == pytest.approx(0.00006077996, rel=1e-5)
    assert perp.next_funding_at == datetime(2026, 4, 19, 16, tzinfo=UTC)
    assert (dated.price, dated.funding_rate, dated.next_funding_at) == (81_000.0, 0.0, None)


@pytest.mark.parametrize("row", [{}, {"markPrice": None}, {"markPrice": "0"}, {"markPrice": 1.0, "fundingRate": "x"}])
async def test_a_ticker_that_is_not_sound_makes_its_own_mark_unknown(row: Mapping[str, Any]) -> None:
    rows = [{"symbol": "PF_XBTUSD", **row}, {"symbol": "PI_XBTUSD", "markPrice": 80_000.0}]
    marks = await VENUE.read_marks(Told(tickers=rows), KNOWN, {})
    assert marks[PERP.symbol] is None
    assert marks[COIN.symbol] is not None


IN_DOLLARS: list[dict[str, Any]] = [
    {"numNonContractUnits": 0, "initialMargin": 0.02, "maintenanceMargin": 0.01},
    {"numNonContractUnits": "500000.00000", "initialMargin": 0.04, "maintenanceMargin": 0.02},
]
IN_CONTRACTS = [
    {"contracts": 500_000, "initialMargin": 0.04, "maintenanceMargin": 0.02},
    {"contracts": 0, "initialMargin": 0.02, "maintenanceMargin": 0.01},
]


@pytest.mark.parametrize(
    ("raw", "levels", "floors"),
    [
        ("PF_XBTUSD", IN_DOLLARS, [0.0, 500_000.0]),
        ("PI_XBTUSD", IN_CONTRACTS, [0.0, 6.25]),
        ("PF_XBTUSD", IN_CONTRACTS, None),
        ("PF_XBTUSD", IN_DOLLARS[1:], None),
        ("PF_XBTUSD", [*IN_DOLLARS, IN_DOLLARS[1]], None),
        ("PF_XBTUSD", [{**IN_DOLLARS[0], "maintenanceMargin": None}], None),
        ("PF_XBTUSD", [], None),
        ("PF_XBTUSD", None, None),
    ],
    ids=["dollars", "contracts", "other units", "no first", "twice", "no rate", "none", "untold"],
)
async def test_levels_are_read_in_settle_units_or_left_unknown(
    raw: str, levels: Any, floors: list[float] | None
) -> None:
    told = Told(instruments=[{"symbol": raw, "marginLevels": levels}], tickers=[{"symbol": raw, "markPrice": 80_000.0}])
    instrument = KNOWN[raw]
    tiers = (await VENUE.read_tiers(told, KNOWN, {instrument.symbol: instrument})).get(instrument.symbol)
    assert (None if tiers is None else [tier.floor for tier in tiers]) == floors
    if tiers is not None:
        assert [(tier.rate, tier.amount) for tier in tiers] == [(0.01, 0.0), (0.02, 0.0)]
        assert tiers[0].cap == tiers[1].floor


async def test_levels_are_read_of_what_is_held_alone(house: House) -> None:
    source = house.open(ACROSS)
    await source.observe()
    markets = source.markets()
    known = {symbol for symbol in markets if markets[symbol].tiers is not None}
    assert known == {"BTC/USD:USD", "ETH/USD:USD"}
