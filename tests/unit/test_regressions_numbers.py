"""Ways in which a wrong number was once shown, or a strange read taken for a good one."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import ccxt.async_support as ccxt
import pytest

from monitor.cli.once import Read, as_object, print_table
from monitor.clock import SystemClock
from monitor.domain.account import FailureKind, Position, PriceOrigin, Side
from monitor.domain.reading import Reading, Verdict
from monitor.exchange.budget import Budget
from monitor.exchange.failures import ReadError
from monitor.exchange.venues import binancecoinm, binanceusdm
from monitor.exchange.venues.generic import GenericVenue
from monitor.exchange.venues.venue import AccountReading, AccountSettings, KeyFacts, Mark
from monitor.rules.base import Context, Rule
from monitor.rules.book import evaluate_rules
from tests.builders import NOON, a_market, a_position, a_rule, a_snapshot, an_instrument, at, flat_tiers

DISTANCE = a_rule("liquidation_distance", warning="12%", critical="6%")


# --- Binance: two replies about one account ---


def an_own_row(**changes: str) -> dict[str, str]:
    given = {
        "symbol": "BTCUSDT",
        "positionSide": "BOTH",
        "positionAmt": "10",
        "unrealizedProfit": "-50",
        "isolatedWallet": "0",
        "initialMargin": "150",
        "maintMargin": "4",
    }
    return {**given, **changes}


def a_risk_row(**changes: str) -> dict[str, str]:
    given = {
        "symbol": "BTCUSDT",
        "positionSide": "BOTH",
        "positionAmt": "10",
        "entryPrice": "105",
        "markPrice": "100",
        "unRealizedProfit": "-50",
        "liquidationPrice": "5.5",
        "notional": "1000",
        "marginAsset": "USDT",
        "initialMargin": "150",
        "positionInitialMargin": "100",
        "maintMargin": "4",
    }
    return {**given, **changes}


def parsed(own: Mapping[str, str], risk: Mapping[str, str], owed: str = "4") -> AccountReading:
    asset = {
        "asset": "USDT",
        "crossWalletBalance": "1000",
        "crossUnPnl": "-50",
        "availableBalance": "900",
        "maintMargin": owed,
    }
    account = {"assets": [asset], "positions": [own]}
    return binanceusdm.parse([account, [risk]], {"BTCUSDT": an_instrument()}, AccountSettings())


def refused(own: Mapping[str, str], risk: Mapping[str, str], owed: str = "4") -> FailureKind:
    with pytest.raises(ReadError) as failure:
        parsed(own, risk, owed)
    return failure.value.kind


def test_an_account_reply_older_than_the_position_list_is_not_believed() -> None:
    fallen = a_risk_row(markPrice="50", notional="500", unRealizedProfit="-550", liquidationPrice="49")
    assert refused(an_own_row(), fallen) is FailureKind.IMPLAUSIBLE
    moved_between_two_calls = a_risk_row(markPrice="99", notional="990", unRealizedProfit="-60")
    assert parsed(an_own_row(), moved_between_two_calls).positions


def test_more_maintenance_than_the_positions_listed_explain_means_that_one_is_missing() -> None:
    assert refused(an_own_row(), a_risk_row(), owed="6") is FailureKind.IMPLAUSIBLE
    assert parsed(an_own_row(), a_risk_row(), owed="4.00000002").margin_in_use == 4.00000002


def test_a_position_margined_in_another_asset_than_its_contract_names_is_refused() -> None:
    assert refused(an_own_row(), a_risk_row(marginAsset="BNFCR")) is FailureKind.UNSUPPORTED


@pytest.mark.parametrize(("side", "amount"), [("LONG", "-10"), ("SHORT", "10")])
def test_a_side_that_contradicts_the_sign_of_its_amount_is_malformed(side: str, amount: str) -> None:
    own, risk = an_own_row(positionSide=side, positionAmt=amount), a_risk_row(positionSide=side, positionAmt=amount)
    assert refused(own, risk) is FailureKind.MALFORMED


def test_the_margin_of_resting_orders_is_not_the_positions() -> None:
    assert parsed(an_own_row(), a_risk_row()).positions[0].initial_margin == 100


class Answers:
    """A client whose implicit methods return what they are given."""

    def __init__(self, **answers: Any) -> None:
        self._answers = answers
        self.shared = self
        self.clock = SystemClock()
        self.urls = {"api": {"sapi": "https://api.binance.com/sapi/v1"}}

    def milliseconds(self) -> int:
        return 1

    def __getattr__(self, name: str) -> Any:
        async def answer() -> Any:
            return self._answers[name]

        return answer


async def test_a_dated_contract_pays_no_funding_and_a_missing_rate_stays_unknown() -> None:
    dated = {"markPrice": "100", "lastFundingRate": "", "interestRate": "", "nextFundingTime": 0, "time": 1}
    perpetual = {**dated, "nextFundingTime": 1_700_000_000_000}
    client = Answers(dapiPublicGetPremiumIndex=[{"symbol": "D", **dated}, {"symbol": "P", **perpetual}])
    listed = {"D": an_instrument("BTC/USD:BTC-251226", settle="BTC"), "P": an_instrument("BTC/USD:BTC")}
    marks = await binancecoinm.VENUE.read_marks(client, listed, {})
    assert marks["BTC/USD:BTC-251226"] == Mark(price=100, funding_rate=0.0)
    perpetuals = marks["BTC/USD:BTC"]
    assert perpetuals is not None
    assert perpetuals.funding_rate is None


async def key_facts(restrictions: Mapping[str, bool]) -> KeyFacts:
    client = Answers(sapiGetAccountApiRestrictions=restrictions, fapiPublicGetTime={"serverTime": 1})
    return await binanceusdm.VENUE.read_key_facts(client)


async def test_a_reply_that_names_no_permissions_is_no_read_only_key() -> None:
    named = {
        "ipRestrict": True,
        "enableFutures": False,
        "enableSpotAndMarginTrading": False,
        "enableWithdrawals": False,
        "permitsUniversalTransfer": False,
    }
    assert (await key_facts(named)).may_withdraw is False
    for name in named:
        with pytest.raises(ReadError):
            await key_facts({other: value for other, value in named.items() if other != name})


@pytest.mark.parametrize(
    "strange", [{"filters": [None]}, {"pricePrecision": "two"}, {"symbol": None}, {"symbol": 5}, {"contractSize": "0"}]
)
async def test_a_strange_contract_is_left_out_of_the_list_and_the_others_stay(strange: dict[str, Any]) -> None:
    client = ccxt.binancecoinm()
    row = {
        "symbol": "BTCUSD_PERP",
        "baseAsset": "BTC",
        "quoteAsset": "USD",
        "marginAsset": "BTC",
        "contractType": "PERPETUAL",
        "contractSize": 100,
        "filters": [],
    }
    spoilt = {**row, "symbol": "ETHUSD_PERP", "baseAsset": "ETH", "marginAsset": "ETH", **strange}
    told = {"symbols": [row, spoilt]}
    client.dapiPublicGetExchangeInfo = Answers(it=told).it
    assert list(await binancecoinm.VENUE.read_instruments(client)) == ["BTCUSD_PERP"]
    await client.close()


# --- any other venue ---


def a_generic_row(**changes: Any) -> dict[str, Any]:
    """An inverse position of so many contracts of a dollar, and its worth in the venue's own reply."""
    given = {
        "symbol": "BTC/USD:BTC",
        "side": "long",
        "contracts": 50.0,
        "markPrice": 7476.65,
        "entryPrice": 7440.18,
        "notional": 0.006687487,
        "info": {"size": 50, "size_currency": 0.006687487},
    }
    row = {**given, **changes}
    return {**row, "info": {"mark_price": row["markPrice"], **row["info"]}}


def read_generic(*rows: Mapping[str, Any], contract_size: float = 1.0) -> AccountReading:
    listed = {"BTC/USD:BTC": an_instrument("BTC/USD:BTC", contract_size=contract_size)}
    raw: Any = (list(rows), [{"data": []}], {}, {})
    return GenericVenue(id="htx").parse_account(raw, listed, AccountSettings())


@pytest.mark.parametrize("told", [0.006687487, -0.006687487])
def test_a_size_in_other_units_than_the_venues_notional_is_implausible(told: float) -> None:
    row = a_generic_row(info={"size": 50, "size_currency": told})
    with pytest.raises(ReadError) as failure:
        read_generic(row, contract_size=10.0)
    assert failure.value.kind is FailureKind.IMPLAUSIBLE


def test_a_notional_at_the_entry_price_or_of_ccxts_own_making_refuses_nothing() -> None:
    at_entry = a_generic_row(entryPrice=1000.0, notional=0.05, info={"size": 50, "size_currency": 0.05})
    invented = a_generic_row(notional=5.0, info={"size": 50})
    assert len(read_generic(at_entry).positions) == len(read_generic(invented).positions) == 1


def test_a_size_that_ccxt_made_of_other_figures_is_malformed() -> None:
    """OKX with an empty `pos`: ccxt divides the profit by the move since entry, and calls that contracts."""
    with pytest.raises(ReadError) as failure:
        read_generic(a_generic_row(contracts=0.0103355, notional=None, info={"pos": "", "upl": "64.3"}))
    assert failure.value.kind is FailureKind.MALFORMED
    base_units = a_generic_row(contracts=5.0, notional=None, info={"amount": "-50"})
    assert read_generic(base_units, contract_size=10.0).positions[0].contracts == 5


def test_one_side_of_a_contract_held_twice_is_refused_since_one_of_the_two_would_go_unjudged() -> None:
    with pytest.raises(ReadError) as failure:
        read_generic(a_generic_row(marginMode="cross"), a_generic_row(marginMode="isolated"))
    assert failure.value.kind is FailureKind.UNSUPPORTED
    assert "BTC/USD:BTC long" in failure.value.detail


# --- the request budget ---


async def test_a_short_wait_told_after_a_ban_does_not_shorten_the_ban() -> None:
    clock = SystemClock()
    budget = Budget(weight_per_minute=100, clock=clock)
    now = clock.now()
    budget.stop_until(ReadError(FailureKind.BANNED, "banned", now + timedelta(minutes=10)))
    budget.stop_until(ReadError(FailureKind.RATE_LIMIT, "slow down", now + timedelta(seconds=5)))
    with pytest.raises(ReadError) as failure:
        await budget.spend(1, patience_s=1.0)
    assert (failure.value.kind, failure.value.retry_at) == (FailureKind.BANNED, now + timedelta(minutes=10))


# --- rules ---


def readings(
    rules: Mapping[str, Rule], *positions: Position, equity: float | None, **markets: Any
) -> dict[str, Reading]:
    context = Context(snapshot=a_snapshot(*positions, equity=equity), markets=markets.get("markets", {}), now=at(1))
    return {f"{r.key.rule} {r.key.subject}": r for r in evaluate_rules(rules, context)}


def test_a_funding_rule_for_some_positions_leaves_the_sum_over_all_judged() -> None:
    rules = {
        "all": a_rule("funding_exposure", warning="0.3%", critical="1%"),
        "doge": a_rule("funding_exposure", warning="5%", where={"symbol": "DOGE/*"}),
    }
    markets = {**a_market(rate=0.01), **a_market("DOGE/USDT:USDT", rate=0.0001)}
    positions = a_position(contracts=10), a_position(symbol="DOGE/USDT:USDT", contracts=10, mark_price=1)
    found = readings(rules, *positions, equity=1000.0, markets=markets)
    assert {name: r.verdict for name, r in found.items()} == {"all USDT": Verdict.BREACH, "doge USDT": Verdict.CLEAR}


def test_no_liquidation_price_is_not_believed_where_the_pool_is_about_to_go() -> None:
    position = a_position(contracts=100, liquidation_price_origin=PriceOrigin.NONE)
    markets = a_market(tiers=flat_tiers(0.004))
    (near,) = readings({"distance": DISTANCE}, position, equity=41.0, markets=markets).values()
    assert near.verdict is Verdict.BREACH
    assert near.inputs["liquidation_price_origin"] == "own_estimate"
    (far,) = readings({"distance": DISTANCE}, position, equity=9000.0, markets=markets).values()
    assert (far.verdict, far.value, far.inputs["liquidation_price_origin"]) == (Verdict.CLEAR, None, "none")


def hedged_pair(*prices: float) -> tuple[Position, Position]:
    long, short = (
        a_position(
            side=side,
            contracts=contracts,
            pool="account:USDT",
            liquidation_price=price,
            liquidation_price_origin=PriceOrigin.VENUE,
        )
        for side, contracts, price in zip(Side, (2.0, 1.0), prices, strict=True)
    )
    return long, short


def test_legs_of_one_price_hedge_each_other_where_the_pools_margin_is_unknown() -> None:
    found = readings({"distance": DISTANCE}, *hedged_pair(80.0, 80.0), equity=None)
    assert [r.value for r in found.values()] == pytest.approx([0.2, 0.2])


def test_legs_of_two_prices_are_judged_each_by_its_own() -> None:
    found = readings({"distance": DISTANCE}, *hedged_pair(80.0, 90.0), equity=None)
    assert [r.value for r in found.values()] == pytest.approx([0.2, -0.1])


# --- `perpwatch once` ---


def test_a_pool_under_water_is_not_shown_as_unknown_or_none(capsys: pytest.CaptureFixture[str]) -> None:
    snapshot = a_snapshot(a_position(contracts=100), equity=-5.0)
    rule = a_rule("margin_ratio", warning="20%", critical="40%")
    judged = evaluate_rules({"margin": rule}, Context(snapshot=snapshot, markets={}, now=NOON))
    read = Read(snapshot, judged)
    print_table([read])
    assert capsys.readouterr().out.count("equity is gone") == 2
    (told,) = as_object(read)["readings"]
    assert (told["verdict"], told["severity"], told["value"]) == ("breach", "critical", None)
