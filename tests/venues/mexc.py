"""MEXC's contract API: all contracts in one account, a cross pool per currency."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from monitor.domain.account import Instrument, MarginMode, Side
from monitor.exchange.source import AccountSource
from monitor.exchange.venues.figures import Figure
from monitor.exchange.venues.mexc import VENUE
from monitor.paper.book import Account, PositionTruth
from monitor.paper.contract import Contract
from monitor.paper.dialects.mexc import MEXC, margin_of, ratio_of
from monitor.paper.engine import Engine
from tests.reading import ShiftedClock
from tests.venues.books import Sizes
from tests.venues.kit import AccountCase, House, PoolTruth, VenueCase, a_house, book_of, per_currency

SIZES: Sizes = {("BTC", "USDT"): 0.0001, ("ETH", "USDT"): 0.01, ("*", "BTC"): 100.0, ("*", "ETH"): 10.0}
# Of cross positions it is estimated.
TOLD_OF_ISOLATED = frozenset({Figure.LIQUIDATION_PRICE})


def whole_rate(contract: Contract) -> Contract:
    """The rate of a tier holds for the whole position, not for the part that lies in it."""
    return replace(contract, brackets=tuple(bracket._replace(amount=0.0) for bracket in contract.brackets))


def _pools(engine: Engine, owner: Account) -> tuple[PoolTruth, ...]:
    positions = engine.positions(owner.name, with_liquidation_prices=False)
    bound: dict[str, float] = {}
    ratios: dict[str, float] = {}
    for truth in positions:
        contract = engine.market(truth.symbol).contract
        name = f"cross:{contract.settle}"
        if truth.margin_mode is MarginMode.ISOLATED:
            name = f"isolated:{contract.base}/{contract.quote}:{contract.settle}:{truth.side}"
            ratios[name] = ratio_of(truth, contract)
        bound[name] = bound.get(name, 0.0) + margin_of(truth, contract)
    return tuple(
        replace(pool, initial_margin=bound.get(pool.pool, 0.0), venue_margin_ratio=ratios.get(pool.pool))
        for pool in per_currency(engine, owner, tuple(owner.wallets))
    )


def _exact(truth: PositionTruth) -> frozenset[Figure]:
    return TOLD_OF_ISOLATED if truth.margin_mode is MarginMode.ISOLATED else frozenset()


def _account(name: str) -> AccountCase:
    return AccountCase(account=name, name=name, pools=_pools, exact=_exact, expected=_expected)


def _expected(truth: PositionTruth) -> Mapping[Figure, Any]:
    return {Figure.INITIAL: _bound(truth)}


def _bound(truth: PositionTruth) -> float:
    """Value at entry / leverage, which is also what an isolated position of the books was given."""
    if truth.isolated_wallet is not None:
        return truth.isolated_wallet
    at_mark = truth.initial_margin
    ratio = truth.entry_price / truth.mark_price
    return at_mark / ratio if truth.symbol.endswith("_PERP") else at_mark * ratio


MEXC_CASE = VenueCase(
    venue="mexc",
    dialect=MEXC,
    accounts=tuple(_account(name) for name in ("mixed", "hedged", "coin", "two")),
    reads=(
        "/api/v1/private/account/assets",
        "/api/v1/private/position/open_positions",
        "/api/v1/contract/fair_price",
    ),
    crowd=_account("many"),
    sizes=SIZES,
    terms=whole_rate,
)
MIXED = MEXC_CASE.accounts[0]


@dataclass(frozen=True)
class Opened:
    """The account `mixed`, open, and what stands around it."""

    house: House
    source: AccountSource
    engine: Engine
    clock: ShiftedClock

    @property
    def client(self) -> Any:
        return self.source._client

    async def instruments(self) -> Mapping[str, Instrument]:
        return await VENUE.read_instruments(self.client)

    def another(self, contracts: int, *sides: Side) -> AccountSource:
        """An account that holds those sides of the first so many contracts."""
        self.engine.add_account("other", api_key="other-key", secret="other-secret", hedge_mode=True)
        self.engine.deposit("other", "USDT", 1e6)
        for contract in self.engine.contracts[:contracts]:
            for side in sides:
                self.engine.open("other", contract.symbol, side, 10, 100, 10)
        credentials = {"apiKey": "other-key", "secret": "other-secret"}
        return self.house.open(MIXED, name="other", credentials=credentials)


@asynccontextmanager
async def mixed(**profile: Any) -> AsyncIterator[Opened]:
    clock = ShiftedClock()
    engine = book_of(MEXC_CASE, clock.now())
    async with a_house(MEXC_CASE, clock, engine) as house:
        house.server.set_profile("mixed", **profile)
        yield Opened(house, house.open(MIXED), engine, clock)
