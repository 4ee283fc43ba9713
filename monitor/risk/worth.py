"""What amounts of different coins are in dollars, so that pools and positions can stand beside each other.

A stablecoin counts as one dollar: whether it still is one is another question. Any other coin is worth the mark of its
own perpetual, as the venue tells it; without one its worth is unknown.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from monitor.domain.account import AccountSnapshot, Position
from monitor.domain.market import Markets

STABLECOINS = frozenset({"USD", "USDT", "USDC", "USDE", "FDUSD", "USDS", "USDD", "TUSD", "DAI", "PYUSD", "USD1"})


class UnknownWorthError(Exception):
    """The message says what could not be valued."""


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


def _marks(coin: str, markets: Markets) -> Iterator[float]:
    for quote, settle in (("USDT", "USDT"), ("USDC", "USDC"), ("USD", "USD"), ("USD", coin)):
        state = markets.get(f"{coin}/{quote}:{settle}")
        if state is not None and state.mark_price is not None:
            yield state.mark_price.value


@dataclass(frozen=True, slots=True)
class Worth:
    """An account in dollars. `equity` over all its pools; `notionals` are signed, by position; `pools` their equity."""

    equity: float
    notionals: Mapping[str, float]
    pools: Mapping[str, float]

    @property
    def gross(self) -> float:
        return sum(abs(notional) for notional in self.notionals.values())


def worth_of(snapshot: AccountSnapshot, markets: Markets) -> Worth:
    """Raises UnknownWorthError where an equity is not told, or a coin cannot be valued."""
    pools: dict[str, float] = {}
    for balance in snapshot.margins:
        if balance.equity is None:
            raise UnknownWorthError(f"the equity of {balance.pool} is not known")
        rate = dollars_per(balance.currency, snapshot, markets) if balance.equity else 0.0
        pools[balance.pool] = balance.equity * rate
    notionals = {position.subject: notional_of(position, snapshot, markets) for position in snapshot.positions}
    return Worth(sum(pools.values()), notionals, pools)


def notional_of(position: Position, snapshot: AccountSnapshot, markets: Markets) -> float:
    """Signed, in dollars. Raises UnknownWorthError."""
    settle = position.instrument.settle
    return position.side.sign * position.notional * dollars_per(settle, snapshot, markets)
