"""A basket of coins that hedge each other by beta: what it takes for one, what is told of it, and what restores it."""

# ruff: noqa: F401, F811 - fixtures are imported, and named again as parameters

import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from monitor.cli.explain import Explained, Judged, _of_underlying, worked
from monitor.domain.account import Position
from monitor.domain.alert import Resolution
from monitor.domain.hedges import HedgeTrack, Leg, is_worth_writing, sides
from monitor.domain.market import Markets, MarketState, Observed
from monitor.domain.reading import Need, Severity
from monitor.domain.study import NoStudy, Study
from monitor.portfolio import portfolio_of
from monitor.risk.underlying import delta_of
from monitor.risk.volatility import beta
from monitor.rules.base import Context, Portfolio, Rule
from monitor.rules.baskets import remedy, weighed
from monitor.rules.book import remembered
from monitor.rules.hedge import Hedge
from monitor.store.records import Changes, hedges_of
from monitor.store.store import Store
from tests.builders import NOON, a_rule, a_snapshot, an_instrument
from tests.studies import a_study
from tests.unit.portfolio_kit import BTC, ETH, INVERSE, UNWOUND, Office, held, office
from tests.unit.store_kit import ManualClock

SOL = "SOL/USDT:USDT"
NOW = ManualClock().now()
MARKS = {BTC: 100_000.0, ETH: 4_000.0, SOL: 200.0}
BETAS = {BTC: 1.0, ETH: 1.25, SOL: 2.0}
BASKET = ("BTC", "ETH", "SOL")
NAME = "BTC+ETH+SOL"


@cache
def study_of(beta_to_bitcoin: float, days: int = 100) -> Study:
    market = random.Random(7)
    return a_study([beta_to_bitcoin * market.gauss(0, 0.02) for _ in range(days)])


def markets_of(betas: Mapping[str, float] = BETAS, **missing: NoStudy) -> dict[str, MarketState]:
    """Bitcoin is studied whether it is held or not."""
    return {
        symbol: MarketState(
            instrument=an_instrument(symbol),
            mark_price=Observed(MARKS[symbol], NOW),
            study=Observed(study_of(of), NOW) if symbol.split("/")[0] not in missing else None,
            no_study=missing.get(symbol.split("/")[0]),
        )
        for symbol, of in betas.items()
    }


def coins(symbol: str, amount: float, **changes: Any) -> Position:
    return held(symbol, amount, **{"mark_price": MARKS[symbol], **changes})


def rules(**keys: Any) -> dict[str, Rule]:
    return {"hedge": a_rule("hedge", **{"warning": "10%", "critical": "25%", "basket": list(BASKET), **keys})}


# 250,000 dollars by beta each way: 40 ETH * 4,000 * 1.25 + 125 SOL * 200 * 2, against 2.5 BTC.
LONGS = (coins(ETH, 40.0), coins(SOL, 125.0))
SHORT = coins(BTC, -2.5)


@pytest.fixture
async def hedged(office: Office) -> Office:
    office.rules = rules()
    office.read("main", *LONGS, markets=markets_of())
    office.read("fund", SHORT, markets=markets_of())
    await office.again(times=UNWOUND)
    return office


def track(office: Office, underlying: str = NAME) -> HedgeTrack | None:
    return next((t for h in office.store.hedges.values() for t in h.tracks if t.underlying == underlying), None)


def test_the_coins_of_these_tests_have_the_betas_that_they_are_meant_to_have() -> None:
    for symbol, of in BETAS.items():
        assert beta(study_of(of), study_of(1.0)) == pytest.approx(of), symbol


async def test_alts_against_bitcoin_are_one_hedge_by_beta_and_quiet(hedged: Office) -> None:
    found = track(hedged)
    assert found is not None
    assert found.ratio == pytest.approx(1.0)
    assert {leg.coin: leg.beta for leg in found.legs} == pytest.approx({"BTC": 1.0, "ETH": 1.25, "SOL": 2.0})
    assert hedged.told == []
    assert hedged.rules["hedge"].needs == {Need.CANDLES}


async def test_without_a_basket_they_are_none(office: Office) -> None:
    office.rules = {"hedge": a_rule("hedge", warning="10%")}
    assert office.rules["hedge"].needs == frozenset()
    office.read("main", *LONGS, markets=markets_of())
    office.read("fund", SHORT, markets=markets_of())
    await office.again(times=UNWOUND)
    office.read("fund", markets=markets_of())
    await office.again(times=UNWOUND)
    assert office.told == []


async def test_a_bitcoin_leg_that_vanished_is_critical_with_what_restores_it(hedged: Office) -> None:
    hedged.read("fund", markets=markets_of())
    await hedged.again(times=UNWOUND)
    assert hedged.reasons("hedge") == ["first"]
    text = hedged.message("hedge")
    assert text.startswith(f"CRITICAL portfolio: {NAME} hedge lost its short side\n")
    assert "gone: BTC/USDT:USDT short of fund" in text
    assert "long 250,000 USD by beta · short 0 USD by beta" in text
    assert "betas: ETH 1.25, SOL 2.00" in text
    assert "Do: sell 2.5 BTC to restore the short side, or close 100% of the long side" in text
    hedged.read("fund", SHORT, markets=markets_of())
    await hedged.again(times=4)
    assert hedged.reasons("hedge") == ["first", "resolved"]


async def test_one_of_several_legs_that_vanished_is_told_with_its_coins(hedged: Office) -> None:
    hedged.read("main", LONGS[0], markets=markets_of())
    await hedged.again(times=UNWOUND)
    assert [row.severity for row in hedged.told] == [Severity.WARNING]
    text = hedged.message("hedge")
    assert f"{NAME} hedge is 20% off" in text
    assert "gone: SOL/USDT:USDT long of main" in text
    assert "Do: buy 125 SOL to restore the long side, or close 20% of the short side" in text


@pytest.mark.parametrize(
    ("ether", "sol", "bitcoin", "severity"),
    [
        (40.0, 125.0, -2.5, None),
        (20.0, 62.5, -1.25, None),
        (48.75, 15.625, -2.5, None),
        (44.0, 125.0, -2.5, None),
        (50.0, 125.0, -2.5, 1),
        (40.0, 125.0, -1.5, 2),
        (60.0, 125.0, -2.5, 2),
    ],
)
async def test_drift_is_of_the_dollars_by_beta(
    hedged: Office, ether: float, sol: float, bitcoin: float, severity: int | None
) -> None:
    hedged.read("main", coins(ETH, ether), coins(SOL, sol), markets=markets_of())
    hedged.read("fund", coins(BTC, bitcoin), markets=markets_of())
    await hedged.again(times=UNWOUND)
    assert [int(row.severity) for row in hedged.told] == ([] if severity is None else [severity])


@pytest.mark.parametrize(("fall", "count"), [(0.05, 0), (0.2, 1)])
async def test_a_coin_that_parts_from_the_others_leaves_the_rest_open(hedged: Office, fall: float, count: int) -> None:
    """Nobody traded, and what is left moves with bitcoin all the same."""
    lower = coins(ETH, 40.0, mark_price=MARKS[ETH] * (1 - fall))
    hedged.read("main", lower, LONGS[1], markets=markets_of())
    await hedged.again(times=UNWOUND)
    assert hedged.reasons("hedge") == ["first"] * count


async def test_a_beta_that_is_measured_anew_is_no_drift_also_after_a_restart(tmp_path: Path) -> None:
    clock, path = ManualClock(), tmp_path / "a.db"
    anew = markets_of({BTC: 1.0, ETH: 1.6, SOL: 2.5})
    before = Office(await Store.open(path, clock), clock, rules())
    before.read("main", *LONGS, markets=markets_of())
    before.read("fund", SHORT, markets=markets_of())
    await before.again(times=UNWOUND)
    for markets in (anew, markets_of(), anew):
        before.read("main", *LONGS, markets=markets)
        before.read("fund", SHORT, markets=markets)
        await before.again(times=UNWOUND)
    assert before.told == []
    await before.store.apply(Changes(alive_at=clock.now()))
    await before.store.close()
    clock.elapsed_s += 7_200
    after = Office(await Store.open(path, clock), clock, rules())
    after.read("main", *LONGS, markets=anew)
    after.read("fund", SHORT, markets=anew)
    await after.again(times=UNWOUND)
    assert after.told == []
    after.read("fund", markets=anew)
    await after.again(times=UNWOUND)
    assert after.reasons("hedge") == ["first"]
    assert "sell 2.5 BTC" in after.message("hedge"), "by the betas with which it was recognised"
    await after.store.close()


async def test_a_hedge_begun_anew_is_by_the_betas_of_then(hedged: Office) -> None:
    anew = markets_of({BTC: 1.0, ETH: 1.6, SOL: 2.5})
    for longs, shorts in (((), ()), (LONGS, (SHORT,))):
        hedged.read("main", *longs, markets=anew)
        hedged.read("fund", *shorts, markets=anew)
        await hedged.again(times=8)
    found = track(hedged)
    assert found is not None
    assert {leg.coin: leg.beta for leg in found.legs} == pytest.approx({"BTC": 1.0, "ETH": 1.6, "SOL": 2.5})


async def test_a_beta_that_is_not_measured_is_told_and_never_assumed(office: Office) -> None:
    office.rules = rules()
    markets = markets_of(ETH=NoStudy("too young for its volatility to be known"))
    office.read("main", *LONGS, markets=markets)
    office.read("fund", SHORT, markets=markets)
    await office.again(times=UNWOUND)
    assert track(office) is None
    assert "the beta of ETH is not measured: ETH/USDT:USDT: too young" in office.message("unassessed")
    office.read("main", *LONGS, markets=markets_of())
    office.read("fund", SHORT, markets=markets_of())
    await office.again(times=UNWOUND)
    assert office.reasons("unassessed") == ["first", "resolved"]
    assert track(office) is not None


@pytest.mark.parametrize(
    ("markets", "why"),
    [
        (markets_of(BTC=NoStudy("x")), "BTC/USDT:USDT: x"),
        (markets_of({ETH: 1.25, SOL: 2.0}), "no candles of BTC are read"),
        (
            markets_of() | {ETH: MarketState(instrument=an_instrument(ETH), study=Observed(study_of(1.0, 20), NOW))},
            "30",
        ),
    ],
)
async def test_whatever_a_beta_lacks_is_said(office: Office, markets: Markets, why: str) -> None:
    office.rules, office.names = rules(), ("main",)
    office.read("main", coins(ETH, 40.0), coins(SOL, -250.0), markets=markets)
    await office.again(times=UNWOUND)
    assert f"the beta of ETH is not measured: {why}" in office.message("unassessed").replace("less than ", "")


async def test_candles_on_their_way_are_waited_for(office: Office) -> None:
    office.rules = rules()
    markets = markets_of(BTC=NoStudy("on its way", is_pending=True))
    office.read("main", *LONGS, markets=markets)
    office.read("fund", SHORT, markets=markets)
    await office.again(times=UNWOUND)
    assert office.told == []


async def test_coins_on_one_side_need_no_beta(office: Office) -> None:
    office.rules, office.names = rules(), ("main",)
    office.read("main", *LONGS, markets=markets_of(ETH=NoStudy("x"), SOL=NoStudy("x")))
    await office.again(times=UNWOUND)
    assert office.told == []


async def test_a_standing_hedge_by_a_beta_that_is_measured_no_more_goes_on(hedged: Office) -> None:
    markets = markets_of(ETH=NoStudy("x"), SOL=NoStudy("x"), BTC=NoStudy("x"))
    hedged.read("main", *LONGS, markets=markets)
    hedged.read("fund", markets=markets)
    await hedged.again(times=UNWOUND)
    assert hedged.reasons("hedge") == ["first"]
    assert hedged.reasons("unassessed") == []


async def test_the_basket_speaks_for_its_coins_and_only_while_it_stands(office: Office) -> None:
    """Bitcoin is long and short beside it: while the basket stands, the leg that is lost is told once."""
    office.rules = rules()
    office.read("main", *LONGS, coins(BTC, 2.5), markets=markets_of())
    office.read("fund", coins(BTC, -5.0), markets=markets_of())
    await office.again(times=UNWOUND)
    assert track(office, "BTC") is not None
    office.read("fund", markets=markets_of())
    await office.again(times=UNWOUND)
    assert [row.key.subject for row in office.told] == [NAME]
    assert "Do: sell 5 BTC to restore the short side" in office.message("hedge")


async def test_a_coin_hedged_by_itself_is_told_where_no_basket_stands(office: Office) -> None:
    """A carry of bitcoin offsets no ether: its sides are none of the basket's."""
    office.rules = rules()
    office.read("main", coins(BTC, 1.0), coins(ETH, 20.0), markets=markets_of())
    office.read("fund", coins(BTC, -1.0), markets=markets_of())
    await office.again(times=UNWOUND)
    assert track(office) is None
    office.read("fund", markets=markets_of())
    await office.again(times=UNWOUND)
    assert [row.key.subject for row in office.told] == ["BTC"]


async def test_a_leg_that_is_lost_makes_no_basket_of_what_is_left(office: Office) -> None:
    """A carry of bitcoin and a short of ether: what the lost leg leaves open looks like a hedge by chance."""
    office.rules = rules()
    office.read("main", coins(BTC, 1.0), coins(ETH, -18.0), markets=markets_of())
    office.read("fund", coins(BTC, -1.0), markets=markets_of())
    await office.again(times=UNWOUND)
    office.read("fund", markets=markets_of())
    await office.again(times=UNWOUND)
    assert [row.key.subject for row in office.told] == ["BTC"]
    assert track(office) is None
    office.read("fund", coins(BTC, -1.0), markets=markets_of())
    await office.again(times=UNWOUND)
    assert office.reasons("hedge") == ["first", "resolved"]


async def test_a_carry_that_is_closed_takes_nothing_from_the_basket(hedged: Office) -> None:
    for bitcoin in (1.0, None):
        more = () if bitcoin is None else (coins(BTC, bitcoin),)
        hedged.read("main", *LONGS, *more, markets=markets_of())
        hedged.read("fund", coins(BTC, -2.5 - (bitcoin or 0.0)), markets=markets_of())
        await hedged.again(times=UNWOUND)
    assert hedged.told == []


async def test_what_is_held_elsewhere_counts_in_a_basket_too(office: Office) -> None:
    office.rules, office.names = rules(offset={"BTC": "2.5"}), ("main",)
    office.read("main", coins(ETH, -50.0), markets=markets_of())
    await office.again(times=UNWOUND)
    assert track(office) is not None
    office.read("main", coins(ETH, -30.0), markets=markets_of())
    await office.again(times=UNWOUND)
    assert "Do: sell 20 ETH to restore the short side, or close 40% of the long side" in office.message("hedge")


async def test_a_basket_that_an_edit_took_away_is_told_as_taken_away(hedged: Office) -> None:
    hedged.read("fund", markets=markets_of())
    await hedged.again(times=UNWOUND)
    await hedged.edit(rules(basket=["BTC", "ETH"]))
    await hedged.again(times=UNWOUND)
    assert hedged.reasons("hedge") == ["first", "resolved"]
    assert hedged.told[-1].facts.resolution is Resolution.REMOVED  # type: ignore[union-attr]


def test_what_a_rule_without_a_basket_remembers_goes_on() -> None:
    """By the basis as it has always been written."""
    one = Context(snapshot=a_snapshot(account="main"), markets={}, now=NOON)
    rule = a_rule("hedge", warning="10%")
    assert isinstance(rule, Hedge)
    found = rule.remembered(None, Portfolio(seen={"main": one}, unseen={}, now=NOON))
    assert "basket" not in found.basis


def test_what_was_remembered_before_there_were_baskets_is_read() -> None:
    leg = '{"account": "main", "subject": "BTC/USDT:USDT long", "coins": 1.5}'
    track = f'{{"underlying": "BTC", "since": "2025-10-10T12:00:00Z", "ratio": 1.0, "legs": [{leg}]}}'
    (found,) = hedges_of(f'{{"hedge": {{"basis": "", "tracks": [{track}]}}}}')["hedge"].tracks
    assert sides(found.legs) == (1.5, 0.0)


async def test_prices_alone_are_not_worth_a_write(hedged: Office) -> None:
    """Both coins fall alike."""
    hedges = hedged.store.hedges["hedge"]
    (known,) = hedges.tracks
    fallen = replace(known, legs=tuple(replace(leg, dollars=leg.dollars * 0.9) for leg in known.legs))
    assert not is_worth_writing(hedges, replace(hedges, tracks=(fallen,)))
    traded = replace(known, legs=tuple(replace(leg, coins=leg.coins * 0.9) for leg in known.legs))
    assert is_worth_writing(hedges, replace(hedges, tracks=(traded,)))


@pytest.mark.parametrize(("coin", "is_shown"), [("eth", True), ("BTC", True), ("DOGE", False)])
async def test_explain_shows_a_basket_to_who_asks_for_one_of_its_coins(
    hedged: Office, coin: str, is_shown: bool
) -> None:
    portfolio = remembered(hedged.rules, portfolio_of(hedged.plans, hedged.sights, hedged.clock.now()), {})
    (reading,) = (of for of in hedged.rules["hedge"].evaluate_portfolio("hedge", portfolio) if of.key.subject == NAME)
    assert worked(hedged.rules["hedge"], reading) == "1 - min(250,000 / 250,000 / 100%, its inverse) = 0%"
    found = Explained(a_snapshot(), (Judged(reading, hedged.rules["hedge"], {}),))
    assert bool(_of_underlying(found, coin).judged) is is_shown


@pytest.mark.parametrize("basket", [[], ["BTC"], ["BTC", "BTC"], ["BTC/USDT:USDT", "ETH"], "BTC", ["A"] * 21])
def test_a_basket_is_two_coins_or_more_by_their_names(basket: Any) -> None:
    with pytest.raises(ValidationError):
        a_rule("hedge", warning="10%", basket=basket)


amounts = st.dictionaries(
    st.sampled_from([BTC, ETH, SOL]), st.floats(0.01, 100.0).flatmap(lambda x: st.sampled_from([x, -x])), min_size=1
)


@given(before=amounts, after=amounts, ratio=st.floats(0.5, 2.0))
def test_either_half_of_the_remedy_restores_the_basket_and_less_does_not(
    before: dict[str, float], after: dict[str, float], ratio: float
) -> None:
    """Positions are of so many thousand dollars; `after` may hold any side of what was there before."""

    def legs_of(thousands: Mapping[str, float], more: Mapping[str, float] | None = None) -> Any:
        sizes = {symbol: value * 1_000 / MARKS[symbol] for symbol, value in thousands.items()}
        for coin, size in (more or {}).items():
            sizes[f"{coin}/USDT:USDT"] = sizes.get(f"{coin}/USDT:USDT", 0.0) + size
        positions = [coins(symbol, size) for symbol, size in sizes.items() if size]
        context = Context(snapshot=a_snapshot(*positions, account="main"), markets=markets_of(), now=NOON)
        accounts = Portfolio(seen={"main": context}, unseen={}, now=NOON)
        legs = {p.instrument.base: (Leg(account="main", subject=p.subject, coins=delta_of(p)),) for p in positions}
        return weighed(BASKET, legs, known, accounts), accounts

    known: HedgeTrack | None = None
    stood, _ = legs_of(before)
    known = HedgeTrack(underlying=NAME, since=NOON, ratio=ratio, legs=stood)
    legs, accounts = legs_of(after)
    assume(known.drift(*sides(legs)) > 0.02)
    found = remedy(known, legs, accounts)
    if "restore_size" in found:
        sign = 1 if found["action"] == "buy" else -1
        for enough, is_whole in ((1.0, True), (0.99, False)):
            traded, _ = legs_of(after, {found["restore_coin"]: sign * enough * found["restore_size"]})
            assert (known.drift(*sides(traded)) < 1e-6) is is_whole
    if found["cut_other_share"] < 1:
        side = 1 if found["cut_side"] == "long" else -1
        for enough, is_whole in ((1.0, True), (0.99, False)):
            left = 1 - enough * found["cut_other_share"]
            cut = {symbol: value * (left if value * side > 0 else 1.0) for symbol, value in after.items()}
            assert (known.drift(*sides(legs_of(cut)[0])) < 1e-6) is is_whole
