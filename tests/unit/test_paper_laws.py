"""Laws of the paper exchange that hold for any book: cash adds up, and liquidation prices are where it liquidates."""

import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.domain.account import Side
from monitor.paper.book import liquidatable
from monitor.paper.engine import Engine
from tests.paper import START, an_exchange, inverse, linear

prices = st.floats(20.0, 500.0)
sizes = st.floats(0.01, 2000.0)


def cash(engine: Engine, asset: str) -> float:
    owner = engine.account("main")
    isolated = sum(leg.isolated_wallet or 0.0 for leg in owner.legs.values() if leg.contract.settle == asset)
    return owner.wallets.get(asset, 0.0) + isolated


@st.composite
def books(draw: st.DrawFn) -> Engine:
    """An account with up to two linear symbols and an inverse one, in hedge mode, cross and isolated."""
    engine = an_exchange(
        linear(funding_rate=0.001, fee_rate=0.0005),
        linear("ETHUSDT", liquidation_fee_rate=0.01),
        inverse(contract_size=1.0),
        usdt=draw(st.floats(100, 1e6)),
        btc=draw(st.floats(0.1, 1e4)),
        hedge_mode=True,
    )
    for symbol in ("BTCUSDT", "ETHUSDT", "BTCUSD_PERP"):
        isolated = draw(st.booleans())
        for side in draw(st.sets(st.sampled_from(Side))):
            engine.open("main", symbol, side, draw(sizes), draw(prices), draw(st.floats(1, 50)), isolated=isolated)
    return engine


@given(
    engine=books(),
    moves=st.lists(st.tuples(st.sampled_from(["BTCUSDT", "ETHUSDT", "BTCUSD_PERP"]), prices), max_size=6),
)
def test_an_accounts_events_add_up_to_its_cash_and_no_pool_is_left_liquidatable(
    engine: Engine, moves: list[tuple[str, float]]
) -> None:
    now = START
    for symbol, price in moves:
        now += timedelta(hours=5)
        engine.set_mark(symbol, price, now)
        for pool in engine.pools("main"):
            assert not liquidatable(pool.equity, pool.maintenance_margin)
    for position in engine.positions("main"):
        engine.close("main", position.symbol, position.side, position.contracts / 2)
        break
    for asset in ("USDT", "BTC"):
        told = [event.amount for event in engine.events if event.asset == asset]
        scale = sum(map(abs, told))
        assert cash(engine, asset) == pytest.approx(math.fsum(told), abs=1e-9 * scale)
    sequences = [event.sequence for event in engine.events]
    assert sequences == list(range(1, len(sequences) + 1))


@given(engine=books())
def test_a_liquidation_price_is_where_the_engine_starts_to_liquidate(engine: Engine) -> None:
    symbols = [contract.symbol for contract in engine.contracts if engine.mark(contract.symbol) is not None]
    marks = {symbol: engine.mark(symbol) or 0.0 for symbol in symbols}
    engine.set_marks(marks)
    owner = engine.account("main")
    for position in engine.positions("main"):
        price, mark = position.liquidation_price, position.mark_price
        if price is None or abs(price / mark - 1) < 1e-6:
            continue
        outwards = 1 if price > mark else -1
        for nudge, expected in ((-1e-7, False), (1e-9, True)):
            tried = {**marks, position.symbol: price * (1 + outwards * nudge)}
            legs = owner.in_pool(position.pool)
            equity = owner.pool_wallet(position.pool) + sum(leg.gain(tried[leg.contract.symbol]) for leg in legs)
            maintenance = sum(leg.maintenance(tried[leg.contract.symbol]) for leg in legs)
            assert liquidatable(equity, maintenance) is expected
