"""What the coins that an account is margined in are worth in dollars, where anybody tells it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitor.domain.account import AccountSnapshot, Collateral
from monitor.domain.market import Markets
from monitor.risk.worth import DOLLAR, STABLECOINS, UnknownWorthError, worth_of

# Of the equity. Less than this of a coin endangers nobody.
DUST_SHARE = 0.001


@dataclass(frozen=True, slots=True)
class Peg:
    """A stablecoin, and whose its price is."""

    held: Collateral
    origin: str

    @property
    def off(self) -> float:
        return abs(self.held.price - 1.0)


def pegs_of(snapshot: AccountSnapshot, markets: Markets, now: datetime, max_age: timedelta) -> Iterator[Peg]:
    """Each stablecoin that the account is margined in: at the venue's own price, else at the mark of the coin's own
    perpetual, which is told in another stablecoin. One of which neither is told is left out, and so is dust."""
    dust = DUST_SHARE * _equity(snapshot, markets)
    told = {one.coin: Peg(one, "the venue") for one in snapshot.collateral}
    settled_in = {position.instrument.settle for position in snapshot.positions}
    pooled_in = {balance.currency for balance in snapshot.margins if balance.equity}
    for coin in sorted({*told, *settled_in, *pooled_in}):
        if coin.upper() not in STABLECOINS or coin.upper() == DOLLAR:
            continue
        peg = told.get(coin) or _at_mark(coin, snapshot, markets, now - max_age)
        if peg is not None and (peg.held.amount is None or abs(peg.held.amount) * peg.held.price >= dust):
            yield peg


def falling_share(snapshot: AccountSnapshot, markets: Markets) -> float | None:
    """The share of the equity that is in coins which fall with the positions: all but stablecoins, where more is held
    long than short. None where that is not known, or none of it is."""
    coins = [one for one in snapshot.collateral if one.coin.upper() not in STABLECOINS and one.amount is not None]
    try:
        worth = worth_of(snapshot, markets)
    except UnknownWorthError:
        return None
    if worth.equity <= 0 or sum(worth.notionals.values()) <= 0:
        return None
    return sum((one.amount or 0.0) * one.price for one in coins) / worth.equity or None


def _equity(snapshot: AccountSnapshot, markets: Markets) -> float:
    """0 where it is not known: then nothing is dust."""
    try:
        return max(worth_of(snapshot, markets).equity, 0.0)
    except UnknownWorthError:
        return 0.0


def _at_mark(coin: str, snapshot: AccountSnapshot, markets: Markets, not_before: datetime) -> Peg | None:
    """By its perpetual in another stablecoin."""
    held = [balance.equity for balance in snapshot.margins if balance.currency == coin and balance.equity]
    for quote in ("USDT", "USDC", DOLLAR):
        symbol = f"{coin}/{quote}:{quote}"
        state = markets.get(symbol)
        mark = state.mark_price if state is not None else None
        if mark is not None and mark.observed_at >= not_before:
            told = Collateral(coin=coin, price=mark.value, amount=sum(held) or None)
            return Peg(told, f"the mark of {symbol}")
    return None
