"""What amounts of different coins are in dollars, so that pools and positions can stand beside each other.

A stablecoin counts as one dollar: whether it still is one is another question. Any other coin is worth the mark of its
own perpetual, as the venue tells it; without one its worth is unknown.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from monitor.domain.account import AccountSnapshot, Position
from monitor.domain.market import Markets

# What is a dollar, and not a coin that should be worth one.
DOLLAR = "USD"
STABLECOINS = frozenset({"USD", "USDT", "USDC", "USDE", "FDUSD", "USDS", "USDD", "TUSD", "DAI", "PYUSD", "USD1"})
# Money that does not move with coins.
FIAT = frozenset({"EUR", "GBP", "CHF", "JPY", "CAD", "AUD", "BRL", "TRY"})


class UnknownWorthError(Exception):
    """The message says what could not be valued."""


def stands_still(coin: str) -> bool:
    """Whether its price in dollars does not move with the market: money, and every token named after the dollar."""
    return DOLLAR in coin.upper() or coin.upper() in FIAT | STABLECOINS


def dollars_per(coin: str, snapshot: AccountSnapshot, markets: Markets) -> float:
    """Raises UnknownWorthError."""
    if coin.upper() in STABLECOINS:
        return 1.0
    for position in snapshot.positions:
        if position.instrument.base == coin and position.instrument.quote in STABLECOINS:
            return position.mark_price
    for mark in _marks(coin, markets):
        return mark
    raise UnknownWorthError(f"the worth of {coin} in dollars is not known")


def perpetuals_of(coin: str) -> tuple[str, ...]:
    """What a coin's perpetual may be called, the most common first."""
    quotes = (("USDT", "USDT"), ("USDC", "USDC"), ("USD", "USD"), ("USD", coin))
    return tuple(f"{coin}/{quote}:{settle}" for quote, settle in quotes)


def _marks(coin: str, markets: Markets) -> Iterator[float]:
    for symbol in perpetuals_of(coin):
        state = markets.get(symbol)
        if state is not None and state.mark_price is not None:
            yield state.mark_price.value


@dataclass(frozen=True, slots=True)
class Worth:
    """An account in dollars. `equity` over all its pools; `notionals` are signed, by position."""

    equity: float
    notionals: Mapping[str, float]


def worth_of(snapshot: AccountSnapshot, markets: Markets) -> Worth:
    """Raises UnknownWorthError where an equity is not told, or a coin cannot be valued."""
    amounts, rates = equity_of(snapshot, markets)
    notionals = {position.subject: notional_of(position, snapshot, markets) for position in snapshot.positions}
    return Worth(sum(amounts[coin] * rate for coin, rate in rates.items()), notionals)


def equity_of(snapshot: AccountSnapshot, markets: Markets) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """The equity of all pools by coin, and the dollars that one of each is worth; coins of which there is none are left
    out. Raises UnknownWorthError."""
    amounts: dict[str, float] = {}
    for balance in snapshot.margins:
        if balance.equity is None:
            raise UnknownWorthError(f"the equity of {balance.pool} is not known")
        amounts[balance.currency] = amounts.get(balance.currency, 0.0) + balance.equity
    rates = {coin: dollars_per(coin, snapshot, markets) for coin, amount in amounts.items() if amount}
    return {coin: amounts[coin] for coin in rates}, rates


def notional_of(position: Position, snapshot: AccountSnapshot, markets: Markets) -> float:
    """Signed, in dollars. Raises UnknownWorthError."""
    settle = position.instrument.settle
    return position.side.sign * position.notional * dollars_per(settle, snapshot, markets)
