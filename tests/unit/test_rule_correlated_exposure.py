"""The stake on coins that move together: which do, what offsets, what is taken for granted, and the remedy."""

import random
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from monitor.config.profiles import PROFILES
from monitor.domain.market import Markets, MarketState, Observed
from monitor.domain.reading import Need, Reading, Severity, Verdict
from monitor.domain.study import NoStudy, Study
from monitor.risk.clusters import clusters
from monitor.risk.volatility import correlation
from monitor.rules.base import Context, Portfolio
from monitor.rules.book import evaluate_portfolio
from tests.builders import NOON, a_rule, a_snapshot, an_instrument
from tests.studies import a_study
from tests.unit.portfolio_kit import held

BTC, ETH, SOL, GOLD = "BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT", "XAUT/USDT:USDT"
# What a coin's days have of bitcoin's and of its own.
MIXES = {BTC: (1.0, 0.0), ETH: (1.3, 0.5), SOL: (1.5, 0.8), GOLD: (0.05, 1.0)}
# Coins of which two move as one, and two others as another one.
TWO_GROUPS = {"A": BTC, "B": BTC, "X": GOLD, "Y": GOLD}
MARK = {BTC: 100_000.0, ETH: 4_000.0, SOL: 200.0, GOLD: 4_000.0}


@cache
def study_of(symbol: str) -> Study:
    market, own = random.Random(7), random.Random(symbol)
    of_market, of_own = MIXES[symbol]
    return a_study([of_market * market.gauss(0, 0.03) + of_own * own.gauss(0, 0.03) for _ in range(100)])


def markets_of(*symbols: str) -> Markets:
    return {
        symbol: MarketState(instrument=an_instrument(symbol), study=Observed(study_of(symbol), NOON))
        for symbol in symbols
    }


def account(
    name: str,
    dollars: Mapping[str, float],
    *,
    equity: float = 10_000.0,
    known: tuple[str, ...] = tuple(MIXES),
    **more: Any,
) -> Context:
    """Positions of so many dollars at 10x, below 0 of a short; `known` are the coins with a study."""
    positions = [
        held(symbol, worth / MARK[symbol], mark_price=MARK[symbol], **{"leverage": 10.0, **more})
        for symbol, worth in dollars.items()
    ]
    snapshot = a_snapshot(*positions, equity=equity, account=name)
    return Context(snapshot=snapshot, markets=markets_of(*known), now=NOON)


def judge(*accounts: Context, profile: str = "professional", unseen: tuple[str, ...] = ()) -> Reading:
    rule = a_rule("correlated_exposure", **PROFILES[profile]["correlated_exposure"])
    portfolio = Portfolio(seen={one.snapshot.account: one for one in accounts}, unseen={}, now=NOON)
    (reading,) = evaluate_portfolio({"correlated_exposure": rule}, portfolio)
    return reading


def test_the_coins_of_these_tests_are_as_correlated_as_they_are_meant_to_be() -> None:
    pairs = {symbol: correlation(study_of(BTC), study_of(symbol)) or 0.0 for symbol in MIXES}
    assert pairs[ETH] > 0.8
    assert pairs[SOL] > 0.8
    assert abs(pairs[GOLD]) < 0.4


def test_half_of_all_equity_on_coins_that_move_together_is_told_over_venues() -> None:
    """The professional's case: 50 % across correlated contracts. Gold is none of them."""
    one = account("main", {BTC: 60_000, GOLD: 30_000})
    other = account("fund", {ETH: 30_000, SOL: 20_000})
    reading = judge(one, other)
    assert reading.value == pytest.approx(11_000 / 20_000)
    assert reading.severity is Severity.WARNING
    assert reading.inputs["coins"] == "BTC, ETH, SOL"
    assert reading.inputs["assumed"] is None
    assert reading.inputs["bitcoin_notional"] == pytest.approx(60_000 + 30_000 * 1.3 + 20_000 * 1.5, rel=0.1)
    assert judge(one, account("fund", {ETH: 10_000})).verdict is Verdict.CLEAR


def test_shorts_offset_the_longs_of_their_group() -> None:
    reading = judge(account("main", {BTC: 60_000, ETH: 40_000}), account("fund", {SOL: -70_000}))
    assert reading.value == pytest.approx(3_000 / 20_000), "30,000 of the 100,000 long, of the 10,000 they stake"
    reading = judge(account("main", {BTC: 20_000}), account("fund", {SOL: -70_000}, leverage=20.0))
    assert reading.value == pytest.approx(3_500 * 50 / 70 / 20_000), "the side that outweighs, by its own margin"
    assert judge(account("main", {BTC: 50_000, ETH: -50_000})).value == 0.0


def test_one_coin_and_a_crumb_of_another_are_the_position_size_rules_own() -> None:
    for dollars in ({BTC: 90_000}, {BTC: 90_000, ETH: 100}, {BTC: 90_000, GOLD: 90_000}):
        reading = judge(account("main", dollars))
        assert (reading.verdict, reading.value) == (Verdict.CLEAR, None)


def test_what_is_not_measured_is_taken_to_move_with_the_others_and_said_to_be() -> None:
    reading = judge(account("main", {BTC: 60_000, GOLD: 30_000}, known=(BTC,)))
    assert reading.value == pytest.approx(9_000 / 10_000)
    assert reading.inputs["assumed"] == "BTC, XAUT", "of two, neither is measured against the other"
    assert reading.inputs["bitcoin_notional"] == pytest.approx(60_000 + 30_000 * 2.5)
    reading = judge(account("main", {BTC: 60_000, ETH: 60_000, GOLD: 30_000}, known=(BTC, ETH)))
    assert reading.inputs["assumed"] == "XAUT"


def test_candles_on_their_way_are_waited_for() -> None:
    one = account("main", {BTC: 60_000, GOLD: 30_000}, known=(BTC,))
    pending = MarketState(instrument=an_instrument(GOLD), no_study=NoStudy("being read", is_pending=True))
    reading = judge(replace(one, markets={**one.markets, GOLD: pending}))
    assert reading.is_unknown
    assert reading.inputs["is_pending"] is True
    other = account("fund", {GOLD: 30_000})
    assert not judge(replace(one, markets={**one.markets, GOLD: pending}), other).is_unknown, "known at another venue"


def test_positions_without_margin_or_leverage_are_left_out_and_counted() -> None:
    one = account("main", {BTC: 40_000, ETH: 40_000})
    other = account("fund", {SOL: 40_000}, leverage=None)
    reading = judge(one, other)
    assert reading.value == pytest.approx(8_000 / 20_000)
    assert reading.inputs["left_out"] == 1


def test_equity_that_is_gone_is_past_any_share_and_an_unknown_worth_is_unknown() -> None:
    reading = judge(account("main", {BTC: 40_000, ETH: 40_000}, equity=-5.0))
    assert (reading.value, reading.severity) == (None, Severity.WARNING)
    lost = account("main", {BTC: 40_000, ETH: 40_000})
    margins = tuple(replace(margin, equity=None) for margin in lost.snapshot.margins)
    reading = judge(replace(lost, snapshot=replace(lost.snapshot, margins=margins)))
    assert reading.is_unknown
    assert reading.inputs["account"] == "main"


def test_either_remedy_is_enough_and_no_more_than_needed() -> None:
    proven = 0
    for seed in range(200):
        dice = random.Random(seed)
        dollars = {s: dice.choice((-1, 1)) * 10 ** dice.uniform(3, 5) for s in dice.sample(list(MIXES), 3)}
        equity = 10 ** dice.uniform(3, 5)

        def whole(share: float = 1.0, added: float = 0.0, dollars=dollars, equity=equity) -> Reading:  # type: ignore[no-untyped-def]
            of_group = {s: worth * share for s, worth in dollars.items()}
            return judge(account("main", of_group, equity=equity + added), profile="retail")

        reading = whole()
        share, added = reading.inputs.get("cut_share"), reading.inputs.get("add_collateral")
        if isinstance(share, float) and isinstance(added, float):
            proven += 1
            assert whole(share=1 - share).verdict is Verdict.CLEAR, seed
            assert whole(share=1 - share * 0.99).verdict is not Verdict.CLEAR, seed
            assert whole(added=added).verdict is Verdict.CLEAR, seed
            assert whole(added=added * 0.99).verdict is not Verdict.CLEAR, seed
    assert proven > 40


def test_a_second_group_that_stakes_too_much_is_cut_as_well() -> None:
    """Two coins of each, of which the first two stake 25 % of equity and the others 23.6 %."""
    studies = {f"{coin}/USDT:USDT": Observed(study_of(like), NOON) for coin, like in TWO_GROUPS.items()}
    markets = {symbol: MarketState(instrument=an_instrument(symbol), study=of) for symbol, of in studies.items()}

    def after(first: float, second: float) -> Reading:
        dollars = {symbol: 12_500.0 if TWO_GROUPS[symbol.partition("/")[0]] == BTC else 11_800.0 for symbol in studies}
        left = {BTC: 1 - first, GOLD: 1 - second}
        positions = [
            held(symbol, worth * left[TWO_GROUPS[symbol.partition("/")[0]]], mark_price=1.0, leverage=10.0)
            for symbol, worth in dollars.items()
        ]
        snapshot = a_snapshot(*positions, equity=10_000.0)
        return judge(Context(snapshot=snapshot, markets=markets, now=NOON), profile="retail")

    reading = after(0.0, 0.0)
    assert (reading.inputs["coins"], reading.inputs["cut_positions"]) == ("A, B", 2)
    assert reading.inputs["cut_besides"] == "X, Y by 24%"
    share = reading.inputs["cut_share"]
    assert isinstance(share, float)
    assert after(share, 0.0).verdict is Verdict.BREACH
    assert after(share, 0.24).verdict is Verdict.CLEAR
    assert after(0.0, 0.24).inputs.get("cut_besides") is None


def test_it_asks_for_candles() -> None:
    assert a_rule("correlated_exposure", warning="50%").needs == {Need.CANDLES}


@pytest.mark.parametrize("seed", range(20))
def test_groups_are_what_is_connected(seed: int) -> None:
    """Beside a search from every coin."""
    dice = random.Random(seed)
    coins = [f"C{number}" for number in range(9)]
    pairs = {frozenset(dice.sample(coins, 2)) for _ in range(6)}

    def reach(coin: str) -> frozenset[str]:
        found = {coin}
        while more := {o for o in coins if o not in found and any(frozenset((o, c)) in pairs for c in found)}:
            found |= more
        return frozenset(found)

    groups = clusters(coins, lambda one, other: frozenset((one, other)) in pairs)
    assert {frozenset(group) for group in groups} == {reach(coin) for coin in coins}
    assert sum(map(len, groups)) == len(coins)
