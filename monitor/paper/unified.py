"""Accounts whose coins all stand behind all positions, as several venues have them; the engine keeps a pool each."""

from collections.abc import Mapping

from monitor.paper.book import Account
from monitor.paper.engine import Engine
from monitor.paper.pooled import pooled_liquidation_price

# A stablecoin off its dollar: what counts in one coin is not the pool's currency.
STABLECOINS = {"USDT": 1.0, "USDC": 0.9995}


def worth(engine: Engine) -> Mapping[str, float]:
    """US dollars a coin, of the coins that contracts are settled in."""
    coins = {c.settle: engine.mark(c.symbol) for c in engine.contracts if c.inverse}
    return STABLECOINS | {coin: mark for coin, mark in coins.items() if mark is not None}


def unified_liquidation_price(engine: Engine, owner: Account, symbol: str, haircut: float = 0.0) -> float | None:
    """Where the mark of a contract liquidates the account, all else standing still, the worth of its coins as well.

    `haircut` is what of the equity, in dollars, the venue does not count.
    """
    return pooled_liquidation_price(engine, owner, symbol, worth(engine), haircut)
