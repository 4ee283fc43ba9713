"""Margin arithmetic: brackets, repricing, liquidation prices and remedies, against figures worked by hand."""

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from monitor.domain.account import AccountSnapshot, Collateral, Position, PriceOrigin, Side
from monitor.domain.market import Tier
from monitor.risk.liquidation import LiquidationPrices, liquidation_prices
from monitor.risk.margin import maintenance
from monitor.risk.remedy import remedy_for_distance, remedy_for_margin_ratio, with_collateral, with_cut
from monitor.risk.reprice import reprice
from tests.builders import a_market, a_position, a_snapshot, flat_tiers

BRACKETS = (Tier(0, 50_000, 0.004, 0), Tier(50_000, 250_000, 0.005, 50), Tier(250_000, 1e9, 0.01, 1300))


def solve(snapshot: AccountSnapshot, position: Position, rate: float) -> LiquidationPrices:
    prices = liquidation_prices(snapshot, position, a_market(position.instrument.symbol, tiers=flat_tiers(rate)))
    assert prices is not None
    return prices


@pytest.mark.parametrize(
    ("notional", "owed"), [(0, 0), (50_000, 200), (100_000, 450), (250_000, 1200), (1_000_000, 8700), (2e9, 2e7 - 1300)]
)
def test_maintenance_follows_the_bracket_the_notional_falls_in(notional: float, owed: float) -> None:
    assert maintenance(BRACKETS, notional) == pytest.approx(owed)


@given(st.floats(0, 1e6))
def test_maintenance_by_amounts_agrees_with_the_sum_slice_by_slice(notional: float) -> None:
    slices = sum(max(0.0, min(notional, tier.cap) - tier.floor) * tier.rate for tier in BRACKETS)
    assert maintenance(BRACKETS, notional) == pytest.approx(slices, abs=1e-6)


def test_a_long_with_other_positions_in_its_pool_has_the_room_they_leave() -> None:
    position = a_position(mark_price=100, rate=0.004)
    snapshot = a_snapshot(position, equity=5, other_maintenance=4)
    below = solve(snapshot, position, 0.004).below
    assert below is not None
    assert below == pytest.approx(99.40, abs=0.005)
    assert (100 - below) / 100 == pytest.approx(0.0060, abs=0.00005)


def test_a_short_is_liquidated_above_its_mark() -> None:
    position = a_position(symbol="ETH/USDT:USDT", side=Side.SHORT, contracts=3, mark_price=3000, rate=0.05)
    prices = solve(a_snapshot(position, equity=1000), position, 0.05)
    assert prices.below is None
    assert prices.above == pytest.approx(3174.60, abs=0.005)


def test_both_legs_of_a_hedge_move_together_and_both_owe_maintenance() -> None:
    long = a_position(contracts=2, mark_price=100, rate=0.01)
    short = a_position(contracts=1, side=Side.SHORT, mark_price=100, rate=0.01)
    snapshot = a_snapshot(long, short, equity=20)
    assert solve(snapshot, long, 0.01).below == pytest.approx(82.47, abs=0.005)
    assert solve(snapshot, short, 0.01) == solve(snapshot, long, 0.01)


def test_a_nearly_even_hedge_is_liquidated_on_the_side_where_its_maintenance_grows() -> None:
    long = a_position(contracts=1.01, mark_price=100, rate=0.01)
    short = a_position(contracts=1, side=Side.SHORT, mark_price=100, rate=0.01)
    prices = solve(a_snapshot(long, short, equity=3), long, 0.01)
    assert prices.below is None
    assert prices.above == pytest.approx((3 - 1) / (0.02010 - 0.01), rel=1e-9)


def test_an_inverse_long_is_liquidated_below_in_coin_terms() -> None:
    position = a_position(symbol="BTC/USD:BTC", contracts=1000, mark_price=100_000, rate=0.004)
    snapshot = a_snapshot(position, equity=0.25)
    # P' = (S + |s| * rate) / (E + S / P), in USD of contract value and coin of equity.
    expected = (100_000 + 100_000 * 0.004) / (0.25 + 100_000 / 100_000)
    assert solve(snapshot, position, 0.004).below == pytest.approx(expected, rel=1e-12)


def test_an_inverse_short_with_more_coin_than_it_is_worth_has_no_liquidation_price() -> None:
    position = a_position(symbol="BTC/USD:BTC", side=Side.SHORT, contracts=1000, mark_price=100_000, rate=0.004)
    assert solve(a_snapshot(position, equity=1.5), position, 0.004) == LiquidationPrices(None, None)


def test_a_pool_past_its_maintenance_is_liquidatable_already() -> None:
    position = a_position(mark_price=100, rate=0.01)
    assert solve(a_snapshot(position, equity=0.9), position, 0.01).already


def test_a_spot_sized_long_cannot_be_liquidated_before_zero() -> None:
    position = a_position(mark_price=100, rate=0.01)
    assert solve(a_snapshot(position, equity=150), position, 0.01) == LiquidationPrices(None, None)


@pytest.mark.parametrize(
    ("side", "mark", "equity", "price"),
    [
        (Side.SHORT, 4000, 10_700, 5000),
        (Side.SHORT, 4000, 12_000, 52_000 / 10.2),
        (Side.LONG, 6000, 10_500, 49_500 / 9.8),
        (Side.LONG, 6000, 11_500, 48_500 / 9.9),
    ],
    ids=["at the jump", "beyond it", "before the fall", "after the fall"],
)
def test_where_the_rate_of_a_bracket_holds_for_the_whole_position_maintenance_jumps_at_its_edge(
    side: Side, mark: float, equity: float, price: float
) -> None:
    whole = (Tier(0, 50_000, 0.01, 0), Tier(50_000, 1e9, 0.02, 0))
    position = a_position(contracts=10, side=side, mark_price=mark, maintenance_margin=maintenance(whole, 10 * mark))
    prices = liquidation_prices(a_snapshot(position, equity=equity), position, a_market(tiers=whole))
    assert prices is not None
    assert prices.nearest(mark) == pytest.approx(price, rel=1e-9)


def test_an_unknown_figure_gives_no_price_at_all() -> None:
    position = a_position(maintenance_margin=None)
    assert liquidation_prices(a_snapshot(position), position, {}) is None
    assert liquidation_prices(a_snapshot(a_position(), equity=None), a_position(), {}) is None


def test_repricing_to_the_same_marks_changes_no_figure_of_a_pool() -> None:
    snapshot = a_snapshot(a_position(mark_price=100), equity=50, other_maintenance=3)
    again = reprice(snapshot, {"BTC/USDT:USDT": 100.0}, a_market(tiers=BRACKETS))
    assert (again.margins[0].equity, again.margins[0].maintenance_margin) == (50, 3.4)


sides = st.sampled_from(list(Side))
sizes = st.floats(0.01, 100)
marks = st.floats(50, 5000)


@st.composite
def pools(draw: st.DrawFn) -> AccountSnapshot:
    """A healthy pool on one linear or inverse instrument, with one or two legs and some other maintenance."""
    symbol = draw(st.sampled_from(["BTC/USDT:USDT", "BTC/USD:BTC"]))
    mark = draw(marks)
    legs = []
    for side in draw(st.sampled_from([[Side.LONG], [Side.SHORT], [Side.LONG, Side.SHORT]])):
        leg = a_position(symbol=symbol, side=side, contracts=draw(sizes), mark_price=mark)
        legs.append(
            a_position(
                symbol=symbol,
                side=side,
                contracts=leg.contracts,
                mark_price=mark,
                maintenance_margin=maintenance(BRACKETS, leg.notional),
            )
        )
    owed = sum(leg.maintenance_margin or 0 for leg in legs)
    other = draw(st.floats(0, owed))
    return a_snapshot(*legs, equity=(owed + other) * draw(st.floats(1.05, 50)), other_maintenance=other)


@given(pools())
def test_at_the_solved_price_the_repriced_margin_ratio_is_one(snapshot: AccountSnapshot) -> None:
    position = snapshot.positions[0]
    markets = a_market(position.instrument.symbol, tiers=BRACKETS)
    prices = liquidation_prices(snapshot, position, markets)
    assert prices is not None
    for price in (prices.below, prices.above):
        if price is not None:
            pool = reprice(snapshot, {position.instrument.symbol: price}, markets).margins[0]
            assert pool.equity is not None
            scale = abs(snapshot.margins[0].equity or 0) + abs(position.notional)
            assert pool.maintenance_margin == pytest.approx(pool.equity, abs=1e-7 * scale)


@given(pools(), st.floats(0.05, 0.9))
def test_a_margin_remedy_reaches_its_target_and_hardly_overshoots(snapshot: AccountSnapshot, target: float) -> None:
    pool = snapshot.margins[0]
    assume(pool.margin_ratio is not None and pool.margin_ratio > target)
    markets = a_market(snapshot.positions[0].instrument.symbol, tiers=BRACKETS)
    remedy = remedy_for_margin_ratio(snapshot, pool, target, markets)
    assert remedy.add_collateral is not None
    after = with_collateral(snapshot, pool.pool, remedy.add_collateral).margins[0].margin_ratio
    assert after == pytest.approx(target, rel=0.01)
    assert after is not None
    assert after <= target
    if remedy.cut_share is not None:
        shares = {p.subject: remedy.cut_share for p in snapshot.positions}
        cut = with_cut(snapshot, shares, markets).margins[0].margin_ratio
        assert cut is not None
        assert cut <= target * (1 + 1e-9)


@given(pools(), st.floats(0.02, 0.5))
def test_a_distance_remedy_moves_the_liquidation_price_to_its_target(snapshot: AccountSnapshot, target: float) -> None:
    position = snapshot.positions[0]
    markets = a_market(position.instrument.symbol, tiers=BRACKETS)
    prices = liquidation_prices(snapshot, position, markets)
    nearest = prices.nearest(position.mark_price) if prices else None
    assume(nearest is not None and abs(nearest / position.mark_price - 1) < target)
    assert nearest is not None
    remedy = remedy_for_distance(snapshot, position, nearest, target, markets)
    assert remedy.add_collateral is not None
    after = liquidation_prices(with_collateral(snapshot, position.pool, remedy.add_collateral), position, markets)
    assert after is not None
    moved = after.below if nearest < position.mark_price else after.above
    assert moved is None or abs(moved / position.mark_price - 1) == pytest.approx(target, rel=0.01)


@pytest.mark.parametrize("counts", [1.0, 0.8])
def test_a_liquidation_price_of_our_own_falls_with_the_coin_that_secures_it_and_so_is_its_remedy(counts: float) -> None:
    """40 contracts and 1,000 in Bitcoin at 100, less a haircut: gone 1,000 lower by 5,000 a unit of the move."""
    long = a_position(contracts=40, rate=1e-9, pool="cross:USD", liquidation_price_origin=PriceOrigin.UNKNOWN)
    snapshot, market = a_snapshot(long, equity=1_000), a_market(tiers=flat_tiers(1e-9))
    (balance,) = snapshot.margins
    snapshot = replace(
        snapshot,
        margins=(replace(balance, currency="USD"),),
        collateral=(Collateral(coin="BTC", price=100.0, amount=10 / counts),),
    )
    prices = liquidation_prices(snapshot, long, market)
    assert prices is not None
    assert prices.below == pytest.approx(80.0)
    assert prices.above is None
    told = replace(long, liquidation_price_origin=PriceOrigin.VENUE)
    beside = liquidation_prices(replace(snapshot, positions=(told,)), told, market)
    assert beside is not None
    assert beside.below == pytest.approx(75.0), "as the venue has it"
    remedy = remedy_for_distance(snapshot, long, 80.0, 0.25, market)
    assert remedy.add_collateral == pytest.approx(250.0, rel=1e-4)
    after = liquidation_prices(with_collateral(snapshot, "cross:USD", remedy.add_collateral or 0.0), long, market)
    assert after is not None
    assert after.below == pytest.approx(75.0, rel=1e-4)
    assert remedy.cut_share == pytest.approx(0.25, abs=1e-3)
    reduced = with_cut(snapshot, {long.subject: remedy.cut_share or 0.0}, market)
    after = liquidation_prices(reduced, reduced.positions[0], market)
    assert after is not None
    assert after.below == pytest.approx(75.0, rel=1e-3)
