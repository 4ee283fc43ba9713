"""What a venue does not tell and can be worked out: maintenance by its brackets, liquidation prices by our own solve.

Every such figure is named in `estimates`; what cannot be worked out stays unknown. What the venue told stands.
"""

from collections.abc import Sequence
from dataclasses import replace

from monitor.domain.account import AccountSnapshot, Estimate, MarginBalance, Position, PriceOrigin
from monitor.domain.market import Markets
from monitor.risk.backing import backing_of
from monitor.risk.liquidation import liquidation_prices, solved_price
from monitor.risk.margin import maintenance
from monitor.risk.reprice import tiers_of
from monitor.risk.worth import stands_still

BY_BRACKETS = Estimate("maintenance_margin", "brackets x notional at the mark")
BY_POSITIONS = Estimate("maintenance_margin", "sum of its positions")
BY_POSITIONS_ESTIMATED = Estimate("maintenance_margin", "sum of its positions by brackets x notional at the mark")
BY_SOLVE = Estimate("liquidation_price", "the mark at which the pool's equity meets its maintenance")
BY_SOLVE_OF_COINS = Estimate(
    "liquidation_price", "the mark at which the pool's equity meets its maintenance, its coins worth what they are now"
)
BY_SOLVE_WITH_COIN = Estimate(
    "liquidation_price", "the mark at which the pool's equity meets its maintenance, what it holds of the coin included"
)


def completed(snapshot: AccountSnapshot, markets: Markets) -> AccountSnapshot:
    """The snapshot with our own estimates in place of what is unknown, as far as they can be made."""
    positions = tuple(_with_maintenance(position, markets) for position in snapshot.positions)
    margins = tuple(_with_sum(balance, positions) for balance in snapshot.margins)
    if positions == snapshot.positions and margins == snapshot.margins and not _lacks_a_price(positions):
        return snapshot
    known = replace(snapshot, positions=positions, margins=margins)
    return replace(known, positions=tuple(_with_price(known, position, markets) for position in positions))


def _lacks_a_price(positions: Sequence[Position]) -> bool:
    return any(position.liquidation_price_origin is PriceOrigin.UNKNOWN for position in positions)


def _with_maintenance(position: Position, markets: Markets) -> Position:
    tiers = tiers_of(markets, position)
    if position.maintenance_margin is not None or not tiers:
        return position
    owed = maintenance(tiers, position.notional)
    return replace(position, maintenance_margin=owed, estimates=(*position.estimates, BY_BRACKETS))


def _with_sum(balance: MarginBalance, positions: Sequence[Position]) -> MarginBalance:
    if balance.maintenance_margin is not None:
        return balance
    own = [position for position in positions if position.pool == balance.pool]
    known = [p.maintenance_margin * p.pool_rate for p in own if p.maintenance_margin is not None]
    if len(known) < len(own):
        return balance
    by_brackets = any(BY_BRACKETS in position.estimates for position in own)
    basis = BY_POSITIONS_ESTIMATED if by_brackets else BY_POSITIONS
    return replace(balance, maintenance_margin=sum(known), estimates=(*balance.estimates, basis))


def _with_price(snapshot: AccountSnapshot, position: Position, markets: Markets) -> Position:
    if position.liquidation_price_origin is not PriceOrigin.UNKNOWN:
        return position
    price, origin = solved_price(liquidation_prices(snapshot, position, markets), position.mark_price)
    if origin is PriceOrigin.UNKNOWN:
        return position
    estimates = (*position.estimates, _basis(snapshot, position))
    return replace(position, liquidation_price=price, liquidation_price_origin=origin, estimates=estimates)


def _basis(snapshot: AccountSnapshot, position: Position) -> Estimate:
    balance = snapshot.margin(position.pool)
    assert balance is not None, "it was solved for"
    coins = backing_of(snapshot, balance)
    if coins is not None and position.instrument.base in coins:
        return BY_SOLVE_WITH_COIN
    return BY_SOLVE if coins is not None and all(map(stands_still, coins)) else BY_SOLVE_OF_COINS
