"""Accounts that every venue is read with: what they hold is known, and each venue tells it in its own dialect.

`mixed` (one-way) has a long and a short margined across and one isolated position, `hedged` both sides of a contract,
`coin` inverse contracts, `two` contracts settled in two stablecoins, `flat` money and nothing else, and `many` more
positions than any page holds.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from monitor.domain.account import Side
from monitor.paper.contract import Contract, brackets_of
from monitor.paper.engine import Engine

STEPS = brackets_of([(0, 50_000, 0.004, 125, 0), (50_000, 600_000, 0.005, 100, 50), (600_000, 1e9, 0.0065, 75, 950)])
COIN_STEPS = brackets_of([(0, 5, 0.004, 125, 0), (5, 10, 0.005, 100, 0.005), (10, 1e6, 0.01, 50, 0.055)])
MARKS = {"BTC": 116_000.5, "ETH": 4_000.25, "SOL": 207.0}
ENTRIES = {"BTC": 117_000.0, "ETH": 4_100.0, "SOL": 210.0}
FUNDING = {"BTC": (0.0001, 8), "ETH": (-0.0002, 4), "SOL": (0.0, 1)}
# How many contracts `many` holds, one position each.
MANY = 230
WALLETS = {"USDT": 40_000.0, "USDC": 15_000.0, "BTC": 1.5, "ETH": 12.0}

# (base, settle) -> base units a contract (linear) or quote units a contract (inverse), where not 1 or 100; "*" is any.
Sizes = Mapping[tuple[str, str], float]
Terms = Callable[[Contract], Contract]


def linear(base: str, settle: str = "USDT", sizes: Sizes | None = None, **changes: Any) -> Contract:
    rate, hours = FUNDING.get(base, (0.0001, 8))
    given: dict[str, Any] = {
        "symbol": f"{base}{settle}",
        "base": base,
        "quote": settle,
        "settle": settle,
        "brackets": STEPS,
        "contract_size": _size(sizes, base, settle, 1.0),
        "funding_rate": rate,
        "funding_interval": timedelta(hours=hours),
        "step": 0.001,
    }
    return Contract(**given | changes)


def inverse(base: str, sizes: Sizes | None = None, **changes: Any) -> Contract:
    given: dict[str, Any] = {
        "symbol": f"{base}USD_PERP",
        "base": base,
        "quote": "USD",
        "settle": base,
        "inverse": True,
        "contract_size": _size(sizes, base, base, 100.0),
        "brackets": COIN_STEPS,
        "step": 1,
        "tick": 0.1,
    }
    return Contract(**given | changes)


def a_book(now: datetime, sizes: Sizes | None = None, terms: Terms = lambda contract: contract) -> Engine:
    """All accounts but `many`. Contracts: BTC, ETH, SOL in USDT; BTC, ETH in USDC; BTC, ETH inverse."""
    engine = Engine(now)
    contracts = [linear(base, "USDT", sizes) for base in MARKS]
    contracts += [linear(base, "USDC", sizes) for base in ("BTC", "ETH")]
    contracts += [inverse(base, sizes) for base in ("BTC", "ETH")]
    for contract in contracts:
        engine.add_contract(terms(contract))
    for name in ("mixed", "hedged", "coin", "two", "flat"):
        engine.add_account(name, api_key=f"{name}-key", secret=f"{name}-secret", hedge_mode=name == "hedged")
        for asset, worth in WALLETS.items():
            engine.deposit(name, asset, worth)
    hold(engine, "mixed", "BTCUSDT", Side.LONG, 0.5, 20)
    hold(engine, "mixed", "ETHUSDT", Side.SHORT, 3, 10)
    hold(engine, "mixed", "SOLUSDT", Side.LONG, 40, 5, isolated=True)
    hold(engine, "hedged", "BTCUSDT", Side.LONG, 1, 20)
    hold(engine, "hedged", "BTCUSDT", Side.SHORT, 0.25, 20)
    hold(engine, "hedged", "ETHUSDT", Side.SHORT, 2, 5, isolated=True)
    hold(engine, "coin", "BTCUSD_PERP", Side.SHORT, 30_000, 20)
    hold(engine, "coin", "ETHUSD_PERP", Side.LONG, 20_000, 5)
    hold(engine, "two", "BTCUSDT", Side.LONG, 0.3, 10)
    hold(engine, "two", "BTCUSDC", Side.SHORT, 0.2, 10)
    hold(engine, "two", "ETHUSDC", Side.LONG, 2, 5)
    engine.set_marks({c.symbol: MARKS[c.base] for c in contracts})
    return engine


def a_crowd(
    now: datetime, sizes: Sizes | None = None, terms: Terms = lambda contract: contract, count: int = MANY
) -> Engine:
    """`many` alone: a small long in each of that many contracts settled in USDT."""
    engine = Engine(now)
    engine.add_account("many", api_key="many-key", secret="many-secret", hedge_mode=False)
    engine.deposit("many", "USDT", 1_000_000)
    for number in range(count):
        base = f"C{number:03}"
        contract = terms(linear(base, "USDT", sizes))
        engine.add_contract(contract)
        units = round((10 + number) / contract.contract_size, 9)
        engine.open("many", contract.symbol, Side.LONG, units, 100.0, 10)
    engine.set_marks({contract.symbol: 101.5 for contract in engine.contracts})
    return engine


def hold(
    engine: Engine, account: str, symbol: str, side: Side, units: float, leverage: float, *, isolated: bool = False
) -> None:
    """`units` are base units of a linear contract, quote units of an inverse one."""
    contract = engine.market(symbol).contract
    contracts = round(units / contract.contract_size, 9)
    engine.open(account, symbol, side, contracts, ENTRIES[contract.base], leverage, isolated=isolated)


def _size(sizes: Sizes | None, base: str, settle: str, default: float) -> float:
    given = sizes or {}
    return given.get((base, settle), given.get(("*", settle), default))
