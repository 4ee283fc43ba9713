"""Random accounts, built twice: on the paper exchange, and as the monitor would hold them, from bare facts alone.

Facts are what cannot be argued about: contracts, entry prices, marks, wallets, brackets. Everything else each side
works out by its own arithmetic, and `compare` sets the two side by side.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from monitor.domain.account import AccountSnapshot, Instrument, MarginBalance, MarginMode, Position, Side
from monitor.domain.market import Markets, MarketState, Observed, Tier
from monitor.paper.bisection import HIGHEST, LOWEST
from monitor.paper.book import PoolTruth, PositionTruth, liquidatable
from monitor.paper.contract import Bracket, Contract, brackets_of
from monitor.paper.engine import Engine
from monitor.risk.liquidation import liquidation_prices
from monitor.risk.margin import maintenance
from monitor.risk.reprice import reprice

SHARED = Path(__file__).resolve().parents[2] / "shared"
NOW = datetime(2025, 10, 10, 20, 30, tzinfo=UTC)
ACCOUNT = "main"
MAX_POSITIONS = 6
RATIO_BOUND = 1e-9
PRICE_BOUND = 1e-6

BracketsBySymbol = Mapping[str, tuple[Bracket, ...]]


def real_brackets(path: Path = SHARED / "market" / "binance_leverage_tiers.json") -> BracketsBySymbol:
    """Brackets of 203 linear contracts by ccxt symbol."""
    tiers = json.loads(path.read_text(encoding="utf-8"))["tiers"]
    return {symbol: brackets_of(rows) for symbol, rows in tiers.items()}


def coin_brackets(brackets: Sequence[Bracket], price: float) -> tuple[Bracket, ...]:
    """Synthetic: a linear contract's rates over notional in coin, its bounds and amounts converted at that price."""
    return tuple(b._replace(floor=b.floor / price, cap=b.cap / price, amount=b.amount / price) for b in brackets)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """One position of a random account. `isolated_margin` None: margined across."""

    contract: Contract
    side: Side
    contracts: float
    entry_price: float
    leverage: float
    isolated_margin: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomAccount:
    """`deposits` by asset; `moved` are marks of another day, for repricing."""

    hedge_mode: bool
    holdings: tuple[Holding, ...]
    marks: Mapping[str, float]
    moved: Mapping[str, float]
    deposits: Mapping[str, float]

    @property
    def contracts(self) -> tuple[Contract, ...]:
        return tuple({h.contract.symbol: h.contract for h in self.holdings}.values())

    def on_engine(self, marks: Mapping[str, float]) -> Engine:
        """A fresh exchange with this account at those marks. Marks are set first, so that nothing is liquidated."""
        engine = Engine(NOW)
        for contract in self.contracts:
            engine.add_contract(contract)
        engine.set_marks(marks)
        engine.add_account(ACCOUNT, api_key="key", secret="secret", hedge_mode=self.hedge_mode)
        for asset, amount in self.deposits.items():
            engine.deposit(ACCOUNT, asset, amount)
        for h in self.holdings:
            isolated = h.isolated_margin is not None
            engine.open(
                ACCOUNT,
                h.contract.symbol,
                h.side,
                h.contracts,
                h.entry_price,
                h.leverage,
                isolated=isolated,
                isolated_margin=h.isolated_margin,
            )
        return engine


def bracket_list_of(contract: Contract) -> str:
    """The symbol whose brackets a random contract was given."""
    return contract.symbol.rpartition("#")[0]


def random_accounts(seed: int, count: int, brackets: BracketsBySymbol) -> Iterator[RandomAccount]:
    """The same accounts for the same seed; each is a function of (seed, number) alone."""
    for number in range(count):
        yield random_account(Random(f"{seed}:{number}"), brackets)


def random_account(rng: Random, brackets: BracketsBySymbol) -> RandomAccount:
    """1 to 6 positions, cross and isolated, linear and inverse, near liquidation and far from it."""
    hedge_mode = rng.random() < 0.5
    contracts = [_contract(rng, brackets, number) for number in range(rng.randint(1, MAX_POSITIONS))]
    marks = {contract.symbol: price for contract, price in contracts}
    holdings: list[Holding] = []
    for contract, mark in contracts:
        isolated = rng.random() < 0.4
        sides = list(Side) if hedge_mode and rng.random() < 0.6 else [rng.choice(list(Side))]
        leverage = None
        for side in sides[: MAX_POSITIONS - len(holdings)]:
            holding = _holding(rng, contract, side, mark, isolated, leverage)
            leverage = holding.leverage
            holdings.append(holding)
    held = {h.contract.symbol for h in holdings}
    return RandomAccount(
        hedge_mode=hedge_mode,
        holdings=tuple(holdings),
        marks={symbol: mark for symbol, mark in marks.items() if symbol in held},
        moved={symbol: mark * math.exp(rng.gauss(0, 0.2)) for symbol, mark in marks.items() if symbol in held},
        deposits=_deposits(rng, holdings, marks),
    )


def _contract(rng: Random, brackets: BracketsBySymbol, number: int) -> tuple[Contract, float]:
    """A contract and its mark. All inverse ones settle in BTC, so that several share a pool."""
    symbol = rng.choice(sorted(brackets))
    inverse = rng.random() < 0.4
    price = rng.uniform(20_000, 150_000) if inverse else 10 ** rng.uniform(-4, 5)
    contract = Contract(
        symbol=f"{symbol}#{number}",
        base="BTC" if inverse else symbol.partition("/")[0],
        quote="USD" if inverse else "USDT",
        settle="BTC" if inverse else "USDT",
        inverse=inverse,
        contract_size=rng.choice((10.0, 100.0)) if inverse else 1.0,
        brackets=coin_brackets(brackets[symbol], price) if inverse else brackets[symbol],
    )
    return contract, price


def _holding(
    rng: Random, contract: Contract, side: Side, mark: float, isolated: bool, leverage: float | None
) -> Holding:
    """A notional inside a bracket picked at random, at a leverage that bracket allows."""
    bracket = rng.choice(contract.brackets)
    low = max(bracket.floor, bracket.cap / 1000)
    notional = low * (bracket.cap / low) ** rng.random()
    leverage = leverage or rng.uniform(1, min(100.0, bracket.max_leverage))
    entry_price = mark * math.exp(rng.gauss(0, 0.5 / leverage))
    contracts = contract.contracts(notional, mark)
    margin = None
    if isolated:
        # Less the PnL so far, so that equity is a multiple of the initial margin, below maintenance at times.
        equity = notional / leverage * rng.uniform(0.2, 2)
        margin = equity - contract.gain(side.sign * contracts, entry_price, mark)
    return Holding(
        contract=contract,
        side=side,
        contracts=contracts,
        entry_price=entry_price,
        leverage=leverage,
        isolated_margin=margin,
    )


def _deposits(rng: Random, holdings: Sequence[Holding], marks: Mapping[str, float]) -> dict[str, float]:
    """What leaves each cross pool, once isolated margin is taken out, a random multiple of its initial margin."""
    deposits: dict[str, float] = {}
    for asset in {h.contract.settle: None for h in holdings}:
        own = [h for h in holdings if h.contract.settle == asset]
        wallet = sum(h.isolated_margin for h in own if h.isolated_margin is not None)
        times = 10 ** rng.uniform(-1, 0.6)
        scale = 1.0
        for h in own:
            mark = marks[h.contract.symbol]
            scale = max(scale, h.contract.notional(h.contracts, mark))
            if h.isolated_margin is None:
                wallet += h.contract.notional(h.contracts, mark) / h.leverage * times
                wallet -= h.contract.gain(h.side.sign * h.contracts, h.entry_price, mark)
        deposits[asset] = wallet if wallet > 0 else scale * 1e-3
    return deposits


# --- the same account as the monitor holds it ---


def as_snapshot(
    account: RandomAccount, marks: Mapping[str, float], wallets: Mapping[str, float]
) -> tuple[AccountSnapshot, Markets]:
    """Notional, PnL, equity and maintenance by the monitor's arithmetic; `wallets` is the cash behind each pool."""
    instruments = {contract.symbol: instrument_of(contract) for contract in account.contracts}
    tiers = {c.symbol: tuple(Tier(b.floor, b.cap, b.rate, b.amount) for b in c.brackets) for c in account.contracts}
    positions = []
    for h in account.holdings:
        symbol, mark = h.contract.symbol, marks[h.contract.symbol]
        instrument = instruments[symbol]
        notional = instrument.notional(h.contracts, mark)
        isolated = h.isolated_margin is not None
        positions.append(
            Position(
                instrument=instrument,
                side=h.side,
                pool=f"isolated:{symbol}:{h.side}" if isolated else f"cross:{instrument.settle}",
                contracts=h.contracts,
                size=h.contracts * instrument.contract_size / (mark if instrument.inverse else 1),
                notional=notional,
                mark_price=mark,
                entry_price=h.entry_price,
                leverage=h.leverage,
                margin_mode=MarginMode.ISOLATED if isolated else MarginMode.CROSS,
                maintenance_margin=maintenance(tiers[symbol], notional),
                unrealized_pnl=instrument.pnl(h.side, h.contracts, h.entry_price, mark),
            )
        )
    snapshot = AccountSnapshot(
        account=ACCOUNT,
        venue="paper",
        observed_at=NOW,
        margins=tuple(_balance(pool, wallet, positions) for pool, wallet in wallets.items()),
        positions=tuple(positions),
    )
    markets = {s: MarketState(instrument=i, tiers=Observed(tiers[s], NOW)) for s, i in instruments.items()}
    return snapshot, markets


def instrument_of(contract: Contract) -> Instrument:
    return Instrument(
        venue="paper",
        symbol=contract.symbol,
        base=contract.base,
        quote=contract.quote,
        settle=contract.settle,
        contract_size=contract.contract_size,
        inverse=contract.inverse,
    )


def _balance(pool: str, wallet: float, positions: Sequence[Position]) -> MarginBalance:
    members = [p for p in positions if p.pool == pool]
    return MarginBalance(
        pool=pool,
        currency=members[0].instrument.settle if members else pool.partition(":")[2],
        equity=wallet + sum(p.unrealized_pnl or 0.0 for p in members),
        maintenance_margin=sum(p.maintenance_margin or 0.0 for p in members),
    )


# --- side by side ---


@dataclass(slots=True)
class Tally:
    """What comparing the accounts of one kind came to; errors are relative, of ratios to max(1, ratio)."""

    pools: int = 0
    positions: int = 0
    no_price: int = 0
    already: int = 0
    ratio_error: float = 0.0
    repriced_error: float = 0.0
    price_error: float = 0.0
    disagreements: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return (
            not self.disagreements
            and max(self.ratio_error, self.repriced_error) <= RATIO_BOUND
            and self.price_error <= PRICE_BOUND
        )


def kind_of(account: RandomAccount, pool: str) -> str:
    """Such as `linear cross hedge`."""
    inverse = any(h.contract.inverse for h in account.holdings if _pool(h) == pool)
    mode = "isolated" if pool.startswith("isolated:") else "cross"
    return f"{'inverse' if inverse else 'linear'} {mode} {'hedge' if account.hedge_mode else 'one-way'}"


def _pool(holding: Holding) -> str:
    contract = holding.contract
    return (
        f"cross:{contract.settle}" if holding.isolated_margin is None else f"isolated:{contract.symbol}:{holding.side}"
    )


def compare(account: RandomAccount, tallies: dict[str, Tally]) -> None:
    """Set exchange and monitor side by side, at the account's marks and at the moved ones."""
    here, there = account.on_engine(account.marks), account.on_engine(account.moved)
    truths = {pool.pool: pool for pool in here.pools(ACCOUNT)}
    snapshot, markets = as_snapshot(account, account.marks, {name: pool.wallet for name, pool in truths.items()})
    repriced = reprice(snapshot, account.moved, markets)
    after = {pool.pool: pool for pool in there.pools(ACCOUNT)}
    for name in {_pool(h): None for h in account.holdings}:
        tally = tallies.setdefault(kind_of(account, name), Tally())
        tally.pools += 1
        tally.ratio_error = max(tally.ratio_error, _ratio_error(truths[name], snapshot.margin(name), tally))
        tally.repriced_error = max(tally.repriced_error, _ratio_error(after[name], repriced.margin(name), tally))
    for position, truth in zip(snapshot.positions, here.positions(ACCOUNT), strict=True):
        assert (position.instrument.symbol, position.side) == (truth.symbol, truth.side)
        _compare_prices(snapshot, position, truth, truths[truth.pool], markets, tallies[kind_of(account, truth.pool)])


def _ratio_error(truth: PoolTruth, balance: MarginBalance | None, tally: Tally) -> float:
    """Of maintenance / equity; where equity is gone, the two must agree that it is."""
    assert balance is not None
    if truth.equity <= 0:
        if not balance.under_water:
            tally.disagreements.append(f"{truth.pool}: equity {truth.equity} at the exchange, {balance.equity} here")
        return 0.0
    ratio, ours = truth.maintenance_margin / truth.equity, balance.margin_ratio
    if ours is None:
        tally.disagreements.append(f"{truth.pool}: ratio {ratio} at the exchange, unknown here")
        return 0.0
    return abs(ours - ratio) / max(1.0, ratio)


def _compare_prices(
    snapshot: AccountSnapshot,
    position: Position,
    truth: PositionTruth,
    pool: PoolTruth,
    markets: Markets,
    tally: Tally,
) -> None:
    prices = liquidation_prices(snapshot, position, markets)
    assert prices is not None
    tally.positions += 1
    already = liquidatable(pool.equity, pool.maintenance_margin)
    if prices.already or already:
        tally.already += 1
        if prices.already is not already:
            tally.disagreements.append(f"{position.subject}: already liquidatable: {already}, here {prices.already}")
        return
    mark, theirs = position.mark_price, truth.liquidation_price
    ours = prices.nearest(mark)
    # Where the exchange does not search, it cannot confirm a price either.
    if ours is not None and not mark * LOWEST < ours < mark * HIGHEST:
        ours = None
    if ours is None or theirs is None:
        tally.no_price += 1
        if ours is not theirs:
            tally.disagreements.append(f"{position.subject} at {mark}: liquidated at {theirs}, here {ours}")
        return
    tally.price_error = max(tally.price_error, abs(ours / theirs - 1))
