"""How far prices move: volatility, true range, beta and correlation from candles, and what they say of a level. Pure.

Sigmas are standard deviations of a day's logarithmic return about zero, as fractions; markets never close, so a day is
24 hours and a variance grows with time.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from monitor.domain.study import Candle, Frame, Study

# Weight of a day against the next: RiskMetrics, Technical Document, 4th edition (1996), chapter 5.
SLOW_LAMBDA = 0.94
# After so many hours a return counts for half: a crash counts at once, and its night is slept over in two days.
FAST_HALF_LIFE_H = 12.0
# J. Welles Wilder, New Concepts in Technical Trading Systems (1978).
ATR_DAYS = 14
LEAST_DAYS, LEAST_HOURS = 10, 24
# No market opens so many times away from where it closed: from there on a contract is told in another unit.
REDENOMINATED = 5.0
# Fewer common days than these tell nothing of two coins: the error of a correlation is about 1 / sqrt(days).
LEAST_COMMON_DAYS = 30
# A beta beyond these is an error of a short history.
BETAS = (0.0, 5.0)
# Calm is no promise: what moved less in a day than this is counted as if it had moved so far.
SIGMA_FLOOR = 0.01
# Pairs of studies whose beta or correlation is remembered: many accounts hold the same coins for minutes. All pairs of
# ninety coins; what is asked for in turn and does not fit is worked out anew each time.
PAIRS_KEPT = 4096
LENGTHS = {Frame.HOUR: timedelta(hours=1), Frame.DAY: timedelta(days=1)}

Floats = NDArray[np.float64]


def study_of(days: Sequence[Candle], hours: Sequence[Candle]) -> Study | None:
    """From whole days (as `whole` tells), and hours of which the last one counts as it stands; both ascending.

    None of fewer than LEAST_DAYS or LEAST_HOURS in today's unit: of a young listing, or of what is hardly traded.
    """
    days, hours = _in_one_unit(days), _in_one_unit(hours)
    if len(days) < LEAST_DAYS or len(hours) < LEAST_HOURS:
        return None
    fast = ewma_sigma(hours, Frame.HOUR, 0.5 ** (1 / FAST_HALF_LIFE_H))
    return Study(
        fast_sigma=fast * math.sqrt(24),
        slow_sigma=ewma_sigma(days, Frame.DAY, SLOW_LAMBDA),
        atr=atr(days),
        returns=daily_returns(days),
    )


def whole(candles: Sequence[Candle], frame: Frame, now: datetime) -> tuple[Candle, ...]:
    """Those that have ended."""
    return tuple(candle for candle in candles if candle.at + LENGTHS[frame] <= now)


def _in_one_unit(candles: Sequence[Candle]) -> Sequence[Candle]:
    """Those since the last split or redenomination, which moved nobody's money."""
    steps = [after.open / before.close for before, after in pairwise(candles)]
    breaks = [index for index, step in enumerate(steps, 1) if not 1 / REDENOMINATED < step < REDENOMINATED]
    return candles[breaks[-1] :] if breaks else candles


def ewma_sigma(candles: Sequence[Candle], frame: Frame, decay: float) -> float:
    """sqrt(sum decay^k * r_k^2 / sum decay^k) over the returns r_k of the closes, k = 0 the latest; per frame.

    A return over a gap counts as one of each candle in it: r^2 / candles.
    """
    logs = np.log(_column(candles, "close"))
    steps = np.diff(np.array([candle.at.timestamp() for candle in candles])) / LENGTHS[frame].total_seconds()
    squares = np.diff(logs) ** 2 / np.maximum(steps, 1.0)
    weights = decay ** np.arange(len(squares) - 1, -1, -1, dtype=np.float64)
    return float(np.sqrt(weights @ squares / weights.sum()))


def atr(days: Sequence[Candle]) -> float:
    """Average true range in quote units: of 14 days the mean, then each day (13 * ATR + its true range) / 14.

    A true range is the largest of high - low, |high - close before|, |low - close before|. Of whole days alone: a stop
    that widened while the market falls would be none.
    """
    high, low, close = (_column(days, name) for name in ("high", "low", "close"))
    before = close[:-1]
    ranges = np.maximum(high[1:], before) - np.minimum(low[1:], before)
    average = float(ranges[:ATR_DAYS].mean())
    for true_range in ranges[ATR_DAYS:].tolist():
        average += (true_range - average) / ATR_DAYS
    return average


def daily_returns(days: Sequence[Candle]) -> Mapping[date, float]:
    """ln(close / close of the day before) by date; none of a day that follows a gap."""
    logs = np.diff(np.log(_column(days, "close"))).tolist()
    return {
        day.at.date(): log
        for before, day, log in zip(days, days[1:], logs, strict=False)
        if day.at - before.at == LENGTHS[Frame.DAY]
    }


@lru_cache(PAIRS_KEPT)
def beta(of: Study, to: Study) -> float | None:
    """sum x * y / sum y^2 over the common days, within BETAS: how far `of` moves when `to` moves by 1. None where there
    are too few days, or `to` did not move."""
    x, y = _common(of, to)
    if len(x) < LEAST_COMMON_DAYS or not y.any():
        return None
    return float(np.clip(x @ y / (y @ y), *BETAS))


@lru_cache(PAIRS_KEPT)
def correlation(one: Study, other: Study) -> float | None:
    """sum x * y / sqrt(sum x^2 * sum y^2) over the common days. None where there are too few, or one did not move."""
    x, y = _common(one, other)
    size = math.sqrt((x @ x) * (y @ y))
    return None if len(x) < LEAST_COMMON_DAYS or size == 0 else float(np.clip(x @ y / size, -1.0, 1.0))


def portfolio_sigma(exposures: Mapping[str, float], studies: Mapping[str, Study]) -> float:
    """sqrt(w' C w): the standard deviation of a day's gain, in the unit of the exposures (signed, by coin).

    Of each coin its larger sigma, of SIGMA_FLOOR at least. A correlation that is not known is 1 where that is worse,
    -1 where that is: what is not known hedges nothing.
    """
    coins = sorted(exposures)
    weights = [exposures[coin] * max(studies[coin].sigma, SIGMA_FLOOR) for coin in coins]
    variance = sum(weight**2 for weight in weights)
    for index, (coin, weight) in enumerate(zip(coins, weights, strict=True)):
        for other, its_weight in zip(coins[:index], weights[:index], strict=True):
            known = correlation(studies[coin], studies[other])
            product = weight * its_weight
            variance += 2 * (abs(product) if known is None else known * product)
    return math.sqrt(max(variance, 0.0))


def touch_probability(mark: float, level: float, sigma: float, days: float = 1.0) -> float:
    """2 * Phi(-|ln(level / mark)| / (sigma * sqrt(days))): how likely a price without drift touches the level in time.

    The reflection principle for a normal walk of prices. A floor: turbulence comes in clusters, and with the same sigma
    makes far levels many times as likely.
    """
    if level == mark:
        return 1.0
    if level <= 0 or sigma <= 0:
        return 0.0
    return math.erfc(abs(math.log(level / mark)) / (sigma * math.sqrt(2 * days)))


def _common(one: Study, other: Study) -> tuple[Floats, Floats]:
    dates = [day for day in one.returns if day in other.returns]
    return np.array([one.returns[day] for day in dates]), np.array([other.returns[day] for day in dates])


def _column(candles: Sequence[Candle], name: str) -> Floats:
    return np.array([getattr(candle, name) for candle in candles], dtype=np.float64)
