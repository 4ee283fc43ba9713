"""The paper exchange's engine: margin, funding and liquidation, against figures done by hand."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from monitor.domain.account import MarginMode, Side
from monitor.paper.book import EventKind, liquidatable
from monitor.paper.contract import brackets_of
from monitor.paper.engine import Engine, EngineError
from tests.paper import START, an_exchange, inverse, linear

LONG, SHORT = Side.LONG, Side.SHORT


def kinds(engine: Engine) -> list[EventKind]:
    return [event.kind for event in engine.events]


# --- figures known from elsewhere ---


def test_maintenance_of_other_positions_brings_liquidation_close() -> None:
    engine = an_exchange(linear(rate=0.004), linear("ETHUSDT", rate=0.04), usdt=5)
    engine.open("main", "BTCUSDT", LONG, 1, 100, 20)
    engine.open("main", "ETHUSDT", LONG, 1, 100, 20)
    assert engine.position("main", "BTCUSDT", LONG).liquidation_price == pytest.approx(99.40, abs=0.005)


def test_a_short_is_liquidated_above_its_entry() -> None:
    engine = an_exchange(linear("ETHUSDT", rate=0.05), usdt=1000)
    engine.open("main", "ETHUSDT", SHORT, 3, 3000, 9)
    assert engine.position("main", "ETHUSDT", SHORT).liquidation_price == pytest.approx(10_000 / 3.15, rel=1e-10)


def test_both_legs_of_a_hedge_move_together_and_show_one_liquidation_price() -> None:
    engine = an_exchange(linear(rate=0.01), usdt=20, hedge_mode=True)
    engine.open("main", "BTCUSDT", LONG, 2, 100, 20)
    engine.open("main", "BTCUSDT", SHORT, 1, 100, 20)
    prices = [position.liquidation_price for position in engine.positions("main")]
    assert prices == pytest.approx([80 / 0.97] * 2, rel=1e-10)
    assert prices[0] == pytest.approx(82.47, abs=0.005)


def test_an_inverse_long_is_liquidated_where_its_coins_run_out() -> None:
    engine = an_exchange(inverse(rate=0.01), btc=1)
    engine.open("main", "BTCUSD_PERP", LONG, 4000, 100_000, 4)
    # 400,000 USD long at 100,000: 1 + 4 - 400,000 / p = 0.01 * 400,000 / p
    assert engine.position("main", "BTCUSD_PERP", LONG).liquidation_price == pytest.approx(404_000 / 5, rel=1e-10)


def test_an_isolated_position_is_a_pool_of_its_own() -> None:
    engine = an_exchange(linear(rate=0.01), usdt=1000)
    engine.open("main", "BTCUSDT", LONG, 1, 100, 10, isolated=True)
    position = engine.position("main", "BTCUSDT", LONG)
    assert position.margin_mode is MarginMode.ISOLATED
    assert position.isolated_wallet == 10
    assert position.liquidation_price == pytest.approx(90 / 0.99, rel=1e-10)
    assert {pool.pool: pool.wallet for pool in engine.pools("main")} == {
        "cross:USDT": 990,
        "isolated:BTCUSDT:long": 10,
    }


@pytest.mark.parametrize(
    ("size", "notional", "maintenance"),
    [(0.4, 40_000, 160), (0.5, 50_000, 200), (1.0, 100_000, 450), (6.0, 600_000, 2950), (10.0, 1e6, 5550)],
)
def test_maintenance_is_notional_times_rate_less_the_amount_of_its_bracket(
    size: float, notional: float, maintenance: float
) -> None:
    engine = an_exchange(linear(), usdt=1e6)
    engine.open("main", "BTCUSDT", LONG, size, 100_000, 10)
    position = engine.position("main", "BTCUSDT", LONG)
    assert (position.notional, position.maintenance_margin) == pytest.approx((notional, maintenance))
    assert position.initial_margin == pytest.approx(notional / 10)


def test_inverse_figures_are_in_coin() -> None:
    engine = an_exchange(inverse(), btc=2)
    engine.open("main", "BTCUSD_PERP", LONG, 7200, 120_000, 5)
    engine.set_mark("BTCUSD_PERP", 100_000)
    position = engine.position("main", "BTCUSD_PERP", LONG)
    assert position.notional == pytest.approx(7.2)
    assert position.unrealized_pnl == pytest.approx(6 - 7.2)
    assert position.maintenance_margin == pytest.approx(7.2 * 0.005 - 0.005)


def test_adding_to_a_position_averages_its_entry() -> None:
    engine = an_exchange(linear(), inverse(), usdt=1000, btc=1)
    for symbol in ("BTCUSDT", "BTCUSD_PERP"):
        engine.open("main", symbol, LONG, 100, 100, 5)
        engine.open("main", symbol, LONG, 100, 300, 5)
    assert engine.position("main", "BTCUSDT", LONG).entry_price == pytest.approx(200)
    assert engine.position("main", "BTCUSD_PERP", LONG).entry_price == pytest.approx(150)


def test_a_position_that_no_price_liquidates_has_no_liquidation_price() -> None:
    engine = an_exchange(linear(), usdt=200)
    engine.open("main", "BTCUSDT", LONG, 1, 100, 1)
    assert engine.position("main", "BTCUSDT", LONG).liquidation_price is None


def test_the_nearer_of_two_liquidation_prices_is_told() -> None:
    # Nearly flat: the gap between the legs earns less upwards than both legs' maintenance grows.
    engine = an_exchange(linear(rate=0.05), usdt=20, hedge_mode=True)
    engine.open("main", "BTCUSDT", LONG, 1.01, 100, 20)
    engine.open("main", "BTCUSDT", SHORT, 1, 100, 20)
    expected = (20 - 0.01 * 100) / (2.01 * 0.05 - 0.01)
    assert engine.position("main", "BTCUSDT", LONG).liquidation_price == pytest.approx(expected, rel=1e-10)


def test_a_pool_already_liquidatable_shows_the_price_at_which_it_would_not_be() -> None:
    engine = an_exchange(linear(rate=0.01), usdt=5)
    engine.open("main", "BTCUSDT", LONG, 1, 110, 20)
    engine.deposit("main", "USDT", 1)
    engine.close("main", "BTCUSDT", LONG, 0.5, 110)
    engine.open("main", "BTCUSDT", LONG, 1, 120, 20)
    pool = engine.pool("main", "cross:USDT")
    assert liquidatable(pool.equity, pool.maintenance_margin)
    # 6 + 1.5 * p - 0.5 * 110 - 120 = 0.01 * 1.5 * p
    found = engine.position("main", "BTCUSDT", LONG).liquidation_price
    assert found == pytest.approx((0.5 * 110 + 120 - 6) / (1.5 * 0.99), rel=1e-9)
    assert found is not None
    assert found > 110


# --- funding ---


def test_funding_is_paid_by_longs_and_received_by_shorts_at_each_interval() -> None:
    hourly = linear(rate=0.01, funding_rate=0.001, funding_interval=timedelta(hours=1))
    engine = an_exchange(hourly, usdt=1000, hedge_mode=True)
    engine.open("main", "BTCUSDT", LONG, 2, 100, 5)
    engine.open("main", "BTCUSDT", SHORT, 1, 100, 5)
    engine.set_mark("BTCUSDT", 110)
    engine.advance(START + timedelta(minutes=9))
    assert engine.account("main").wallets["USDT"] == 1000
    engine.advance(START + timedelta(hours=2, minutes=9))
    paid = [event for event in engine.events if event.kind is EventKind.FUNDING]
    assert [event.time.hour for event in paid] == [21, 21, 22, 22]
    assert [event.amount for event in paid] == pytest.approx([-0.22, 0.11, -0.22, 0.11])
    assert engine.account("main").wallets["USDT"] == pytest.approx(1000 - 0.22)


@pytest.mark.parametrize(("hours", "due"), [(1, (21, 10)), (4, (0, 11)), (8, (0, 11))])
def test_the_next_payment_falls_on_a_multiple_of_the_interval(hours: int, due: tuple[int, int]) -> None:
    engine = an_exchange(linear(funding_interval=timedelta(hours=hours)))
    next_at = engine.market("BTCUSDT").next_funding_at
    assert (next_at.hour, next_at.day) == due


def test_funding_of_an_isolated_position_leaves_its_own_wallet_and_inverse_funding_is_in_coin() -> None:
    engine = an_exchange(linear(funding_rate=0.001), inverse(funding_rate=0.001), usdt=100, btc=1)
    engine.open("main", "BTCUSDT", LONG, 1, 100, 10, isolated=True)
    engine.open("main", "BTCUSD_PERP", SHORT, 1000, 100_000, 5)
    engine.advance(datetime(2025, 10, 11, tzinfo=UTC))
    assert engine.position("main", "BTCUSDT", LONG).isolated_wallet == pytest.approx(10 - 0.1)
    assert engine.account("main").wallets == pytest.approx({"USDT": 90, "BTC": 1.001})


def test_a_shorter_interval_takes_effect_at_its_next_multiple() -> None:
    engine = an_exchange(linear(funding_interval=timedelta(hours=8)))
    engine.set_funding("BTCUSDT", -0.01, timedelta(hours=1))
    assert engine.market("BTCUSDT").next_funding_at == datetime(2025, 10, 10, 21, tzinfo=UTC)
    assert engine.market("BTCUSDT").funding_rate == -0.01


def test_funding_alone_can_liquidate() -> None:
    engine = an_exchange(linear(rate=0.01, funding_rate=0.02), usdt=2)
    engine.open("main", "BTCUSDT", LONG, 1, 100, 100)
    engine.advance(datetime(2025, 10, 11, tzinfo=UTC))
    assert kinds(engine)[-3:] == [EventKind.OPEN, EventKind.FUNDING, EventKind.FULL]


# --- liquidation ---


def test_a_large_position_is_cut_below_its_bracket_first_and_closed_whole_later() -> None:
    engine = an_exchange(linear(step=0.001), usdt=50_000)
    engine.open("main", "BTCUSDT", LONG, 7, 100_000, 20)
    liquidation_price = engine.position("main", "BTCUSDT", LONG).liquidation_price
    assert liquidation_price is not None
    engine.set_mark("BTCUSDT", liquidation_price * 0.9999)
    assert kinds(engine)[-1] is EventKind.PARTIAL
    position = engine.position("main", "BTCUSDT", LONG)
    assert position.notional < 600_000
    assert position.contracts == pytest.approx(0.99 * 600_000 / position.mark_price, abs=0.001)
    pool = engine.pool("main", "cross:USDT")
    assert pool.equity > pool.maintenance_margin
    engine.set_mark("BTCUSDT", position.mark_price * 0.9)
    assert kinds(engine)[-3:] == [EventKind.PARTIAL, EventKind.FULL, EventKind.INSURANCE]
    assert engine.positions("main") == ()
    assert engine.account("main").wallets["USDT"] == 0


def test_the_leg_that_lost_most_of_its_worth_is_cut_first_and_the_others_live_on() -> None:
    engine = an_exchange(linear(rate=0.01), linear("SOLUSDT", rate=0.2), usdt=105)
    engine.open("main", "BTCUSDT", LONG, 10, 100, 20)
    engine.open("main", "SOLUSDT", LONG, 1, 100, 4)
    engine.set_marks({"BTCUSDT": 95.5, "SOLUSDT": 60})  # equity 20, maintenance 9.55 + 12
    assert (engine.events[-1].symbol, engine.events[-1].kind) == ("SOLUSDT", EventKind.FULL)
    assert [position.symbol for position in engine.positions("main")] == ["BTCUSDT"]


def test_an_isolated_liquidation_takes_its_own_margin_and_no_more() -> None:
    engine = an_exchange(linear(rate=0.01), usdt=1000)
    engine.open("main", "BTCUSDT", LONG, 1, 100, 10, isolated=True)
    engine.set_mark("BTCUSDT", 85)
    assert kinds(engine)[-2:] == [EventKind.FULL, EventKind.INSURANCE]
    assert engine.account("main").wallets["USDT"] == pytest.approx(990)


def test_what_is_left_of_isolated_margin_returns_to_the_wallet_less_the_fee() -> None:
    engine = an_exchange(linear(rate=0.05, liquidation_fee_rate=0.01), usdt=1000)
    engine.open("main", "BTCUSDT", LONG, 1, 100, 10, isolated=True)
    engine.set_mark("BTCUSDT", 94)
    assert engine.account("main").wallets["USDT"] == pytest.approx(1000 - 6 - 0.94)


def test_added_isolated_margin_moves_the_liquidation_price_away() -> None:
    engine = an_exchange(linear(rate=0.01), usdt=1000)
    engine.open("main", "BTCUSDT", LONG, 1, 100, 10, isolated=True)
    engine.move_isolated_margin("main", "BTCUSDT", LONG, 5)
    assert engine.position("main", "BTCUSDT", LONG).liquidation_price == pytest.approx(85 / 0.99, rel=1e-10)
    assert engine.account("main").wallets["USDT"] == 985


def test_closing_part_of_an_isolated_position_frees_its_share_of_margin_and_pays_the_gain() -> None:
    engine = an_exchange(linear(rate=0.01), usdt=1000)
    engine.open("main", "BTCUSDT", LONG, 4, 100, 10, isolated=True)
    engine.close("main", "BTCUSDT", LONG, 1, 120)
    assert engine.position("main", "BTCUSDT", LONG).isolated_wallet == pytest.approx(30)
    assert engine.account("main").wallets["USDT"] == pytest.approx(960 + 10 + 20)


def test_deleveraging_closes_at_the_mark_and_says_so() -> None:
    engine = an_exchange(linear(rate=0.01), usdt=1000)
    engine.open("main", "BTCUSDT", SHORT, 1, 100, 10)
    engine.set_mark("BTCUSDT", 60)
    engine.adl("main", "BTCUSDT", SHORT)
    assert kinds(engine)[-1] is EventKind.ADL
    assert engine.account("main").wallets["USDT"] == pytest.approx(1040)


def test_a_withdrawal_that_leaves_too_little_liquidates() -> None:
    engine = an_exchange(linear(rate=0.01), usdt=10)
    engine.open("main", "BTCUSDT", LONG, 1, 100, 20)
    engine.withdraw("main", "USDT", 9.5)
    assert kinds(engine)[-1] is EventKind.FULL


def test_marks_set_together_are_judged_together() -> None:
    engine = an_exchange(linear(rate=0.01), linear("ETHUSDT", rate=0.01), usdt=10)
    engine.open("main", "BTCUSDT", LONG, 1, 100, 20)
    engine.open("main", "ETHUSDT", SHORT, 1, 100, 20)
    engine.set_marks({"BTCUSDT": 50, "ETHUSDT": 50})
    assert len(engine.positions("main")) == 2


def test_time_never_runs_back() -> None:
    engine = an_exchange(linear())
    engine.advance(START + timedelta(minutes=1))
    engine.set_mark("BTCUSDT", 100, START)
    assert engine.now == START + timedelta(minutes=1)


@pytest.mark.parametrize(
    "operation",
    [
        lambda e: e.open("main", "BTCUSDT", SHORT, 1, 100, 5),
        lambda e: e.open("main", "BTCUSDT", LONG, 1, 100, 5, isolated=True),
        lambda e: e.open("main", "BTCUSDT", LONG, 0, 100, 5),
        lambda e: e.open("main", "DOGEUSDT", LONG, 1, 100, 5),
        lambda e: e.open("nobody", "BTCUSDT", LONG, 1, 100, 5),
        lambda e: e.close("main", "BTCUSDT", LONG, 2),
        lambda e: e.close("main", "BTCUSDT", SHORT),
        lambda e: e.withdraw("main", "USDT", 1e9),
        lambda e: e.deposit("main", "USDT", -1),
        lambda e: e.set_mark("BTCUSDT", math.nan),
        lambda e: e.set_mark("BTCUSDT", 0),
        lambda e: e.set_mark("DOGEUSDT", 1),
        lambda e: e.move_isolated_margin("main", "BTCUSDT", LONG, 1),
        lambda e: e.add_account("main", api_key="other", secret="x"),
        lambda e: e.add_account("other", api_key="key", secret="x"),
    ],
)
def test_operations_that_make_no_sense_are_refused(operation: Callable[[Engine], None]) -> None:
    engine = an_exchange(linear(), usdt=1000)
    engine.open("main", "BTCUSDT", LONG, 1, 100, 5)
    before = (engine.positions("main"), engine.pools("main"), len(engine.events))
    with pytest.raises(EngineError):
        operation(engine)
    assert (engine.positions("main"), engine.pools("main"), len(engine.events)) == before


@pytest.mark.parametrize(
    "rows", [[], [(5, 10, 0.1, 5, 0)], [(0, 10, 0.1, 5, 0), (20, 30, 0.1, 5, 0), (10, 20, 0.1, 5, 0)]]
)
def test_brackets_that_do_not_start_at_zero_and_rise_are_refused(rows: list[tuple[float, ...]]) -> None:
    with pytest.raises(ValueError, match="brackets"):
        linear(brackets=brackets_of(rows))
