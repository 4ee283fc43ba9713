"""The same account at other prices: the one margin arithmetic of the house.

Everything is a difference from the venue's own figures: equity moves by the change in PnL, maintenance by the change
of the brackets' figure. At today's marks the venue's numbers stand as they were read.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from monitor.domain.account import AccountSnapshot, MarginBalance, Position, PriceOrigin
from monitor.domain.market import Markets, Tiers
from monitor.risk.margin import maintenance_at


def tiers_of(markets: Markets, position: Position) -> Tiers | None:
    state = markets.get(position.instrument.symbol)
    return state.tiers.value if state is not None and state.tiers is not None else None


def change(position: Position, mark: float, tiers: Tiers | None, share: float = 1.0) -> tuple[float, float | None]:
    """(change of equity, change of maintenance) in settle units when the mark of that share of it goes to `mark`."""
    contracts = position.contracts * share
    pnl = position.instrument.pnl(position.side, contracts, position.mark_price, mark)
    before = maintenance_at(position, contracts, position.mark_price, tiers)
    after = maintenance_at(position, contracts, mark, tiers)
    return pnl, None if before is None or after is None else after - before


def surplus(
    balance: MarginBalance, positions: Iterable[Position], marks: Mapping[str, float], markets: Markets
) -> float | None:
    """Equity - maintenance margin of a pool at other marks (by symbol); the venue liquidates where it reaches 0.

    `positions` are the pool's; those whose symbol is not in `marks` stay as they are. None where a figure is unknown.
    """
    if balance.equity is None or balance.maintenance_margin is None:
        return None
    total = balance.equity - balance.maintenance_margin
    for position in positions:
        mark = marks.get(position.instrument.symbol)
        if mark is None:
            continue
        pnl, maintenance = change(position, mark, tiers_of(markets, position))
        if maintenance is None:
            return None
        total += (pnl - maintenance) * position.pool_rate
    return total


def reprice(snapshot: AccountSnapshot, marks: Mapping[str, float], markets: Markets) -> AccountSnapshot:
    """The snapshot at other marks. Liquidation prices become unknown: they hold for the old marks only."""
    moved: dict[str, list[tuple[float, float | None]]] = {}
    positions = []
    for position in snapshot.positions:
        mark = marks.get(position.instrument.symbol, position.mark_price)
        pnl, maintenance = change(position, mark, tiers_of(markets, position))
        rate = position.pool_rate
        in_pool = pnl * rate, None if maintenance is None else maintenance * rate
        moved.setdefault(position.pool, []).append(in_pool)
        positions.append(_moved(position, mark, pnl, maintenance))
    margins = tuple(_balance_after(balance, moved.get(balance.pool, [])) for balance in snapshot.margins)
    return replace(snapshot, positions=tuple(positions), margins=margins)


def _moved(position: Position, mark: float, pnl: float, maintenance: float | None) -> Position:
    return replace(
        position,
        mark_price=mark,
        notional=position.instrument.notional(position.contracts, mark),
        unrealized_pnl=_sum(position.unrealized_pnl, pnl),
        maintenance_margin=_sum(position.maintenance_margin, maintenance),
        liquidation_price=None,
        liquidation_price_origin=PriceOrigin.UNKNOWN,
    )


def _balance_after(balance: MarginBalance, changes: list[tuple[float, float | None]]) -> MarginBalance:
    equity, maintenance = balance.equity, balance.maintenance_margin
    for pnl, maintenance_change in changes:
        equity, maintenance = _sum(equity, pnl), _sum(maintenance, maintenance_change)
    return replace(
        balance,
        equity=equity,
        maintenance_margin=maintenance,
        available=balance.available if not changes else None,
        venue_margin_ratio=balance.venue_margin_ratio if not changes else None,
    )


def _sum(left: float | None, right: float | None) -> float | None:
    return None if left is None or right is None else left + right
