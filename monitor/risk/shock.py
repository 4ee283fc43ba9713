"""A margin pool along a shock of the whole market: which size of it liquidates the pool, all marks moving together.

A shock gives each coin one rate or several: at size x its marks stand at mark * (1 + rate * x), but never at 0. Of
several rates the pool takes, coin by coin, the one that leaves it least: so a beta that is too low hides no loss, and
one that is too high lends no gain. All contracts on one coin move alike. What collateral counts stands still.

With g = 1 + rate * x for linear contracts and 1 / (1 + rate * x) for inverse ones, a position's notional in settle
units becomes notional * g and its gain is +-notional * (g - 1): what `reprice` says, in relative terms.

The smallest size that liquidates is not sampled for. Gains that are linear in one g rise or fall throughout, and so
does maintenance: the figures at both ends of a stretch bound the surplus everywhere between. Stretch by stretch the
search walks away from today's marks, as far as each bound stays above 0, until it stands before the root.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from monitor.domain.account import AccountSnapshot, MarginBalance, Position
from monitor.domain.market import Markets, Tiers
from monitor.risk.margin import maintenance, maintenance_at
from monitor.risk.reprice import tiers_of
from monitor.risk.worth import STABLECOINS

BITCOIN = "BTC"
# Of any other coin that loses: on 10 October 2025 the average one fell three times as far as BTC.
ALT_BETA = 2.5
# A coin that gains is not counted on to gain more than BTC moves.
GAINING_BETA = 1.0
# Where a mark stops falling, as a share of today's.
LEAST_MARK = 1e-3
# Moves of BTC further than these count as none.
LARGEST_FALL, LARGEST_RISE = -1.0, 3.0
# Sizes closer together than this are one.
PRECISION = 1e-7
# A stretch that may hold a root is shortened to where its bound would reach 0 if that were a straight line, and a
# little more, so that it does not fail again for nothing; but never to less than this share of it.
SAFE, SHORTEST = 0.99, 1 / 64
# A pool that lives so near to its liquidation that so many stretches do not settle it counts as gone where they end.
MAX_STRETCHES = 2_000

Rates = tuple[float, ...]
RatesOf = Callable[[str], Rates]
# (gain, maintenance) in the pool's currency: of one group of legs; of a coin's groups; for each rate of the coin.
_Figures = tuple[float, float]
_State = tuple[tuple[tuple[_Figures, ...], ...], ...]


def btc_rates(betas: Mapping[str, float] | None = None) -> RatesOf:
    """How each coin may move with BTC: BTC by 1; any other by its beta or ALT_BETA where that is worse, and by no more
    than GAINING_BETA where it gains. A dollar token stands still."""

    def rates(coin: str) -> Rates:
        if coin == BITCOIN:
            return (1.0,)
        if coin.upper() in STABLECOINS:
            return (0.0,)
        beta = (betas or {}).get(coin, ALT_BETA)
        return min(beta, GAINING_BETA), max(beta, ALT_BETA)

    return rates


def factor_of(move: float) -> float:
    """What a mark is multiplied by in a relative move; above 0."""
    return max(1 + move, LEAST_MARK)


@dataclass(frozen=True, slots=True)
class _Leg:
    position: Position
    notional: float
    owed_today: float
    tiers: Tiers | None

    def owed(self, growth: float) -> float:
        if self.tiers:
            return maintenance(self.tiers, self.notional * growth) * self.position.pool_rate
        return self.owed_today * growth


@dataclass(frozen=True, slots=True)
class _Group:
    """The linear legs on one coin, or its inverse ones; `slope` is their gain per growth of their notionals."""

    inverse: bool
    slope: float
    legs: tuple[_Leg, ...]

    @classmethod
    def of(cls, inverse: bool, legs: Sequence[_Leg]) -> Self:
        long = -1 if inverse else 1
        slope = sum(long * leg.position.side.sign * leg.notional * leg.position.pool_rate for leg in legs)
        return cls(inverse, slope, tuple(legs))

    def figures(self, factor: float) -> _Figures:
        growth = 1 / factor if self.inverse else factor
        return self.slope * (growth - 1), sum([leg.owed(growth) for leg in self.legs])


@dataclass(frozen=True, slots=True)
class _Coin:
    rates: Rates
    groups: tuple[_Group, ...]

    def figures(self, size: float, rate: float) -> tuple[_Figures, ...]:
        factor = factor_of(rate * size)
        return tuple([group.figures(factor) for group in self.groups])

    def worst_rate(self, size: float) -> float:
        return min(self.rates, key=lambda rate: sum(gain - owed for gain, owed in self.figures(size, rate)))


@dataclass(frozen=True, slots=True)
class PoolPath:
    """One pool along a shock. `fixed` is what of its surplus no mark moves."""

    balance: MarginBalance
    fixed: float
    coins: tuple[_Coin, ...]

    @classmethod
    def of(cls, snapshot: AccountSnapshot, balance: MarginBalance, markets: Markets, rates_of: RatesOf) -> Self | None:
        """None where equity or maintenance is not known."""
        if balance.equity is None or balance.maintenance_margin is None:
            return None
        fixed = balance.equity - balance.maintenance_margin
        coins: dict[str, dict[bool, list[_Leg]]] = {}
        for position in snapshot.positions_in(balance.pool):
            leg = _leg(position, tiers_of(markets, position))
            if leg is None:
                return None
            fixed += leg.owed_today
            instrument = position.instrument
            coins.setdefault(instrument.base, {}).setdefault(instrument.inverse, []).append(leg)
        held = [
            _Coin(rates_of(coin), tuple(_Group.of(inverse, legs) for inverse, legs in groups.items()))
            for coin, groups in coins.items()
        ]
        return cls(balance, fixed, tuple(held))

    def surplus(self, size: float) -> float:
        """Equity - maintenance at that size; the venue liquidates where it reaches 0."""
        state = self._state(size)
        return self.fixed + _least(state, state)

    def at(self, size: float) -> MarginBalance:
        """The pool at that size; what the venue tells of it beside equity and maintenance held for today's marks."""
        balance, figures = self.balance, [f for c in self.coins for f in c.figures(size, c.worst_rate(size))]
        assert balance.equity is not None
        equity = balance.equity + sum(gain for gain, _ in figures)
        owed = balance.equity - self.fixed + sum(owed for _, owed in figures)
        return replace(
            balance,
            equity=equity,
            maintenance_margin=owed,
            available=None,
            initial_margin=None,
            venue_margin_ratio=None,
        )

    def gains(self, size: float) -> dict[str, float]:
        """What each position has gained at that size, in the pool's currency, by its name."""
        found = {}
        for coin in self.coins:
            factor = factor_of(coin.worst_rate(size) * size)
            for position in (leg.position for group in coin.groups for leg in group.legs):
                mark = position.mark_price
                gain = position.instrument.pnl(position.side, position.contracts, mark, mark * factor)
                found[position.subject] = gain * position.pool_rate
        return found

    def first(self, end: float) -> float | None:
        """The size nearest to 0, on the way to `end`, that liquidates the pool; 0 where it is liquidatable today."""
        size, here, stop, there = 0.0, self._state(0.0), end, self._state(end)
        for _ in range(MAX_STRETCHES):
            left = self.fixed + _least(here, here)
            if left <= 0:
                return size
            bound = self.fixed + _least(here, there)
            stretch = stop - size
            if bound > 0:
                if stop == end:
                    return None
                size, here, stop = stop, there, stop + 2 * stretch
            elif abs(stretch) <= PRECISION:
                return stop
            else:
                stop = size + stretch * max(SHORTEST, SAFE * left / (left - bound))
            stop = min(stop, end, key=abs)
            there = self._state(stop)
        return size

    def _state(self, size: float) -> _State:
        return tuple([tuple([coin.figures(size, rate) for rate in coin.rates]) for coin in self.coins])


def _leg(position: Position, tiers: Tiers | None) -> _Leg | None:
    owed = maintenance_at(position, position.contracts, position.mark_price, tiers)
    notional = position.instrument.notional(position.contracts, position.mark_price)
    return None if owed is None else _Leg(position, notional, owed * position.pool_rate, tiers)


def _least(one: _State, other: _State) -> float:
    """A lower bound of gains less maintenance over all sizes between the two states."""
    return sum([min(map(_least_of_rate, ones, others)) for ones, others in zip(one, other, strict=True)])


def _least_of_rate(ones: Sequence[_Figures], others: Sequence[_Figures]) -> float:
    total = 0.0
    for (gain, owed), (other_gain, other_owed) in zip(ones, others, strict=True):
        total += min(gain, other_gain) - max(owed, other_owed)
    return total


@dataclass(frozen=True, slots=True)
class BtcMoves:
    """The moves of BTC that liquidate a pool, as fractions: `fall` below 0, `rise` above; None where none does.

    Both are 0 where the pool is liquidatable today.
    """

    fall: float | None
    rise: float | None

    @property
    def nearest(self) -> float | None:
        """The smaller move; between equals the fall."""
        return min((move for move in (self.fall, self.rise) if move is not None), key=abs, default=None)


def btc_moves(path: PoolPath) -> BtcMoves:
    """For a path whose size is a move of BTC."""
    return BtcMoves(path.first(LARGEST_FALL), path.first(LARGEST_RISE))


def is_of_several_coins(balance: MarginBalance, positions: Sequence[Position]) -> bool:
    """Which coins the pool holds is not told, and so not what a shock makes of them."""
    return balance.currency == "USD" or any(p.instrument.settle != balance.currency for p in positions)
