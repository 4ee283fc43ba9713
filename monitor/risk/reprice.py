"""The same account at other prices: the one margin arithmetic of the house.

Everything is a difference from the venue's own figures: equity moves by the change in PnL, maintenance by the change
of the brackets' figure. At today's marks the venue's numbers stand as they were read.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from monitor.domain.account import AccountSnapshot, Instrument, MarginBalance, Position, PriceOrigin
from monitor.domain.market import Markets, Tiers
from monitor.risk.backing import NO_COINS, Backing, Coins
from monitor.risk.margin import maintenance_at


def tiers_of(markets: Markets, position: Position) -> Tiers | None:
    state = markets.get(position.instrument.symbol)
    return state.tiers.value if state is not None and state.tiers is not None else None


def change(position: Position, mark: float, tiers: Tiers | None) -> tuple[float, tuple[float, float] | None]:
    """(change of equity, maintenance before and after) in settle units when its mark goes to `mark`."""
    pnl = position.instrument.pnl(position.side, position.contracts, position.mark_price, mark)
    before = maintenance_at(position, position.contracts, position.mark_price, tiers)
    after = maintenance_at(position, position.contracts, mark, tiers)
    return pnl, None if before is None or after is None else (before, after)


def surplus(
    balance: MarginBalance,
    positions: Iterable[Position],
    instrument: Instrument,
    factor: float,
    markets: Markets,
    coins: Coins = NO_COINS,
) -> float | None:
    """Equity - maintenance margin of a pool with one instrument at `factor` times its mark; at 0 the venue liquidates.

    `positions` are the pool's. Of the `coins` behind it that of the instrument moves along; with any told, what inverse
    contracts gain and owe is of a coin whose price moves. None where a figure is unknown.
    """
    if balance.equity is None or balance.maintenance_margin is None:
        return None
    total, coin = balance.equity - balance.maintenance_margin, coins.get(instrument.base, Backing(0.0))
    for position in positions:
        if position.instrument != instrument:
            continue
        pnl, owed = change(position, position.mark_price * factor, tiers_of(markets, position))
        if owed is None:
            return None
        before, after = owed
        if coins and instrument.inverse:
            coin = coin.plus(position.side.sign * position.notional * position.pool_rate)
            pnl, after = 0.0, after * factor
        total += (pnl - (after - before)) * position.pool_rate
    return total + coin.change(factor)


def reprice(snapshot: AccountSnapshot, marks: Mapping[str, float], markets: Markets) -> AccountSnapshot:
    """The snapshot at other marks. Liquidation prices become unknown: they hold for the old marks only."""
    moved: dict[str, list[tuple[float, float | None]]] = {}
    positions = []
    for position in snapshot.positions:
        mark = marks.get(position.instrument.symbol, position.mark_price)
        pnl, owed = change(position, mark, tiers_of(markets, position))
        rate, maintenance = position.pool_rate, None if owed is None else owed[1] - owed[0]
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
