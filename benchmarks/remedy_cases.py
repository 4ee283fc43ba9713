"""Random accounts on the paper exchange, and what is read of them: what `benchmarks.remedies` judges and remedies."""

import math
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from random import Random
from typing import NamedTuple

from benchmarks.oracle_cases import ACCOUNT, NOW, RandomAccount, instrument_of
from benchmarks.random_market import a_book, a_study
from monitor.domain.account import (
    AccountSnapshot,
    Instrument,
    MarginBalance,
    OrderKind,
    Position,
    PriceOrigin,
    StopOrder,
)
from monitor.domain.market import FundingRate, Markets, MarketState, Observed, Tier
from monitor.domain.reading import Reading, Verdict
from monitor.paper.book import PoolTruth, PositionTruth, liquidatable
from monitor.paper.contract import Contract
from monitor.paper.engine import Engine
from monitor.rules.base import Context

# Done by so much less, a remedy must not suffice.
SHORT_OF = 0.01
# Each way out, and how much of it is done.
PARTS = ((1.0, True), (1 - SHORT_OF, False))
# How much a side of a book holds of what is held of its contract: never less than all of it.
LEAST_BOOK, MOST_BOOK = 0.02, 1.0


@dataclass(slots=True)
class Tally:
    """Of one rule: breaches by what they carry, and what a remedy did not do."""

    breaches: int = 0
    tried: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)


class World(NamedTuple):
    """An exchange with one account on it, and the stop orders that rest there, of which the engine keeps none."""

    engine: Engine
    orders: tuple[StopOrder, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One random account, and what is public of its contracts."""

    account: RandomAccount
    markets: Markets
    orders: tuple[StopOrder, ...] = ()
    name: str = ACCOUNT

    def world(self) -> World:
        """As it stands before anything is done."""
        return World(self.account.on_engine(self.account.marks), self.orders)

    def read(self, world: World) -> Context:
        instruments = {symbol: state.instrument for symbol, state in self.markets.items()}
        snapshot = AccountSnapshot(
            account=self.name,
            venue="paper",
            observed_at=NOW,
            margins=tuple(_balance(pool) for pool in world.engine.pools(ACCOUNT)),
            positions=tuple(_position(truth, instruments[truth.symbol]) for truth in world.engine.positions(ACCOUNT)),
            orders=world.orders,
            orders_at=NOW,
        )
        return Context(snapshot=snapshot, markets=self.markets, now=NOW)

    @property
    def is_lost(self) -> bool:
        """The exchange would take it before anything is done."""
        pools = self.world().engine.pools(ACCOUNT)
        return any(liquidatable(pool.equity, pool.maintenance_margin) for pool in pools)


def is_clear(reading: Reading | None) -> bool:
    """What is not judged any more is not there any more."""
    return reading is None or reading.verdict is Verdict.CLEAR


def case_of(account: RandomAccount, rng: Random, name: str = ACCOUNT) -> Case:
    """Marks, brackets and funding as of now; funding is drawn, so that some accounts pay a lot."""
    markets = {of.symbol: _state(of, account.marks[of.symbol], rng) for of in account.contracts}
    case = Case(account=account, markets=_with_books(markets, account, rng), name=name)
    positions = case.read(case.world()).snapshot.positions
    return replace(case, orders=tuple(order for position in positions for order in _orders(position, rng)))


def _state(contract: Contract, mark: float, rng: Random) -> MarketState:
    instrument = instrument_of(contract)
    rate = FundingRate(
        instrument=instrument,
        rate=rng.gauss(0, 0.0005),
        interval=timedelta(hours=rng.choice((1, 4, 8))),
        next_at=NOW + timedelta(minutes=30),
        origin="drawn",
    )
    tiers = tuple(Tier(b.floor, b.cap, b.rate, b.amount) for b in contract.brackets)
    return MarketState(
        instrument=instrument,
        mark_price=Observed(mark, NOW),
        funding=Observed(rate, NOW),
        tiers=Observed(tiers, NOW),
        study=Observed(a_study(rng, mark, NOW.date()), NOW),
    )


def _with_books(markets: Markets, account: RandomAccount, rng: Random) -> Markets:
    found = {}
    for symbol, state in markets.items():
        mark = account.marks[symbol]
        held = max(h.contract.notional(h.contracts, mark) for h in account.holdings if h.contract.symbol == symbol)
        worth = held * (mark if state.instrument.inverse else 1.0)
        level = worth * LEAST_BOOK * (MOST_BOOK / LEAST_BOOK) ** rng.random()
        found[symbol] = replace(state, book=Observed(a_book(rng, mark, level), NOW))
    return found


def _orders(position: Position, rng: Random) -> list[StopOrder]:
    """None, or a stop for a part of it, anywhere: one that counts, one that does not."""
    if rng.random() < 0.5:
        return []
    trigger = position.mark_price * math.exp(rng.gauss(-position.side.sign * 0.1, 0.2))
    return [a_stop(position, position.size * rng.uniform(0.1, 0.8), trigger, reduce_only=rng.random() < 0.8)]


def a_stop(position: Position, size: float, trigger: float, *, reduce_only: bool = True) -> StopOrder:
    return StopOrder(
        instrument=position.instrument,
        side=position.side,
        kind=OrderKind.STOP,
        trigger_price=trigger,
        callback_rate=None,
        size=size,
        reduce_only=reduce_only,
    )


def _balance(pool: PoolTruth) -> MarginBalance:
    return MarginBalance(
        pool=pool.pool,
        currency=pool.asset,
        equity=pool.equity,
        maintenance_margin=pool.maintenance_margin,
        initial_margin=pool.initial_margin,
    )


def _position(truth: PositionTruth, instrument: Instrument) -> Position:
    price = truth.liquidation_price
    return Position(
        instrument=instrument,
        side=truth.side,
        pool=truth.pool,
        contracts=truth.contracts,
        size=instrument.size(truth.contracts, truth.mark_price),
        notional=truth.notional,
        mark_price=truth.mark_price,
        entry_price=truth.entry_price,
        liquidation_price=price,
        liquidation_price_origin=PriceOrigin.VENUE if price is not None else PriceOrigin.NONE,
        leverage=truth.leverage,
        margin_mode=truth.margin_mode,
        initial_margin=truth.initial_margin,
        maintenance_margin=truth.maintenance_margin,
        unrealized_pnl=truth.unrealized_pnl,
        adl_rank=truth.adl_quantile + 1,
    )
