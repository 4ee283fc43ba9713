"""KuCoin Futures: classic and unified accounts."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from monitor.exchange.venues.figures import Figure
from monitor.paper.book import Account, PositionTruth
from monitor.paper.dialects.kucoinfutures import KUCOINFUTURES, PASSPHRASE, worth
from monitor.paper.engine import Engine
from tests.venues.books import Sizes
from tests.venues.kit import AccountCase, PoolTruth, VenueCase, all_together, isolated_alone, per_currency

# Coins that are asked for whether or not anything is held in them.
ALWAYS = ("USDT", "USDC", "BTC")
SIZES: Sizes = {
    ("BTC", "USDT"): 0.001,
    ("ETH", "USDT"): 0.01,
    ("SOL", "USDT"): 0.1,
    ("BTC", "USDC"): 0.001,
    ("ETH", "USDC"): 0.01,
    ("BTC", "BTC"): 1.0,
    ("ETH", "ETH"): 1.0,
}


def _credentials(account: Account) -> Mapping[str, str]:
    return {"apiKey": account.api_key, "secret": account.secret, "password": PASSPHRASE}


def _initial(engine: Engine, truth: PositionTruth) -> float:
    """Classic accounts tell the initial margin of an isolated position at its entry."""
    if truth.isolated_wallet is None:
        return truth.initial_margin
    return engine.market(truth.symbol).contract.notional(truth.contracts, truth.entry_price) / truth.leverage


def _classic_pools(engine: Engine, owner: Account) -> tuple[PoolTruth, ...]:
    """An isolated position's initial margin is that at entry, and it has no ratio of its own."""
    held = {engine.market(symbol).contract.settle for symbol, _ in owner.legs}
    isolated = [p for p in engine.positions(owner.name) if p.isolated_wallet is not None]
    pools = per_currency(engine, owner, tuple({*ALWAYS, *held}))
    at_entry = iter([_initial(engine, truth) for truth in isolated])
    return tuple(
        replace(p, venue_margin_ratio=p.maintenance_margin / p.equity)
        if p.pool.startswith("cross:")
        else replace(p, initial_margin=next(at_entry))
        for p in pools
    )


def _unified_pools(engine: Engine, owner: Account) -> tuple[PoolTruth, ...]:
    coins = {asset: worth(engine, asset) for asset in owner.wallets}
    whole = all_together(engine, owner, coins)
    ratio = whole.maintenance_margin / whole.equity
    return replace(whole, venue_margin_ratio=ratio), *isolated_alone(engine, owner)


def _at_entry(truth: PositionTruth) -> Mapping[Figure, Any]:
    """`sizes` cancel out: an isolated position of the books is linear, and its worth at entry its mark's by prices."""
    if truth.isolated_wallet is None:
        return {}
    return {Figure.INITIAL: truth.initial_margin * truth.entry_price / truth.mark_price}


def _classic(account: str) -> AccountCase:
    return AccountCase(account=account, name=account, pools=_classic_pools, expected=_at_entry)


def _unified(account: str) -> AccountCase:
    return AccountCase(
        account=account, name=f"unified-{account}", pools=_unified_pools, profile={"unified": True}
    )  # fmt: skip


CLASSIC = VenueCase(
    venue="kucoinfutures",
    dialect=KUCOINFUTURES,
    accounts=(_classic("mixed"), _classic("hedged"), _classic("two"), _classic("coin")),
    reads=("/api/v1/positions", "/api/v1/account-overview"),
    sizes=SIZES,
    credentials=_credentials,
)
UNIFIED = VenueCase(
    venue="kucoinfutures",
    dialect=KUCOINFUTURES,
    accounts=(_unified("mixed"), _unified("two"), _unified("coin")),
    crowd=_unified("many"),
    reads=("/api/ua/v1/unified/position/open-list", "/api/ua/v1/unified/account/overview"),
    sizes=SIZES,
    credentials=_credentials,
)
