"""What brings an account back: collateral to add, or size to cut, each proven by repricing the account with it applied.

Fees and slippage of a cut are not counted: equity stays as it is at the mark.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from monitor.domain.account import AccountSnapshot, Collateral, MarginBalance, Position
from monitor.domain.market import Markets
from monitor.risk.liquidation import coins_moved
from monitor.risk.margin import maintenance_at
from monitor.risk.reprice import surplus, tiers_of
from monitor.risk.worth import DOLLAR

# A remedy overshoots its target by this share, so that rounding cannot leave it just short.
OVERSHOOT = 1e-6
# A share is found to a thousandth of itself, or to a millionth of the position.
_FINE, _FINEST = 1e-3, 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """Either of the two suffices. `add_collateral` in the pool's currency; `cut_share` of the position(s), 0..1."""

    add_collateral: float | None
    cut_share: float | None


def with_collateral(snapshot: AccountSnapshot, pool: str, amount: float) -> AccountSnapshot:
    """The account after `amount` of the pool's currency was added to the pool; dollars to one of several coins."""
    margins = tuple(
        replace(m, equity=m.equity + amount) if m.pool == pool and m.equity is not None else m for m in snapshot.margins
    )
    balance, added = snapshot.margin(pool), Collateral(coin=DOLLAR, price=1.0, amount=amount)
    is_of_coins = snapshot.collateral and balance is not None and balance.currency == DOLLAR
    return replace(snapshot, margins=margins, collateral=(*snapshot.collateral, *([added] if is_of_coins else ())))


def with_cut(snapshot: AccountSnapshot, shares: Mapping[str, float], markets: Markets) -> AccountSnapshot:
    """The account after the positions named (by subject) were reduced by those shares (0..1) at the mark."""
    positions: list[Position] = []
    saved: dict[str, float] = {}
    for position in snapshot.positions:
        share = shares.get(position.subject, 0.0)
        if not share:
            positions.append(position)
            continue
        left = _maintenance_left(position, share, markets)
        saved[position.pool] = saved.get(position.pool, 0.0) + _saved(position, left)
        if share < 1:
            positions.append(_reduced(position, share, left))
    margins = tuple(
        replace(m, maintenance_margin=m.maintenance_margin - saved.get(m.pool, 0.0))
        if m.maintenance_margin is not None
        else m
        for m in snapshot.margins
    )
    return replace(snapshot, positions=tuple(positions), margins=margins)


def remedy_for_margin_ratio(
    snapshot: AccountSnapshot, balance: MarginBalance, target: float, markets: Markets
) -> Remedy:
    """Bring maintenance / equity of a pool down to `target`; the cut is the same share of every position in it."""
    equity, maintenance = balance.equity, balance.maintenance_margin
    if equity is None or maintenance is None:
        return Remedy(add_collateral=None, cut_share=None)
    allowed = target * (1 - OVERSHOOT) * equity
    positions = snapshot.positions_in(balance.pool)

    def enough(share: float) -> bool:
        saved = sum(_saved(position, _maintenance_left(position, share, markets)) for position in positions)
        return equity > 0 and maintenance - saved <= allowed

    return Remedy(
        add_collateral=max(0.0, maintenance / (target * (1 - OVERSHOOT)) - equity),
        cut_share=smallest_share(enough),
    )


def remedy_for_distance(
    snapshot: AccountSnapshot, position: Position, liquidation_price: float, target: float, markets: Markets
) -> Remedy:
    """Move the liquidation price to `target` (a share of the mark) from the mark, on the side where it lies now.

    Anchored at `liquidation_price`, the venue's own where it gives one: what is added is the difference between the
    pool's surplus there and at the price wanted, so that our brackets only ever bridge the gap between the two.
    """
    balance = snapshot.margin(position.pool)
    mark = position.mark_price
    direction = 1 if liquidation_price > mark else -1
    wanted = mark * (1 + direction * target * (1 + OVERSHOOT))
    if balance is None or wanted <= 0:
        return Remedy(add_collateral=None, cut_share=None)
    coins = coins_moved(snapshot, balance, position)

    def left_at(price: float, after: AccountSnapshot) -> float | None:
        pool = after.margin(position.pool)
        assert pool is not None, "no remedy takes a pool away"
        return surplus(pool, after.positions_in(position.pool), position.instrument, price / mark, markets, coins)

    anchor, there = left_at(liquidation_price, snapshot), left_at(wanted, snapshot)
    if anchor is None or there is None:
        return Remedy(add_collateral=None, cut_share=None)

    def enough(share: float) -> bool:
        left = left_at(wanted, with_cut(snapshot, {position.subject: share}, markets))
        assert left is not None, "it was known for the whole position"
        return left >= anchor

    return Remedy(add_collateral=max(0.0, anchor - there), cut_share=smallest_share(enough))


def _reduced(position: Position, share: float, maintenance_left: float | None) -> Position:
    """Less of the same position."""
    left = 1 - share
    return replace(
        position,
        contracts=position.contracts * left,
        size=position.size * left,
        notional=position.notional * left,
        maintenance_margin=maintenance_left,
        initial_margin=None if position.initial_margin is None else position.initial_margin * left,
        unrealized_pnl=None if position.unrealized_pnl is None else position.unrealized_pnl * left,
    )


def _maintenance_left(position: Position, share: float, markets: Markets) -> float | None:
    """The venue's own figure, scaled as the brackets scale; None where it is unknown."""
    tiers = tiers_of(markets, position)
    before = maintenance_at(position, position.contracts, position.mark_price, tiers)
    after = maintenance_at(position, position.contracts * (1 - share), position.mark_price, tiers)
    if position.maintenance_margin is None or not before or after is None:
        return None
    return position.maintenance_margin * after / before


def _saved(position: Position, maintenance_left: float | None) -> float:
    """How much maintenance margin a cut frees that leaves so much, in the pool's currency."""
    if position.maintenance_margin is None:
        return 0.0
    return (position.maintenance_margin - (maintenance_left or 0.0)) * position.pool_rate


def smallest_share(enough: Callable[[float], bool]) -> float | None:
    """The smallest share in (0, 1] that is enough, None where even closing everything is not."""
    if not enough(1.0):
        return None
    low, high = 0.0, 1.0
    while high - low > max(_FINE * high, _FINEST):
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
