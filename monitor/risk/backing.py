"""The coins behind a margin pool, and what their prices do to its equity.

A pool of several coins counts each at its price in US dollars, less what the venue's haircut takes of it. Its equity is
told with the haircuts off, so the share that counts of the coins whose haircut is not told is what of the equity is in
nothing else, over what they are worth. Beside isolated positions, whose margin may be among what is held, that share is
too low: it holds for what coins gain, and what they lose counts whole.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from monitor.domain.account import AccountSnapshot, MarginBalance
from monitor.risk.worth import DOLLAR, stands_still

Coins = Mapping[str, "Backing"]

NO_COINS: Coins = {}
# Of the equity. Less than this of a coin moves nothing.
DUST_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class Backing:
    """One coin behind a pool: what of it is held, in dollars, below 0 where it is owed.

    `lost` and `gained` are the shares (0..1) of what its price takes and gives that reach the pool's equity.
    """

    worth: float
    lost: float = 1.0
    gained: float = 1.0

    def slope(self, factor: float) -> float:
        """Dollars of equity that the factor of its price multiplies, on that side of 1."""
        return self.worth * (self.gained if self.worth * (factor - 1) > 0 else self.lost)

    def plus(self, worth: float) -> "Backing":
        """With what contracts that are settled in the coin gain as if so much more of it were held."""
        return replace(self, worth=self.worth + worth)

    def change(self, factor: float) -> float:
        """Of the equity in dollars, where the price goes to `factor` times today's."""
        return self.slope(factor) * (factor - 1)


def backing_of(snapshot: AccountSnapshot, balance: MarginBalance) -> Coins | None:
    """What is behind the pool by coin, empty where that is its own currency alone; None where it is not told."""
    if balance.currency != DOLLAR:
        is_of_one = all(p.instrument.settle == balance.currency for p in snapshot.positions_in(balance.pool))
        return {} if is_of_one else None
    isolated = [other for other in snapshot.margins if other.pool.startswith("isolated:")]
    pooled = [other for other in snapshot.margins if other.currency == DOLLAR and other not in isolated]
    is_told = snapshot.collateral and all(one.amount is not None for one in snapshot.collateral)
    if balance.equity is None or pooled != [balance] or not is_told:
        return None
    held: dict[str, Backing] = {}
    for one in snapshot.collateral:
        counts = 1 - one.haircut if one.haircut is not None and (one.amount or 0.0) > 0 else 1.0
        before = held.get(one.coin, Backing(0.0, counts, counts))
        held[one.coin] = before.plus((one.amount or 0.0) * one.price)
    untold = {one.coin for one in snapshot.collateral if one.haircut is None and not stands_still(one.coin)}
    falling = {coin: one.worth for coin, one in held.items() if coin in untold and one.worth > 0}
    counted = balance.equity - sum(one.worth * one.lost for coin, one in held.items() if coin not in falling)
    share = min(max(counted / sum(falling.values()), 0.0), 1.0) if falling else 1.0
    return held | {coin: Backing(worth, 1.0 if isolated else share, share) for coin, worth in falling.items()}


def moving_coins(snapshot: AccountSnapshot, balance: MarginBalance) -> frozenset[str]:
    """The coins behind the pool whose prices matter to it."""
    dust = DUST_SHARE * (balance.equity or 0.0)
    backing = backing_of(snapshot, balance) or {}
    return frozenset(
        coin for coin, one in backing.items() if not stands_still(coin) and abs(one.worth * one.lost) > dust
    )
