"""Hyperliquid: standard accounts, whose dexes are pools apart, unified ones and portfolio margin."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from monitor.domain.account import FailureKind
from monitor.exchange.venues.figures import Figure, Told, VerifiedBy, estimated, exact
from monitor.paper.book import Account, PositionTruth
from monitor.paper.contract import Contract, brackets_of
from monitor.paper.dialects.hyperliquid import HYPERLIQUID, LEAST_OWED, address_of
from monitor.paper.dialects.hyperliquid_market import TOKENS
from monitor.paper.engine import Engine
from monitor.paper.faults import FaultKind
from tests.venues.kit import AccountCase, PoolTruth, VenueCase, all_together, per_currency

# Half of the initial margin at 40, 25 and 20 times.
STEPS = brackets_of(
    [(0, 50_000, 0.0125, 40, 0), (50_000, 600_000, 0.02, 25, 375), (600_000, 1e9, 0.025, 20, 3_375)]
)  # fmt: skip
LIQUIDATED_ABOVE = 0.95
UNTOLD = frozenset({Figure.POOL_MAINTENANCE, Figure.POOL_INITIAL})


def terms(contract: Contract) -> Contract:
    """Funding is paid every hour, and brackets go by leverage."""
    return replace(contract, brackets=STEPS, funding_interval=timedelta(hours=1))


def _linear(symbol: str) -> bool:
    return not symbol.endswith("_PERP")


def unified(engine: Engine, owner: Account) -> tuple[PoolTruth, ...]:
    """What an isolated position needs is not told."""
    return tuple(
        replace(pool, pool=_named_by_ccxt(pool.pool), estimated=UNTOLD) if pool.pool.startswith("isolated:") else pool
        for pool in per_currency(engine, owner, tuple(TOKENS))
    )


def _named_by_ccxt(name: str) -> str:
    """The contracts in USDT are those of a dex, whose name is in the symbol."""
    kind, _, symbol = name.partition(":")
    return f"{kind}:CASH-{symbol}" if "/USDT" in symbol else name


def _standard(engine: Engine, owner: Account) -> tuple[PoolTruth, ...]:
    """Each dex is a pool of its own."""
    names = {"cross:USDT": "cross:cash:USDT"}
    return tuple(replace(pool, pool=names.get(pool.pool, pool.pool)) for pool in unified(engine, owner))


def _portfolio(engine: Engine, owner: Account) -> tuple[PoolTruth, ...]:
    """What the ratio says: equity is that at which the maintenance told liquidates."""
    whole = all_together(engine, owner, dict.fromkeys(TOKENS, 1.0))
    owed = LEAST_OWED + whole.maintenance_margin
    ratio = owed / whole.equity / LIQUIDATED_ABOVE
    pool = replace(
        whole, equity=whole.equity * LIQUIDATED_ABOVE, maintenance_margin=owed, available=None, venue_margin_ratio=ratio
    )
    return (pool,)


def _exact(truth: PositionTruth) -> frozenset[Figure]:
    return frozenset({Figure.INITIAL}) if truth.isolated_wallet is None else frozenset()


PORTFOLIO_FIGURES: Mapping[Figure, Told] = {
    Figure.EQUITY: estimated("of the ratio"),
    Figure.POOL_MAINTENANCE: estimated("by the documents' formula"),
    Figure.VENUE_RATIO: exact("portfolioMarginRatio", VerifiedBy.RECORDED),
}

STANDARD = tuple(
    AccountCase(account=name, name=f"standard-{name}", pools=_standard, shows=_linear, exact=_exact)
    for name in ("two", "mixed")
)
UNIFIED = tuple(
    AccountCase(
        account=name,
        name=f"unified-{name}",
        pools=unified,
        shows=_linear,
        exact=_exact,
        profile={"abstraction": "unifiedAccount"},
    )
    for name in ("two", "mixed")
)
PORTFOLIO = AccountCase(
    account="two",
    name="portfolio-two",
    pools=_portfolio,
    shows=_linear,
    exact=_exact,
    profile={"abstraction": "portfolioMargin"},
    figures=PORTFOLIO_FIGURES,
)

HYPERLIQUID_CASE = VenueCase(
    venue="hyperliquid",
    dialect=HYPERLIQUID,
    accounts=(*STANDARD, *UNIFIED, PORTFOLIO),
    reads=("clearinghouseState", "clearinghouseState cash", "spotClearinghouseState"),
    terms=terms,
    credentials=lambda account: {"walletAddress": address_of(account)},
    # Nothing is asked with a key: an address that is none is a body that cannot be read.
    kinds={("*", FaultKind.BAD_KEY): FailureKind.MALFORMED},
)
