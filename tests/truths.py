"""What the paper exchange's own books say of the figures that rules judge, and what happens there.

Nothing here is worked out by the monitor's rules or its arithmetic.
"""

from collections.abc import Callable, Collection, Mapping
from copy import deepcopy
from datetime import timedelta
from itertools import islice
from math import hypot
from typing import Any

from monitor.domain.account import Side
from monitor.domain.study import Frame
from monitor.paper.book import EventKind, PositionTruth
from monitor.paper.contract import Contract
from monitor.paper.engine import Engine
from monitor.paper.tape import SIDES, Bar, Level
from tests.studies import candles

Act = Callable[[Engine], None]
# By the books as they stood when the monitor came, and as they stand now; None where there is nothing to measure.
Truth = Callable[[Engine, Engine], float | None]
Signs = tuple[int, ...]

# Where a mark that liquidates is looked for, in halves of what is left.
HALVINGS = 40
LIQUIDATIONS = (EventKind.PARTIAL, EventKind.FULL)
MOST_LEVELS = 500
# No more than a reader asks for; the days that have ended make whole rounds of either pattern.
BARS = 98
IN_TURNS: Signs = (1, -1)
# Of as many days that go with IN_TURNS as against it.
AT_ODDS: Signs = (1, 1, -1, -1)


# --- what happens ---


def marks(**prices: float) -> Act:
    return lambda engine: engine.set_marks(prices)


def opens(*position: Any, **changes: Any) -> Act:
    """By the arguments of `Engine.open`."""
    return lambda engine: engine.open(*position, **changes)


def closes(*position: Any) -> Act:
    return lambda engine: engine.close(*position)


def deleverages(*position: Any) -> Act:
    return lambda engine: engine.adl(*position)


def pays_in(account: str, amount: float, asset: str = "USDT") -> Act:
    return lambda engine: engine.deposit(account, asset, amount)


def takes_out(account: str, amount: float, asset: str = "USDT") -> Act:
    return lambda engine: engine.withdraw(account, asset, amount)


def lists(*contracts: Contract) -> Act:
    def listed(engine: Engine) -> None:
        for contract in contracts:
            engine.add_contract(contract)

    return listed


def funding(symbol: str, rate: float) -> Act:
    return lambda engine: engine.set_funding(symbol, rate)


def an_account(name: str, asset: str, amount: float) -> Act:
    def made(engine: Engine) -> None:
        engine.add_account(name, api_key=f"{name}-key", secret=f"{name}-secret")
        engine.deposit(name, asset, amount)

    return made


def sways(symbol: str, by: float, signs: Signs = IN_TURNS) -> Act:
    """Each day by as much, up or down as `signs` say in turns, and each hour by a day's share of it."""

    def told(engine: Engine) -> None:
        midnight = engine.now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        hour = engine.now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        bars = {}
        for frame, end, step in ((Frame.DAY, midnight, by), (Frame.HOUR, hour, by / 24**0.5)):
            moves = [sign * step for sign in signs * BARS][: BARS - 1]
            told = candles(frame, moves, price=engine.mark(symbol) or 1.0, end=end)
            bars[frame] = [
                Bar(round(one.at.timestamp() * 1000), one.open, one.high, one.low, one.close) for one in told
            ]
        engine.set_tape(symbol, bars=bars)

    return told


def thin_book(symbol: str, contracts: float, near: float = 0.005) -> Act:
    """All of that many contracts rests that far off the mark, as much again 4 % off it, and no more."""

    def set_(engine: Engine) -> None:
        mark = mark_of(engine, symbol)
        sides: dict[str, Any] = {
            name: [Level(round(mark * (1 + sign * away), 1), contracts) for away in (near, 0.04)]
            for name, sign in zip(SIDES, (-1, 1), strict=True)
        }
        engine.set_tape(symbol, **sides)

    return set_


# --- what is true of accounts ---


def nothing(_before: Engine, _now: Engine) -> None:
    """Such as how an account is spread that holds one coin."""


def mark_of(engine: Engine, symbol: str) -> float:
    mark = engine.mark(symbol)
    assert mark is not None
    return mark


def held(engine: Engine, *accounts: str, inverse: bool = False) -> list[PositionTruth]:
    """What Binance shows of these accounts at one of its two venues."""
    return [p for a in accounts for p in engine.positions(a) if engine.market(p.symbol).contract.inverse is inverse]


def dollars(engine: Engine, position: PositionTruth) -> float:
    """Below 0 of a short; a dollar token counts as a dollar."""
    rate = mark_of(engine, position.symbol) if engine.market(position.symbol).contract.inverse else 1.0
    return position.side.sign * position.notional * rate


def equity(engine: Engine, *accounts: str, asset: str = "USDT") -> float:
    """Of these accounts over all their pools in that asset."""
    return sum(pool.equity for account in accounts for pool in engine.pools(account) if pool.asset == asset)


def gross(engine: Engine, *accounts: str, coins: Collection[str] | None = None) -> float:
    """Of linear positions, on all coins or on these."""
    found = held(engine, *accounts)
    return sum(p.notional for p in found if coins is None or engine.market(p.symbol).contract.base in coins)


def net_of(engine: Engine, symbol: str, *accounts: str) -> float:
    return sum(dollars(engine, p) for p in held(engine, *accounts) if p.symbol == symbol)


def largest_share(*accounts: str) -> Truth:
    """Of their gross notional, on one coin."""

    def found(_: Engine, now: Engine) -> float:
        coins = {contract.base for contract in now.contracts}
        return max(gross(now, *accounts, coins={coin}) for coin in coins) / gross(now, *accounts)

    return found


def leverage_of(account: str) -> Truth:
    return lambda _, now: gross(now, account) / equity(now, account)


def exposure(linear: str, inverse: str, symbol: str) -> Truth:
    """Gross over equity of an account in dollars and one in coins that holds `symbol`, together."""

    def found(_: Engine, now: Engine) -> float:
        in_coins = sum(abs(dollars(now, position)) for position in held(now, inverse, inverse=True))
        worth = equity(now, linear) + equity(now, inverse, asset="BTC") * mark_of(now, symbol)
        return (gross(now, linear) + in_coins) / worth

    return found


def staked(symbols: Collection[str], *accounts: str) -> Truth:
    """The margin of the side of these that outweighs, by as much of it as outweighs, over all equity."""

    def found(_: Engine, now: Engine) -> float:
        margins, worths = {1: 0.0, -1: 0.0}, {1: 0.0, -1: 0.0}
        for position in held(now, *accounts):
            if position.symbol in symbols:
                margins[position.side.sign] += position.initial_margin
                worths[position.side.sign] += position.notional
        side = max(worths, key=worths.__getitem__)
        share = (worths[side] - worths[-side]) / worths[side]
        return margins[side] * share / equity(now, *accounts)

    return found


def sigma(account: str, each: Mapping[str, float], *, together: bool = True) -> Truth:
    """What a day moves over the equity: of coins that sway by `each`, all the same way or independently."""

    def found(_: Engine, now: Engine) -> float:
        moves = [net_of(now, symbol, account) * by for symbol, by in each.items()]
        return abs(sum(moves) if together else hypot(*moves)) / equity(now, account)

    return found


def lost(account: str, paid_in: float = 0.0) -> Truth:
    """Of its equity, but for what was paid in since (below 0: taken out)."""
    return lambda before, now: max(0.0, 1 - (equity(now, account) - paid_in) / equity(before, account))


def funding_due(account: str, asset: str = "USDT") -> Truth:
    """What funding takes of it in the next day at the marks and rates of now, over its equity; 0 of what it brings."""

    def found(_: Engine, now: Engine) -> float:
        later, since = deepcopy(now), len(now.events)
        later.advance(now.now + timedelta(days=1))
        events = [e for e in islice(later.events, since, None) if (e.account, e.asset) == (account, asset)]
        assert {event.kind for event in events} == {EventKind.FUNDING}
        return max(0.0, -sum(event.amount for event in events)) / equity(now, account, asset=asset)

    return found


def liquidating_move(account: str, betas: Mapping[str, float], sign: int) -> Truth:
    """The size of bitcoin's smallest move that way, marks going by their betas, at which the exchange takes of it."""

    def found(_: Engine, now: Engine) -> float:
        safe, gone = 0.0, 0.39
        for _halving in range(HALVINGS):
            middle = (safe + gone) / 2
            marks = {symbol: mark_of(now, symbol) * (1 + beta * sign * middle) for symbol, beta in betas.items()}
            safe, gone = (safe, middle) if is_taken(now, account, marks) else (middle, gone)
        return gone

    return found


def is_taken(engine: Engine, account: str, marks: Mapping[str, float]) -> bool:
    """Whether the exchange would take anything of the account at these marks."""
    later, since = deepcopy(engine), len(engine.events)
    later.set_marks(marks)
    return any(e.account == account and e.kind in LIQUIDATIONS for e in islice(later.events, since, None))


def off_one(symbol: str) -> Truth:
    return lambda _, now: abs(mark_of(now, symbol) - 1)


# --- of positions ---

OfPosition = Callable[[PositionTruth], float]


def of_position(account: str, symbol: str, side: Side, figure: OfPosition) -> Truth:
    return lambda _, now: figure(now.position(account, symbol, side))


def distance(position: PositionTruth) -> float:
    assert position.liquidation_price is not None
    return position.side.sign * (1 - position.liquidation_price / position.mark_price)


def loss(position: PositionTruth) -> float:
    return max(0.0, -position.unrealized_pnl) / position.initial_margin


def best_gain(account: str, symbol: str, side: Side) -> Truth:
    """The better one of both times."""

    def found(before: Engine, now: Engine) -> float:
        both = [engine.position(account, symbol, side) for engine in (before, now)]
        return max(side.sign * (one.mark_price / one.entry_price - 1) for one in both)

    return found


def rank(position: PositionTruth) -> float:
    return position.adl_quantile + 1.0


def margin_ratio(account: str, pool: str) -> Truth:
    return lambda _, now: now.pool(account, pool).maintenance_margin / now.pool(account, pool).equity


def trade_size(account: str, symbol: str, side: Side) -> Truth:
    return lambda _, now: now.position(account, symbol, side).initial_margin / equity(now, account)


def retreat(symbol: str, side: Side) -> Truth:
    """From the better one of both marks."""

    def found(before: Engine, now: Engine) -> float:
        then, mark = mark_of(before, symbol), mark_of(now, symbol)
        return max(0.0, side.sign * (then - mark) / then)

    return found


def uncovered(account: str, symbol: str, side: Side, stop: float, trigger: float) -> Truth:
    """The share that a stop of that size leaves, which closes nothing where the venue takes the position before it."""

    def found(_: Engine, now: Engine) -> float:
        covers = 0.0 if is_taken(now, account, {symbol: trigger}) else stop
        return 1 - covers / now.position(account, symbol, side).contracts

    return found


def room_below_edge(account: str, symbol: str, side: Side) -> Truth:
    def found(_: Engine, now: Engine) -> float:
        notional = now.position(account, symbol, side).notional
        return now.market(symbol).contract.bracket(notional).cap / notional - 1

    return found


def exit_cost(account: str, symbol: str, side: Side) -> Truth:
    """What its pool's margin above maintenance loses by closing it all at once into what rests."""

    def found(_: Engine, now: Engine) -> float:
        truth, contract = now.position(account, symbol, side), now.market(symbol).contract
        pool, left, cost = now.pool(account, truth.pool), truth.contracts, 0.0
        for level in now.resting(symbol, "bids" if side is Side.LONG else "asks", MOST_LEVELS):
            taken = min(left, level.contracts)
            left -= taken
            cost -= contract.gain(side.sign * taken, truth.mark_price, level.price)
        assert left <= 0
        return cost / (pool.equity - pool.maintenance_margin)

    return found


# --- of hedges: what counts long, and what short ---

Sides = Callable[[Engine], tuple[float, float]]


def coins_of(base: str, linear: str, inverse: str) -> Sides:
    """Of an account in dollars and one in coins, whose contracts count at the price they were entered at."""

    def found(engine: Engine) -> tuple[float, float]:
        long_short = {Side.LONG: 0.0, Side.SHORT: 0.0}
        for position in (*held(engine, linear), *held(engine, inverse, inverse=True)):
            contract = engine.market(position.symbol).contract
            units = position.contracts * contract.contract_size
            if contract.base == base:
                long_short[position.side] += units / position.entry_price if contract.inverse else units
        return long_short[Side.LONG], long_short[Side.SHORT]

    return found


def by_beta(betas: Mapping[str, float], *accounts: str) -> Sides:
    """Dollars, each symbol net of its own other side; what moves by its beta of another one counts for so many."""

    def found(engine: Engine) -> tuple[float, float]:
        nets = [beta * net_of(engine, symbol, *accounts) for symbol, beta in betas.items()]
        return sum(max(net, 0.0) for net in nets), sum(max(-net, 0.0) for net in nets)

    return found


def missing(sides: Sides) -> Truth:
    """By how much short / long is off what it was, either way; all of it where a side is gone."""

    def found(before: Engine, now: Engine) -> float:
        (wanted_long, wanted_short), (long, short) = sides(before), sides(now)
        if not (long and short):
            return 1.0
        change = short / long / (wanted_short / wanted_long)
        return 1 - min(change, 1 / change)

    return found
