"""What the coins of a unified account count in its pool, which is in US dollars."""

from collections.abc import Iterator, Mapping

from monitor.domain.account import Collateral, Instrument
from monitor.exchange.values import SMALLEST, Row, number, optional_number

Rates = Mapping[str, float]

# In dollars. Of less than this a price would be made of how the venue rounds.
TELLING_WORTH = 10.0


def dollar_rates(coins: Mapping[str, Row], *, value: str, equity: str) -> Rates:
    """What a unit of each coin is worth in US dollars, by the venue's own value of the equity in it."""
    worth = {name: (optional_number(coin, value), number(coin, equity)) for name, coin in coins.items()}
    return {
        name: dollars / held
        for name, (dollars, held) in worth.items()
        if dollars is not None and abs(held) >= SMALLEST and dollars / held >= SMALLEST
    }


def collateral_of(coins: Mapping[str, Row], *, value: str, equity: str) -> tuple[Collateral, ...]:
    """The coins of an account at the venue's own price; what the row does not tell, or too little of, is left out."""
    told = {
        name: (optional_number(coin, value) or 0.0, optional_number(coin, equity) or 0.0)
        for name, coin in coins.items()
    }
    return tuple(one for name, (dollars, held) in told.items() for one in priced(name, held, dollars))


def priced(coin: str, held: float, dollars: float, haircut: float | None = None) -> Iterator[Collateral]:
    """That coin at the price of which `held` are worth so many dollars; none where that is too little to tell it."""
    if abs(dollars) >= TELLING_WORTH and dollars * held > 0:
        yield Collateral(coin=coin, amount=held, price=dollars / held, haircut=haircut)


def rate_of(coin: str, instrument: Instrument, mark_price: float, rates: Rates) -> float:
    """Of a coin the account has none of: an inverse contract's mark is its price, a stablecoin counts as a dollar."""
    return rates.get(coin, mark_price if instrument.inverse else 1.0)
