"""What an account holds at Binance, as both of its futures exchanges tell it: rows of positions, and pools.

Figures are the venue's own; the raw replies are parsed, not ccxt's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from monitor.domain.account import (
    Collateral,
    FailureKind,
    Instrument,
    MarginBalance,
    MarginMode,
    Position,
    PriceOrigin,
    Side,
)
from monitor.exchange.failures import ReadError
from monitor.exchange.values import (
    Row,
    is_absurd,
    malformed,
    mapping,
    not_negative,
    number,
    optional_number,
    optional_positive,
    positive,
    rows,
    text,
)
from monitor.exchange.venues.contracts import check_notional

# Two calls sent together tell the same position's profit; further apart than this share of its notional, one is stale.
MAX_PROFIT_GAP = 0.02
# The assets' own maintenance may exceed that of the positions listed by this share, not more.
MAX_MAINTENANCE_GAP = 0.1
# Binance rounds to eight decimals, each position for itself.
ROUNDING = 1e-7

# A position with its row of the account reply, which tells the margins it binds.
Leg = tuple[Position, Row]


def side_of(row: Row) -> Side:
    """The sign of the amount, which in hedge mode must be that of the side named."""
    named, amount = text(row, "positionSide"), number(row, "positionAmt")
    if named not in ("BOTH", "LONG", "SHORT"):
        raise malformed(f"positionSide: {named!r:.40} is not a side")
    side = Side.LONG if amount > 0 else Side.SHORT
    if named not in ("BOTH", side.upper()):
        raise malformed(f"positionSide: {named} with an amount of {amount:g}")
    return side


def held(reply: Sequence[Row]) -> dict[tuple[str, Side], Row]:
    """The rows with a position, by raw symbol and side. Raises ReadError where a list holds one of them twice."""
    found: dict[tuple[str, Side], Row] = {}
    for row in reply:
        if number(row, "positionAmt") == 0:
            continue
        key = (text(row, "symbol"), side_of(row))
        if key in found:
            raise malformed(f"{' '.join(key)} is listed twice")
        found[key] = row
    return found


def matched(
    by_account: Mapping[tuple[str, Side], Row], by_risk: Mapping[tuple[str, Side], Row]
) -> list[tuple[tuple[str, Side], Row, Row]]:
    """(key, account row, risk row) of every position. Both replies must hold the same amounts of the same positions:
    they are two calls, between which a position may change; and one of them may be broken."""
    amounts = [{key: number(row, "positionAmt") for key, row in side.items()} for side in (by_account, by_risk)]
    if amounts[0] != amounts[1]:
        differing = sorted(" ".join(key) for key in amounts[0].keys() ^ amounts[1].keys())
        what = ", ".join(differing) if differing else "amounts"
        raise ReadError(FailureKind.IMPLAUSIBLE, f"the account and its position list disagree on {what:.200}")
    return [(key, row, by_risk[key]) for key, row in by_account.items()]


def liquidation_price(row: Row, mark_price: float) -> tuple[float | None, PriceOrigin]:
    """0, less, or absurdly far from the mark mean that no price liquidates this position; untold is unknown."""
    price = optional_number(row, "liquidationPrice")
    if price is None:
        return None, PriceOrigin.UNKNOWN
    if is_absurd(price, mark_price):
        return None, PriceOrigin.NONE
    return price, PriceOrigin.VENUE


def check_same_moment(legs: Sequence[Leg]) -> None:
    """Raises ReadError (implausible) where one of the two replies is older than the other by a move of the mark."""
    for position, row in legs:
        gap = abs(number(row, "unrealizedProfit") - (position.unrealized_pnl or 0.0))
        if gap > MAX_PROFIT_GAP * position.notional + 1e-6:
            raise ReadError(
                FailureKind.IMPLAUSIBLE,
                f"{position.subject}: the account tells a profit of {number(row, 'unrealizedProfit'):g}, "
                f"its position list {position.unrealized_pnl:g}: one of them is stale",
            )


def bare_position(side: Side, row: Row, instrument: Instrument, notional_key: str) -> Position:
    """What every positionRisk tells alike; the pool, and what stands elsewhere in each mode, is its caller's."""
    mark_price, contracts = positive(row, "markPrice"), abs(number(row, "positionAmt"))
    price, origin = liquidation_price(row, mark_price)
    return Position(
        instrument=instrument,
        side=side,
        pool=f"cross:{instrument.settle}",
        contracts=contracts,
        size=instrument.size(contracts, mark_price),
        notional=check_notional(instrument, contracts, mark_price, abs(number(row, notional_key))),
        mark_price=mark_price,
        entry_price=optional_positive(row, "entryPrice"),
        liquidation_price=price,
        liquidation_price_origin=origin,
        margin_mode=MarginMode.CROSS,
        unrealized_pnl=number(row, "unRealizedProfit"),
    )


def isolated(position: Position) -> Position:
    """The same in a pool of its own."""
    pool = position.instrument.isolated_pool(position.side)
    return replace(position, pool=pool, margin_mode=MarginMode.ISOLATED)


def adl_rank(row: Row, key: str = "adl") -> int | None:
    """Binance ranks from 0 to 4."""
    rank = optional_number(row, key)
    return int(rank) + 1 if rank is not None and rank in range(5) else None


def adl_ranks(reply: object) -> Mapping[str, Row]:
    """adlQuantile: by raw symbol and positionSide. HEDGE, told in the place of BOTH, is a sign and no rank."""
    return {text(row, "symbol"): mapping(row.get("adlQuantile"), "adlQuantile") for row in rows(reply, "adlQuantile")}


def rank_in(ranks: Mapping[str, Row], own: Row) -> int | None:
    return adl_rank(ranks.get(text(own, "symbol"), {}), text(own, "positionSide"))


# --- pools ---


def pools(
    assets: Sequence[Row], legs: Sequence[Leg], isolated_equities: Sequence[float | None]
) -> tuple[MarginBalance, ...]:
    """A cross pool per margin asset with anything in it, and a pool per isolated position.

    `isolated_equities` go with `legs`; None for a cross position. All figures are of one reply.
    """
    names = [text(asset, "asset") for asset in assets]
    if len(set(names)) < len(names):
        raise malformed("a margin asset is listed twice")
    cross = [pool for asset in assets if (pool := _cross_pool(asset, legs)) is not None]
    missing = {p.pool for p, _ in legs if p.margin_mode is MarginMode.CROSS} - {pool.pool for pool in cross}
    if missing:
        raise malformed(f"positions without a margin balance: {', '.join(sorted(missing))}")
    isolated = [
        MarginBalance(
            pool=position.pool,
            currency=position.instrument.settle,
            equity=equity,
            maintenance_margin=not_negative(row, "maintMargin"),
            initial_margin=not_negative(row, "initialMargin"),
        )
        for (position, row), equity in zip(legs, isolated_equities, strict=True)
        if equity is not None
    ]
    return (*cross, *isolated)


def _cross_pool(asset: Row, legs: Sequence[Leg]) -> MarginBalance | None:
    currency = text(asset, "asset")
    own = [row for position, row in legs if position.pool == f"cross:{currency}"]
    wallet, gain = number(asset, "crossWalletBalance"), number(asset, "crossUnPnl")
    if not own and wallet == 0 and gain == 0:
        return None
    return MarginBalance(
        pool=f"cross:{currency}",
        currency=currency,
        equity=wallet + gain,
        available=number(asset, "availableBalance"),
        initial_margin=sum(not_negative(row, "initialMargin") for row in own),
        maintenance_margin=sum(not_negative(row, "maintMargin") for row in own),
    )


def margin_in_use(assets: Sequence[Row], legs: Sequence[Leg]) -> float:
    """Sum of the assets' own maintenance margins, in any currency: 0 exactly where nothing is held.

    Raises ReadError (implausible) where an asset owes more than the positions listed explain: a list is short.
    """
    listed: dict[str, float] = {}
    for position, row in legs:
        settle = position.instrument.settle
        listed[settle] = listed.get(settle, 0.0) + not_negative(row, "maintMargin")
    owed = {text(asset, "asset"): not_negative(asset, "maintMargin") for asset in assets}
    short = [
        currency
        for currency, amount in owed.items()
        if amount > listed.get(currency, 0.0) * (1 + MAX_MAINTENANCE_GAP) + ROUNDING
    ]
    if short:
        raise ReadError(
            FailureKind.IMPLAUSIBLE,
            f"more maintenance margin is owed in {', '.join(short)} than the positions listed owe",
        )
    return sum(owed.values())


# --- one pool over several assets ---

DOLLARS = "cross:USD"


def asset_index(reply: object) -> Mapping[str, Row]:
    """fapi's assetIndex by asset: what one unit of it is worth in dollars, and what it counts as margin and as debt."""
    listed = rows(reply, "assetIndex")
    return {raw.removesuffix("USD"): row for row in listed if (raw := text(row, "symbol")).endswith("USD")}


def dollars_a_unit(index: Mapping[str, Row], asset: str, key: str) -> float:
    if asset not in index:
        raise malformed(f"assetIndex does not tell what {asset:.20} counts")
    return positive(index[asset], key)


def collateral_at_index(index: Mapping[str, Row], amounts: Mapping[str, float | None]) -> tuple[Collateral, ...]:
    """Coins at the index; `bidBuffer` is what of it does not count. Those of which none is told are left out."""
    told = ((coin, amount, index[coin]) for coin, amount in amounts.items() if coin in index)
    return tuple(
        Collateral(coin=coin, amount=amount, price=price, haircut=optional_number(row, "bidBuffer"))
        for coin, amount, row in told
        if (price := optional_positive(row, "index")) is not None
    )


def check_owed(owed: float, legs: Sequence[Leg]) -> None:
    """Raises ReadError (implausible) where the account owes nothing for the positions that it holds."""
    if owed == 0 and any(position.maintenance_margin for position, _ in legs):
        raise ReadError(FailureKind.IMPLAUSIBLE, "positions owe maintenance margin, yet the account owes none")
