"""Candles' studies and order books drawn by dice, for benchmarks whose subject is what rules make of them."""

from datetime import date, timedelta
from random import Random

from monitor.domain.market import Book, Resting
from monitor.domain.study import Study

DAYS, LEVELS, STEP = 90, 100, 0.0003


def a_study(rng: Random, mark: float, today: date) -> Study:
    sigma = rng.uniform(0.02, 0.06)
    days = [today - timedelta(days=number) for number in range(1, DAYS + 1)]
    returns = {day: rng.gauss(0, sigma) for day in days}
    return Study(fast_sigma=sigma, slow_sigma=sigma, atr=mark * sigma, returns=returns)


def a_book(rng: Random, mark: float, level_worth: float) -> Book:
    """Each level holds about so much, in quote units."""

    def side(sign: int) -> tuple[Resting, ...]:
        prices = [mark * (1 + sign * STEP * step) for step in range(1, LEVELS + 1)]
        return tuple(Resting(price, level_worth * rng.uniform(0.1, 2) / price) for price in prices)

    return Book(bids=side(-1), asks=side(1))
