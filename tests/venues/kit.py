"""What a venue's reader is held against: every field of every position and pool beside the engine's truth.

A venue's module in this folder makes one `VenueCase`; `test_venues.py` runs all of them through the same tests.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pytest

from monitor.clock import Clock
from monitor.domain.account import AccountSnapshot, FailureKind, MarginBalance, Position, PriceOrigin, Side
from monitor.domain.market import MarketState
from monitor.exchange.registry import AccountAccess, Exchanges, venue_of
from monitor.exchange.source import AccountSource
from monitor.exchange.venues.figures import Exactness, Figure, Figures
from monitor.paper.book import Account, PositionTruth
from monitor.paper.contract import Contract
from monitor.paper.dialect import Dialect
from monitor.paper.engine import Engine
from monitor.paper.faults import Fault, FaultKind
from monitor.paper.server import PaperServer
from tests.venues.books import Sizes, a_book, a_crowd

# Venues round their figures to eight decimals, some after multiplying by a contract's size.
ROUNDED = 1e-6
# An estimate is made of brackets and marks alone, so it may not be further off than rounding.
ESTIMATE_ERROR = 1e-6


@dataclass(frozen=True, kw_only=True)
class PoolTruth:
    """What the venue holds true of one pool; None where this venue has no such figure at all.

    `estimated` are the figures that the venue tells of other pools, and of this one not.
    """

    pool: str
    currency: str
    equity: float
    maintenance_margin: float
    initial_margin: float | None = None
    available: float | None = None
    venue_margin_ratio: float | None = None
    estimated: frozenset[Figure] = frozenset()


@dataclass(frozen=True, kw_only=True)
class AccountCase:
    """One account of the book in one mode of the venue.

    `profile` sets the dialect's profile. `shows` says which of its positions this mode holds (by symbol of the engine).
    `pools` are the margin pools as this venue groups them. `expected` are figures of positions that this venue tells in
    other words than the engine does (leverage of portfolio margin: None), by figure. `figures` are those that this mode
    tells less exactly than the venue's declaration says.
    """

    account: str
    name: str
    pools: Callable[[Engine, Account], tuple[PoolTruth, ...]]
    profile: Mapping[str, Any] = field(default_factory=dict)
    shows: Callable[[str], bool] = lambda _symbol: True
    expected: Callable[[PositionTruth], Mapping[Figure, Any]] = lambda _truth: {}
    exact: Callable[[PositionTruth], frozenset[Figure]] = lambda _truth: frozenset()
    figures: Figures = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class VenueCase:
    """`reads` names the calls of one account read as the dialect names them: each of them is spoilt in every way.

    `kinds` are failures that a call of this venue tells otherwise than the house's table, by call ("*" is any) and
    fault.
    `credentials` go by ccxt's names. `terms` makes of a contract of the books the one that this venue has.
    `crowd` is the account of many positions, None where the venue has no pages. `book` takes the place of the common
    book where a venue has no contracts in stablecoins.
    """

    venue: str
    dialect: Dialect
    accounts: tuple[AccountCase, ...]
    reads: tuple[str, ...]
    crowd: AccountCase | None = None
    sizes: Sizes = field(default_factory=dict)
    kinds: Mapping[tuple[str, FaultKind], FailureKind] = field(default_factory=dict)
    credentials: Callable[[Account], Mapping[str, str]] = lambda account: {
        "apiKey": account.api_key,
        "secret": account.secret,
    }
    terms: Callable[[Contract], Contract] = lambda contract: contract
    book: Callable[[datetime], Engine] | None = None
    deadline_s: float = 5.0

    def kind_of(self, call: str, fault: Fault, usual: FailureKind) -> FailureKind:
        return self.kinds.get((call, fault.kind), self.kinds.get(("*", fault.kind), usual))

    def __str__(self) -> str:
        return self.venue


# What a venue does on a bad day, and what it must be read as; a venue may know better (`VenueCase.kinds`).
MISBEHAVIOURS: tuple[tuple[Fault, FailureKind], ...] = (
    (Fault(kind=FaultKind.EMPTY_BODY), FailureKind.MALFORMED),
    (Fault(kind=FaultKind.HTML), FailureKind.MALFORMED),
    (Fault(kind=FaultKind.EMPTY_OBJECT), FailureKind.MALFORMED),
    (Fault(kind=FaultKind.EMPTY_LIST), FailureKind.MALFORMED),
    (Fault(kind=FaultKind.NULL), FailureKind.MALFORMED),
    (Fault(kind=FaultKind.TRUNCATED), FailureKind.MALFORMED),
    (Fault(kind=FaultKind.NOT_A_NUMBER), FailureKind.MALFORMED),
    (Fault(kind=FaultKind.BAD_KEY), FailureKind.AUTH),
    (Fault(kind=FaultKind.SERVER_ERROR, status=401), FailureKind.AUTH),
    (Fault(kind=FaultKind.FORBIDDEN), FailureKind.REGION),
    (Fault(kind=FaultKind.REGION), FailureKind.REGION),
    (Fault(kind=FaultKind.RATE_LIMITED), FailureKind.RATE_LIMIT),
    (Fault(kind=FaultKind.SERVER_ERROR, status=418), FailureKind.BANNED),
    (Fault(kind=FaultKind.SERVER_ERROR, status=429), FailureKind.RATE_LIMIT),
    (Fault(kind=FaultKind.SERVER_ERROR, status=500), FailureKind.OVERLOADED),
    (Fault(kind=FaultKind.SERVER_ERROR, status=503), FailureKind.OVERLOADED),
    (Fault(kind=FaultKind.OVERLOADED), FailureKind.OVERLOADED),
    (Fault(kind=FaultKind.HANG), FailureKind.TIMEOUT),
)


@asynccontextmanager
async def a_house(case: VenueCase, clock: Clock, engine: Engine) -> AsyncIterator["House"]:
    """The venue served on loopback, and a monitor's end of it."""
    async with PaperServer(engine, clock, dialect=case.dialect) as server:
        exchanges = Exchanges(clock)
        try:
            yield House(case, engine, server, exchanges)
        finally:
            await exchanges.close()


@dataclass(frozen=True)
class House:
    case: VenueCase
    engine: Engine
    server: PaperServer
    exchanges: Exchanges

    def open(self, account: AccountCase, **changes: Any) -> AccountSource:
        if account.profile:
            self.server.set_profile(account.account, **account.profile)
        access = AccountAccess(
            name=account.account,
            venue=self.case.venue,
            credentials=self.case.credentials(self.engine.account(account.account)),
            base_url=self.server.base_url,
            read_deadline_s=self.case.deadline_s,
        )
        return self.exchanges.open_account(replace(access, **changes))


def book_of(case: VenueCase, now: datetime) -> Engine:
    return a_book(now, case.sizes, case.terms) if case.book is None else case.book(now)


def crowd_of(case: VenueCase, now: datetime) -> Engine:
    return a_crowd(now, case.sizes, case.terms)


# --- comparing ---

# How a position tells a figure.
OF_POSITION: Mapping[Figure, Callable[[Position], Any]] = {
    Figure.MARK_PRICE: lambda p: p.mark_price,
    Figure.NOTIONAL: lambda p: p.notional,
    Figure.ENTRY_PRICE: lambda p: p.entry_price,
    Figure.LIQUIDATION_PRICE: lambda p: p.liquidation_price,
    Figure.LEVERAGE: lambda p: p.leverage,
    Figure.MARGIN_MODE: lambda p: p.margin_mode,
    Figure.MAINTENANCE: lambda p: p.maintenance_margin,
    Figure.INITIAL: lambda p: p.initial_margin,
    Figure.PNL: lambda p: p.unrealized_pnl,
    Figure.ADL_RANK: lambda p: p.adl_rank,
}
# How the engine tells it.
OF_TRUTH: Mapping[Figure, Callable[[PositionTruth], Any]] = {
    Figure.MARK_PRICE: lambda t: t.mark_price,
    Figure.NOTIONAL: lambda t: t.notional,
    Figure.ENTRY_PRICE: lambda t: t.entry_price,
    Figure.LIQUIDATION_PRICE: lambda t: t.liquidation_price,
    Figure.LEVERAGE: lambda t: t.leverage,
    Figure.MARGIN_MODE: lambda t: t.margin_mode,
    Figure.MAINTENANCE: lambda t: t.maintenance_margin,
    Figure.INITIAL: lambda t: t.initial_margin,
    Figure.PNL: lambda t: t.unrealized_pnl,
    Figure.ADL_RANK: lambda t: t.adl_quantile + 1,
}
OF_POOL: Mapping[Figure, str] = {
    Figure.EQUITY: "equity",
    Figure.POOL_MAINTENANCE: "maintenance_margin",
    Figure.POOL_INITIAL: "initial_margin",
    Figure.AVAILABLE: "available",
    Figure.VENUE_RATIO: "venue_margin_ratio",
}
# Estimated figures by the names under which a position or pool marks them.
MARKS_OF_ESTIMATES = {Figure.POOL_MAINTENANCE: "maintenance_margin", Figure.POOL_INITIAL: "initial_margin"}


def compared(case: VenueCase, account: AccountCase, engine: Engine, snapshot: AccountSnapshot) -> int:
    """Holds a read against the truth by what the venue declares of each figure; the number of figures compared."""
    figures = {**venue_of(case.venue).figures, **account.figures}
    truths = {
        (t.symbol, t.side): t for t in engine.positions(account.account) if account.shows(t.symbol)
    }  # fmt: skip
    held = {(raw_symbol(engine, p), p.side): p for p in snapshot.positions}
    assert len(held) == len(snapshot.positions), "a position is listed twice"
    assert held.keys() == truths.keys()
    count = 0
    for key, position in held.items():
        truth = truths[key]
        contract = engine.market(truth.symbol).contract
        assert position.contracts == pytest.approx(truth.contracts, rel=1e-9)
        assert position.instrument.contract_size == contract.contract_size
        units = truth.contracts * contract.contract_size
        assert position.size == pytest.approx(units / truth.mark_price if contract.inverse else units, rel=1e-9)
        told_otherwise, told_of_it = account.expected(truth), account.exact(truth)

        def exactness_of(figure: Figure, told_of_it: frozenset[Figure] = told_of_it) -> Exactness:
            return Exactness.EXACT if figure in told_of_it else figures[figure].exactness

        for figure, of in OF_POSITION.items():
            due = told_otherwise[figure] if figure in told_otherwise else OF_TRUTH[figure](truth)
            marked = any(e.figure == figure for e in position.estimates)
            how = exactness_of(figure)
            count += _compare(how, figure, of(position), due, is_marked=marked, about=position.subject)
        if exactness_of(Figure.LIQUIDATION_PRICE) is Exactness.EXACT:
            price = told_otherwise.get(Figure.LIQUIDATION_PRICE, truth.liquidation_price)
            assert position.liquidation_price_origin is (PriceOrigin.NONE if price is None else PriceOrigin.VENUE)
    pools = {pool.pool: pool for pool in account.pools(engine, engine.account(account.account))}
    assert {m.pool for m in snapshot.margins} == pools.keys()
    assert {p.pool for p in snapshot.positions} <= pools.keys()
    return count + sum(_compare_pool(figures, margin, pools[margin.pool]) for margin in snapshot.margins)


def _compare_pool(figures: Figures, margin: MarginBalance, truth: PoolTruth) -> int:
    assert margin.currency == truth.currency
    count = 0
    for figure, name in OF_POOL.items():
        marked = any(e.figure == name for e in margin.estimates)
        due = getattr(truth, name)
        how = Exactness.ESTIMATED if figure in truth.estimated else figures[figure].exactness
        count += _compare(how, figure, getattr(margin, name), due, is_marked=marked, about=margin.pool)
    return count


def _compare(how: Exactness, figure: Figure, told: Any, due: Any, *, is_marked: bool, about: str) -> int:
    where = f"{about}: {figure}"
    match how:
        case Exactness.UNKNOWN:
            assert told is None, f"{where} is declared unknown"
            return 0
        case Exactness.ESTIMATED:
            assert told == (pytest.approx(due, rel=ESTIMATE_ERROR) if isinstance(due, float) else due), where
            assert is_marked or told is None, f"{where} is not marked as an estimate"
        case Exactness.EXACT:
            assert told == (pytest.approx(due, rel=ROUNDED, abs=ROUNDED) if isinstance(due, float) else due), where
            # That there is none may be our own solve's finding, where the venue's word for it is not documented.
            assert not is_marked or told is None, f"{where} is marked as an estimate"
    return 1


def raw_symbol(engine: Engine, position: Position) -> str:
    """The engine's name of what a position is held in."""
    told = position.instrument
    return next(
        c.symbol
        for c in engine.contracts
        if (c.base, c.quote, c.settle, c.inverse) == (told.base, told.quote, told.settle, told.inverse)
    )


def compared_market(
    case: VenueCase, account: AccountCase, engine: Engine, position: Position, state: MarketState
) -> int:
    """Funding terms and brackets of one instrument beside the engine's; the number of figures compared."""
    figures = {**venue_of(case.venue).figures, **account.figures}
    market = engine.market(raw_symbol(engine, position))
    funding = state.funding.value if state.funding else None
    brackets = [(b.floor, b.rate, b.amount) for b in market.contract.brackets]
    pairs = {
        Figure.FUNDING_RATE: (funding and funding.rate, market.funding_rate),
        Figure.FUNDING_INTERVAL: (funding and funding.interval, market.funding_interval),
        Figure.NEXT_FUNDING: (funding and funding.next_at, market.next_funding_at),
        Figure.BRACKETS: (state.tiers and [(t.floor, t.rate, t.amount) for t in state.tiers.value], brackets),
    }
    compared_figures = 0
    for figure, (told, due) in pairs.items():
        if figures[figure].exactness is Exactness.UNKNOWN:
            assert told is None, f"{figure} is declared unknown"
            continue
        if isinstance(told, list):
            assert [pytest.approx(row, rel=1e-6, abs=1e-6) for row in told] == due, figure
        else:
            assert told == (pytest.approx(due, abs=1e-9) if isinstance(due, float) else due), figure
        compared_figures += 1
    return compared_figures


# --- truths of pools ---


def per_currency(engine: Engine, owner: Account, currencies: tuple[str, ...]) -> tuple[PoolTruth, ...]:
    """A cross pool per currency and a pool per isolated position: what single-asset accounts have."""
    pools = [pool for pool in engine.pools(owner.name) if pool.asset in currencies]
    return tuple(
        PoolTruth(
            pool=pool.pool if pool.pool.startswith("cross:") else _isolated_name(engine, pool.pool),
            currency=pool.asset,
            equity=pool.equity,
            maintenance_margin=pool.maintenance_margin,
            initial_margin=pool.initial_margin,
            available=max(0.0, pool.equity - pool.initial_margin) if pool.pool.startswith("cross:") else None,
        )
        for pool in pools
    )


def all_together(
    engine: Engine, owner: Account, worth: Mapping[str, float], pool: str = "cross:USD", currency: str = "USD"
) -> PoolTruth:
    """One pool over all coins of an account: what unified accounts have. `worth` is what a unit of each coin counts."""
    parts = [p for p in engine.pools(owner.name) if p.pool.startswith("cross:") and p.asset in worth]
    equity = sum(p.equity * worth[p.asset] for p in parts)
    initial = sum(p.initial_margin * worth[p.asset] for p in parts)
    return PoolTruth(
        pool=pool,
        currency=currency,
        equity=equity,
        maintenance_margin=sum(p.maintenance_margin * worth[p.asset] for p in parts),
        initial_margin=initial,
        available=max(0.0, equity - initial),
    )


def isolated_alone(engine: Engine, owner: Account) -> tuple[PoolTruth, ...]:
    """The pools of isolated positions, beside a unified pool."""
    currencies = tuple(dict.fromkeys(contract.settle for contract in engine.contracts))
    return tuple(p for p in per_currency(engine, owner, currencies) if p.pool.startswith("isolated:"))


def _isolated_name(engine: Engine, pool: str) -> str:
    """`isolated:BTCUSDT:long` by the names of ccxt: `isolated:BTC/USDT:USDT:long`."""
    _, symbol, side = pool.split(":")
    contract = engine.market(symbol).contract
    return f"isolated:{contract.base}/{contract.quote}:{contract.settle}:{Side(side)}"
