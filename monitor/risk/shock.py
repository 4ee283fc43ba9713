"""A margin pool along a shock of the whole market: which size of it liquidates the pool, all marks moving together.

A shock gives each coin one rate or several: at size x its marks stand at mark * (1 + rate * x), but never at 0. Of
several rates the pool takes, coin by coin, the one that leaves it least: so a beta that is too low hides no loss, and
one that is too high lends no gain. All contracts on one coin move alike, and so does what is held of it as collateral,
where the venue tells that (`backing`).

With g = 1 + rate * x for linear contracts and 1 / (1 + rate * x) for inverse ones, a position's notional in settle
units becomes notional * g and its gain is +-notional * (g - 1): what `reprice` says, in relative terms. In a pool of
several coins what an inverse contract gains and owes is paid in a coin whose price moves as well: there its gain in
dollars is +-notional * (1 + rate * x - 1), as of a linear one.

The smallest size that liquidates is not sampled for. What a coin gains is a * (f - 1) + b * (1 / f - 1) of the factor f
of its marks, and turns at most once; the maintenance of its linear contracts rises with f, that of its inverse ones
falls. So the figures at both ends of a stretch bound the surplus everywhere between; and where no contract
leaves its bracket on the way, what linear ones leave is a straight line. Stretch by stretch the search walks away from
today's marks, as far as each bound stays above 0, until it stands before the root.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

from monitor.domain.account import AccountSnapshot, MarginBalance, Position
from monitor.domain.market import Markets, Tier, Tiers
from monitor.risk.backing import NO_COINS, Backing, backing_of
from monitor.risk.margin import maintenance_at, tier_of
from monitor.risk.reprice import tiers_of
from monitor.risk.worth import stands_still

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
# little more, so that it does not fail again for nothing; but never to less than this share of it. Where it is one,
# the little is what rounding takes.
SAFE, SHORTEST = 0.99, 1 / 64
SAFE_IF_STRAIGHT = 1 - 1e-9
# A pool that lives so near to its liquidation that so many stretches do not settle it counts as gone where they end.
MAX_STRETCHES = 2_000

Rates = tuple[float, ...]
RatesOf = Callable[[str], Rates]


class _Figures(NamedTuple):
    """What one coin does to the pool where its marks are multiplied by `factor`, in the pool's currency.

    `worth` is gain less maintenance, which rises or falls with the factor. Between two factors with the same `line`
    worth is a straight line: its contracts are in the same brackets, and none bends; None where it bends right here.
    """

    factor: float
    gain: float
    rising_owed: float
    falling_owed: float
    worth: float
    line: tuple[Tier | None, ...] | None


class _OfCoin(NamedTuple):
    """One coin at one size: the figures at each of its rates, and the worth that the worst of them leaves."""

    worth: float
    figures: tuple[_Figures, ...]


_State = tuple[_OfCoin, ...]


def btc_rates(betas: Mapping[str, float] | None = None) -> RatesOf:
    """How each coin may move with BTC: BTC by 1; any other by its beta or ALT_BETA where that is worse, and by no more
    than GAINING_BETA where it gains. Money and dollar tokens stand still."""

    def rates(coin: str) -> Rates:
        if coin == BITCOIN:
            return (1.0,)
        if stands_still(coin):
            return (0.0,)
        beta = (betas or {}).get(coin, ALT_BETA)
        return min(beta, GAINING_BETA), max(beta, ALT_BETA)

    return rates


def factor_of(move: float) -> float:
    """What a mark is multiplied by in a relative move; above 0."""
    return max(1 + move, LEAST_MARK)


@dataclass(frozen=True, slots=True)
class _Leg:
    """`is_converted` of an inverse contract whose coin the pool counts at its price."""

    position: Position
    notional: float
    owed_today: float
    tiers: Tiers | None
    is_converted: bool

    @property
    def is_bent(self) -> bool:
        return self.position.instrument.inverse and not self.is_converted

    @property
    def signed(self) -> float:
        """The notional in the pool's currency, below 0 of a short."""
        return self.position.side.sign * self.notional * self.position.pool_rate

    def owed(self, factor: float) -> tuple[float, Tier | None]:
        """Where the mark is multiplied so, in the pool's currency; with the bracket that it is in then, where known."""
        growth = 1 / factor if self.position.instrument.inverse else factor
        coin = factor if self.is_converted else 1.0
        if not self.tiers:
            return self.owed_today * growth * coin, None
        notional = self.notional * growth
        tier = tier_of(self.tiers, notional)
        return tier.maintenance(notional) * self.position.pool_rate * coin, tier

    def gain(self, factor: float) -> float:
        return self.signed * (1 - 1 / factor if self.is_bent else factor - 1)


@dataclass(frozen=True, slots=True)
class _Coin:
    """The legs on one coin, and what is held of it.

    The slopes are what linear legs gain by the factor of the marks, and bent ones by one over it; what converted legs
    gain is of the coin itself, and counts as what is held of it does.
    """

    name: str
    rates: Rates
    legs: tuple[_Leg, ...]
    held: Backing | None
    counted: Backing
    straight_slope: float
    bent_slope: float
    is_bent: bool

    @classmethod
    def of(cls, name: str, rates: Rates, legs: Sequence[_Leg], held: Backing | None) -> Self:
        linear = [leg.signed for leg in legs if not leg.position.instrument.inverse]
        converted = [leg.signed for leg in legs if leg.is_converted]
        bent = [leg.signed for leg in legs if leg.is_bent]
        counted = (held or Backing(0.0)).plus(sum(converted))
        return cls(name, rates, tuple(legs), held, counted, sum(linear), -sum(bent), bool(bent))

    def at(self, size: float) -> _OfCoin:
        figures = tuple([self.figures(size, rate) for rate in self.rates])
        return _OfCoin(min([one.worth for one in figures]), figures)

    def figures(self, size: float, rate: float) -> _Figures:
        factor = factor_of(rate * size)
        gain, rising_owed, falling_owed = self.gain(factor), 0.0, 0.0
        tiers: list[Tier | None] = []
        for leg in self.legs:
            owed, tier = leg.owed(factor)
            tiers.append(tier)
            if leg.position.instrument.inverse:
                falling_owed += owed
            else:
                rising_owed += owed
        line = tuple(tiers) if factor > LEAST_MARK and not self.is_bent else None
        return _Figures(factor, gain, rising_owed, falling_owed, gain - rising_owed - falling_owed, line)

    def slope(self, factor: float) -> float:
        """What is gained by the factor of the marks, on that side of today's."""
        return self.straight_slope + self.counted.slope(factor)

    def gain(self, factor: float) -> float:
        return self.slope(factor) * (factor - 1) + self.bent_slope * (1 / factor - 1)

    def least(self, one: _Figures, other: _Figures) -> float:
        """A lower bound of gain less maintenance between the two, which lie on one side of today's marks."""
        gain = min(one.gain, other.gain)
        slope = self.slope(max(one.factor, other.factor))
        if slope > 0 and self.bent_slope > 0:
            turn = math.sqrt(self.bent_slope / slope)
            if min(one.factor, other.factor) < turn < max(one.factor, other.factor):
                gain = self.gain(turn)
        return gain - max(one.rising_owed, other.rising_owed) - max(one.falling_owed, other.falling_owed)

    def worst_rate(self, size: float) -> float:
        return min(self.rates, key=lambda rate: self.figures(size, rate).worth)


@dataclass(frozen=True, slots=True)
class PoolPath:
    """One pool along a shock. `fixed` is what of its surplus no mark moves.

    `holds_coins_still` where the venue does not tell which coins are behind it.
    """

    balance: MarginBalance
    fixed: float
    coins: tuple[_Coin, ...]
    holds_coins_still: bool

    @classmethod
    def of(cls, snapshot: AccountSnapshot, balance: MarginBalance, markets: Markets, rates_of: RatesOf) -> Self | None:
        """None where equity or maintenance is not known."""
        if balance.equity is None or balance.maintenance_margin is None:
            return None
        told = backing_of(snapshot, balance)
        backing = told or NO_COINS
        fixed = balance.equity - balance.maintenance_margin
        coins: dict[str, list[_Leg]] = {coin: [] for coin in backing if any(rates_of(coin))}
        for position in snapshot.positions_in(balance.pool):
            leg = _leg(position, tiers_of(markets, position), is_converted=bool(backing))
            if leg is None:
                return None
            fixed += leg.owed_today
            coins.setdefault(position.instrument.base, []).append(leg)
        moving = (_Coin.of(coin, rates_of(coin), legs, backing.get(coin)) for coin, legs in coins.items())
        return cls(balance, fixed, tuple(moving), told is None)

    def surplus(self, size: float) -> float:
        """Equity - maintenance at that size; the venue liquidates where it reaches 0."""
        return self._surplus(self._state(size))

    def at(self, size: float) -> MarginBalance:
        """The pool at that size; what the venue tells of it beside equity and maintenance held for today's marks."""
        balance, figures = self.balance, [coin.figures(size, coin.worst_rate(size)) for coin in self.coins]
        assert balance.equity is not None
        return replace(
            balance,
            equity=balance.equity + sum(figure.gain for figure in figures),
            maintenance_margin=balance.equity
            - self.fixed
            + sum(figure.rising_owed + figure.falling_owed for figure in figures),
            available=None,
            initial_margin=None,
            venue_margin_ratio=None,
        )

    def gains(self, size: float) -> dict[str, float]:
        """What each position and each coin held has gained at that size, in the pool's currency, by its name."""
        found: dict[str, float] = {}
        for coin in self.coins:
            factor = factor_of(coin.worst_rate(size) * size)
            found |= {leg.position.subject: leg.gain(factor) for leg in coin.legs}
            if coin.held is not None:
                found[f"{coin.name} held"] = coin.held.change(factor)
        return found

    def first(self, end: float) -> float | None:
        """The size nearest to 0, on the way to `end`, that liquidates the pool; 0 where it is liquidatable today.

        Found from the near side: it may be short of the true one by PRECISION.
        """
        size, here, stop, there = 0.0, self._state(0.0), end, self._state(end)
        for _ in range(MAX_STRETCHES):
            left = self._surplus(here)
            if left <= 0:
                return size
            bound, is_straight = self._least(here, there)
            stretch = stop - size
            if bound > 0:
                if stop == end:
                    return None
                size, here, stop = stop, there, stop + 2 * stretch
            elif abs(stretch) <= PRECISION:
                return size
            else:
                share = left / (left - bound)
                shorter = SAFE_IF_STRAIGHT * share if is_straight else max(SHORTEST, SAFE * share)
                stop = size + math.copysign(max(PRECISION / 2, shorter * abs(stretch)), stretch)
            stop = min(stop, end, key=abs)
            there = self._state(stop)
        return size

    def _state(self, size: float) -> _State:
        return tuple([coin.at(size) for coin in self.coins])

    def _surplus(self, state: _State) -> float:
        return self.fixed + sum([coin.worth for coin in state])

    def _least(self, one: _State, other: _State) -> tuple[float, bool]:
        """A lower bound of the surplus over all sizes between the two states, and whether all of it is straight there.

        The smallest of straight lines, and the sum of such, lies nowhere below the lower one of its ends.
        """
        here, there, bent, is_straight = self.fixed, self.fixed, 0.0, True
        for coin, ones, others in zip(self.coins, one, other, strict=True):
            if all(a.line is not None and a.line == b.line for a, b in zip(ones.figures, others.figures, strict=True)):
                here += ones.worth
                there += others.worth
            else:
                bent += min(map(coin.least, ones.figures, others.figures))
                is_straight = False
        return min(here, there) + bent, is_straight


def _leg(position: Position, tiers: Tiers | None, *, is_converted: bool) -> _Leg | None:
    owed = maintenance_at(position, position.contracts, position.mark_price, tiers)
    notional = position.instrument.notional(position.contracts, position.mark_price)
    if owed is None:
        return None
    return _Leg(position, notional, owed * position.pool_rate, tiers, is_converted and position.instrument.inverse)


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
