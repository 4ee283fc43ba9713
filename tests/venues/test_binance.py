"""What only Binance has: two asset modes, portfolios read whole, ranks that stand apart, counts of each API."""

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

import pytest

from monitor.domain.account import AccountSnapshot, FailureKind, MarginBalance, Side
from monitor.exchange.failures import ReadError
from monitor.exchange.modes import Mode
from monitor.exchange.source import AccountSource
from monitor.exchange.venues import binance_account, binancecoinm, binanceusdm
from monitor.exchange.venues.binance import PORTFOLIO_MARGIN, PORTFOLIO_UNKNOWN, BinanceVenue
from monitor.exchange.venues.venue import AccountSettings, KeyFacts
from monitor.paper.binance import worth
from monitor.paper.engine import Engine
from monitor.paper.faults import Fault, FaultKind
from tests.builders import needs_shared
from tests.reading import ShiftedClock, failed, good
from tests.unit.test_venue_binance import LINEAR, a_risk_row, an_account_row, an_asset, recorded
from tests.venues.binance import COINM, USDM
from tests.venues.books import ENTRIES
from tests.venues.kit import AccountCase, House, a_house, book_of

PORTFOLIO = {"portfolio_margin": True}
ACCOUNT_INFO, PORTFOLIO_ACCOUNT = "/sapi/v1/account/info", "/sapi/v1/portfolio/account"


@pytest.fixture
def clock() -> ShiftedClock:
    return ShiftedClock()


@pytest.fixture
async def house(clock: ShiftedClock) -> AsyncIterator[House]:
    async with a_house(USDM, clock, book_of(USDM, clock.now())) as opened:
        yield opened


@pytest.fixture
async def coin_house(clock: ShiftedClock) -> AsyncIterator[House]:
    async with a_house(COINM, clock, book_of(COINM, clock.now())) as opened:
        yield opened


def opened(house: House, name: str = "mixed", **profile: Any) -> AccountSource:
    return house.open(AccountCase(account=name, name=name, pools=lambda _engine, _owner: (), profile=profile))


async def read(house: House, name: str = "mixed", **profile: Any) -> AccountSnapshot:
    return good(await opened(house, name, **profile).observe())


# --- multi-assets mode ---

INDEX = [
    {"symbol": "USDTUSD", "index": "1", "bidRate": "0.99985", "askRate": "1.00005"},
    {"symbol": "USDCUSD", "index": "1", "bidRate": "0.99986", "askRate": "1.00006"},
]


def multi_assets(account: Any, risk: Any, index: Any = None) -> Any:
    settings = AccountSettings(mode=f"{binanceusdm.MULTI}, one-way")
    return binanceusdm.VENUE.parse_account([account, risk, INDEX if index is None else index], LINEAR, settings)


def an_account(*rows: Any, assets: Any = None, **totals: str) -> dict[str, Any]:
    given = {
        "totalMarginBalance": "950",
        "totalMaintMargin": "4.0002",
        "totalInitialMargin": "100",
        "availableBalance": "850",
    }
    return {**given, "assets": [an_asset()] if assets is None else assets, "positions": list(rows), **totals}


@needs_shared
def test_a_recorded_multi_assets_account_is_one_pool_by_its_own_totals() -> None:
    account = recorded("account endpoint (v3 account), multi-assets")
    risk = recorded("Fetch linear positions with symbols (positionRisk v3)")
    reading = multi_assets(account, risk)
    assert reading.margins == (
        MarginBalance(
            pool="cross:USD",
            currency="USD",
            equity=26.26840422,
            maintenance_margin=2.43034303,
            initial_margin=7.59482199,
            available=18.65949928,
        ),
    )
    assert reading.margins[0].margin_ratio == pytest.approx(0.0925, abs=5e-5)
    assert [(p.pool, p.pool_rate) for p in reading.positions] == [("cross:USD", 0.99985)]
    assert reading.margin_in_use == 2.43022194


@pytest.mark.parametrize(("wallet", "rate"), [("1000", 0.99985), ("50", 0.99985), ("49", 1.00005), ("-10", 1.00005)])
def test_an_asset_counts_at_the_bid_as_collateral_and_at_the_ask_as_debt(wallet: str, rate: float) -> None:
    account = an_account(an_account_row(), assets=[an_asset(crossWalletBalance=wallet)])
    assert [p.pool_rate for p in multi_assets(account, [a_risk_row()]).positions] == [rate]


STRANGE: Mapping[str, tuple[Any, FailureKind]] = {
    "an isolated position": (an_account(an_account_row(isolatedWallet="100")), FailureKind.IMPLAUSIBLE),
    "totals of one asset alone": (an_account(an_account_row(), totalMaintMargin="2"), FailureKind.IMPLAUSIBLE),
    "nothing owed for a position": (an_account(an_account_row(), totalMaintMargin="0"), FailureKind.IMPLAUSIBLE),
    "no totals": ({"assets": [an_asset()], "positions": [an_account_row()]}, FailureKind.MALFORMED),
}


@pytest.mark.parametrize(("account", "kind"), STRANGE.values(), ids=STRANGE)
def test_what_cannot_be_in_multi_assets_mode_is_not_read(account: Any, kind: FailureKind) -> None:
    with pytest.raises(ReadError) as refused:
        multi_assets(account, [a_risk_row()])
    assert refused.value.kind is kind


def test_what_an_asset_counts_is_never_made_up() -> None:
    with pytest.raises(ReadError, match="what USDT counts"):
        multi_assets(an_account(an_account_row()), [a_risk_row()], INDEX[1:])


async def test_a_change_of_the_asset_mode_is_noticed_within_ten_minutes(house: House, clock: ShiftedClock) -> None:
    source = opened(house, "two")
    assert {m.pool for m in good(await source.observe()).margins} == {"cross:USDT", "cross:USDC"}
    house.server.set_profile("two", multi_assets=True)
    clock.ahead += timedelta(minutes=10)
    assert {m.pool for m in good(await source.observe()).margins} == {"cross:USD"}
    house.server.set_profile("two", multi_assets=False)
    assert {m.pool for m in good(await source.observe()).margins} == {"cross:USDT", "cross:USDC"}


# --- portfolio margin ---


def hold_both(engine: Engine) -> None:
    """What `coin` holds, and a USDS-M position in the same portfolio."""
    engine.open("coin", "BTCUSDT", Side.LONG, 0.2, ENTRIES["BTC"], 10)


async def test_a_portfolio_is_read_whole_with_marks_and_brackets_of_both_exchanges(
    house: House, clock: ShiftedClock
) -> None:
    hold_both(house.engine)
    source = opened(house, "coin", **PORTFOLIO)
    good(await source.observe())
    clock.ahead += timedelta(seconds=10)
    snapshot = good(await source.observe())
    rates = worth(house.engine)
    held = {p.instrument.symbol: p for p in snapshot.positions}
    assert held.keys() == {"BTC/USDT:USDT", "BTC/USD:BTC", "ETH/USD:ETH"}
    assert {p.pool for p in held.values()} == {"cross:USD"} == {m.pool for m in snapshot.margins}
    for position in held.values():
        state = source.markets()[position.instrument.symbol]
        assert state.mark_price is not None
        assert state.mark_price.value == position.mark_price
        assert state.tiers is not None
        assert state.funding is not None
        assert state.funding.value.interval == timedelta(hours=8)
        assert position.pool_rate == pytest.approx(rates[position.instrument.settle])
    owed = sum((p.maintenance_margin or 0.0) * p.pool_rate for p in held.values())
    assert snapshot.margins[0].maintenance_margin == pytest.approx(owed)


@pytest.mark.parametrize("path", ["/papi/v1/account", "/papi/v1/um/account", "/papi/v1/cm/positionRisk"])
async def test_a_part_of_a_portfolio_that_cannot_be_read_is_no_smaller_portfolio(house: House, path: str) -> None:
    hold_both(house.engine)
    source = opened(house, "coin", **PORTFOLIO)
    house.server.misbehave(Fault(kind=FaultKind.SERVER_ERROR, path=path))
    assert failed(await source.observe()).kind is FailureKind.OVERLOADED


@pytest.mark.parametrize(("status", "told"), [("NORMAL", False), ("MARGIN_CALL", True), ("FORCE_LIQUIDATION", True)])
async def test_the_status_of_a_portfolio_is_told_unless_it_is_normal(house: House, status: str, told: bool) -> None:
    snapshot = await read(house, "coin", portfolio_status=status, **PORTFOLIO)
    assert [status in caveat for caveat in snapshot.caveats] == ([True] if told else [])


def a_portfolio(**changes: str) -> list[Any]:
    account = {"uniMMR": "2.1", "accountEquity": "210", "accountMaintMargin": "100", "accountStatus": "NORMAL"}
    nothing: dict[str, Any] = {"assets": [], "positions": []}
    return [{**account, **changes}, nothing, [], [], nothing, [], [], INDEX]


@pytest.mark.parametrize(
    ("changes", "ratio"),
    [
        ({}, 0.5),
        ({"uniMMR": "1.05", "accountEquity": "105"}, 1.0),
        ({"uniMMR": "999", "accountMaintMargin": "0"}, 0.0),
        ({"uniMMR": "-0.5", "accountEquity": "-50"}, None),
    ],
)
def test_a_portfolio_is_liquidated_at_a_ratio_of_one(changes: dict[str, str], ratio: float | None) -> None:
    reading = binanceusdm.VENUE.parse_account(a_portfolio(**changes), LINEAR, AccountSettings(mode=PORTFOLIO_MARGIN))
    (pool,) = reading.margins
    assert pool.venue_margin_ratio == (None if ratio is None else pytest.approx(ratio))
    assert (pool.initial_margin, pool.available) == (None, None)


def test_a_portfolio_that_owes_nothing_for_what_it_holds_is_implausible() -> None:
    raw = a_portfolio(accountMaintMargin="0")
    raw[1] = {"assets": [an_asset()], "positions": [{**an_account_row(), "positionInitialMargin": "100"}]}
    raw[2] = [a_risk_row()]
    with pytest.raises(ReadError, match="owes none"):
        binanceusdm.VENUE.parse_account(raw, LINEAR, AccountSettings(mode=PORTFOLIO_MARGIN))


@pytest.mark.parametrize("path", [ACCOUNT_INFO, PORTFOLIO_ACCOUNT])
async def test_either_of_two_answers_tells_a_portfolio(house: House, path: str) -> None:
    house.server.misbehave(Fault(kind=FaultKind.SERVER_ERROR, path=path))
    assert {m.pool for m in (await read(house, "coin", **PORTFOLIO)).margins} == {"cross:USD"}
    assert (await read(house, "mixed")).caveats == ()


async def test_without_any_answer_it_is_said_that_the_account_may_be_a_portfolio(house: House) -> None:
    house.server.misbehave(Fault(kind=FaultKind.SERVER_ERROR, path="/sapi/*"))
    assert (await read(house, "mixed")).caveats == (PORTFOLIO_UNKNOWN,)


async def test_an_account_that_becomes_a_portfolio_is_read_as_one_at_once(house: House) -> None:
    """Its key is refused by the calls it used until now."""
    source = opened(house, "coin")
    assert good(await source.observe()).mode != PORTFOLIO_MARGIN
    house.server.set_profile("coin", **PORTFOLIO)
    assert good(await source.observe()).mode == PORTFOLIO_MARGIN


async def test_a_key_that_is_refused_is_not_asked_with_twice_where_the_mode_is_not_known(house: House) -> None:
    source = opened(house, "mixed")
    house.server.misbehave(Fault(kind=FaultKind.BAD_KEY))
    assert failed(await source.observe()).kind is FailureKind.AUTH
    signed = [request.path for request in house.server.requests if request.status == 401]
    assert len(signed) == len(set(signed)), signed


@pytest.mark.parametrize("fault", [FaultKind.SERVER_ERROR, FaultKind.HTML, FaultKind.HANG])
async def test_trouble_at_the_other_exchange_costs_a_classic_account_nothing(house: House, fault: FaultKind) -> None:
    house.server.misbehave(Fault(kind=fault, path="/dapi/*"))
    source = house.open(USDM.accounts[0], read_deadline_s=1.0)
    assert len(good(await source.observe()).positions) == 3


async def test_a_position_at_the_other_exchange_is_never_left_out_where_its_contracts_are_not_known(
    house: House,
) -> None:
    house.server.misbehave(Fault(kind=FaultKind.SERVER_ERROR, path="/dapi/v1/exchangeInfo"))
    assert failed(await opened(house, "coin", **PORTFOLIO).observe()).kind is FailureKind.MALFORMED


# --- the place in the queue ---


def test_a_rank_stands_under_the_side_that_the_position_is_listed_with() -> None:
    ranks = binance_account.adl_ranks(
        [
            {"symbol": "BTCUSD_PERP", "adlQuantile": {"LONG": 3, "SHORT": 1, "HEDGE": 0}},
            {"symbol": "ETHUSD_PERP", "adlQuantile": {"LONG": 0, "SHORT": 0, "BOTH": 4}},
        ]
    )
    rows = {
        ("BTCUSD_PERP", "LONG"): 4,
        ("BTCUSD_PERP", "SHORT"): 2,
        ("BTCUSD_PERP", "BOTH"): None,
        ("ETHUSD_PERP", "BOTH"): 5,
        ("SOLUSD_PERP", "BOTH"): None,
    }
    for (symbol, side), rank in rows.items():
        assert binance_account.rank_in(ranks, {"symbol": symbol, "positionSide": side}) == rank


async def test_ranks_that_cannot_be_read_are_a_failure_and_ranks_not_listed_are_unknown(coin_house: House) -> None:
    source = opened(coin_house, "coin")
    coin_house.server.misbehave(Fault(kind=FaultKind.EMPTY_LIST, path="/dapi/v1/adlQuantile"))
    assert {p.adl_rank for p in good(await source.observe()).positions} == {None}
    coin_house.server.clear_faults()
    coin_house.server.misbehave(Fault(kind=FaultKind.EMPTY_OBJECT, path="/dapi/v1/adlQuantile"))
    assert failed(await source.observe()).kind is FailureKind.MALFORMED


# --- keys and counts ---


@pytest.mark.parametrize("venue", [binanceusdm.VENUE, binancecoinm.VENUE], ids=lambda venue: venue.id)
async def test_of_a_demo_nothing_is_told_of_a_key_and_no_portfolio_is_asked_for(
    house: House, venue: BinanceVenue
) -> None:
    source = opened(house)
    client = house.open(USDM.accounts[0], venue=venue.id, mode=Mode.DEMO)._client
    assert (await venue.read_settings(client)).caveats == ()
    facts = await venue.read_key_facts(client)
    assert isinstance(facts, KeyFacts)
    assert (facts.may_trade, facts.may_withdraw, facts.ip_restricted) == (None, None, None)
    assert facts.clock_ahead_s == pytest.approx(0, abs=5)
    assert not any(name.startswith("/sapi") for name in house.server.counts)
    assert good(await source.observe()).caveats == ()


@pytest.mark.parametrize(
    ("venue", "path", "used"),
    [
        (binanceusdm.VENUE, "/fapi/v3/account", 120),
        (binanceusdm.VENUE, "/papi/v1/account", None),
        (binanceusdm.VENUE, "/dapi/v1/premiumIndex", None),
        (binancecoinm.VENUE, "/dapi/v1/account", 120),
    ],
)
def test_a_count_is_taken_from_the_api_that_the_limit_is_of(venue: BinanceVenue, path: str, used: int | None) -> None:
    assert venue.rules.used_weight({"x-mbx-used-weight-1m": "120"}, path) == used


def test_a_portfolios_calls_count_against_the_larger_limit_that_they_have() -> None:
    weights = binanceusdm.VENUE.rules.weights
    told = {"/papi/v1/account": 20, "/papi/v1/um/account": 5, "/papi/v1/cm/positionRisk": 1}
    assert all(weights[path] * 6000 >= weight * 2400 for path, weight in told.items())
    assert [weights[path] for path in told] == [8, 2, 1]
    assert weights["/fapi/v1/assetIndex"] == 10
