"""What an account holds at Bybit: rows of /v5/position/list and the account's own row of /v5/account/wallet-balance.

`size` is in base units (linear) or US dollars (inverse). `positionValue` is valued at entry (a recorded reply), so the
notional is made of size and mark. `positionMM` and `positionIM` are of the mark and hold the fee to close.
`unrealisedPnl` of USDC contracts counts from their last settlement. Portfolio margin tells neither margins, leverage
nor liquidation price of a position ("" in the venue's documents).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from monitor.domain.account import (
    Collateral,
    Estimate,
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
    not_negative,
    number,
    optional_number,
    optional_positive,
    positive,
    rows,
    text,
)
from monitor.exchange.venues.coins import Rates, collateral_of, rate_of
from monitor.exchange.venues.contracts import instrument_of
from monitor.exchange.venues.venue import Instruments

UNIFIED_POOL = "cross:USD"
SIDES = {"Buy": Side.LONG, "Sell": Side.SHORT}
# The side that a row of hedge mode is for, by positionIdx; 0 is one-way mode.
SIDES_OF_HEDGE = {1: Side.LONG, 2: Side.SHORT}
# A coin's own sum of maintenance may exceed that of the positions listed by this share, not more: its list is short.
MAX_MAINTENANCE_GAP = 0.1
ROUNDING = 1e-6
# The venue's value at entry, or of the last settlement; further from ours than this factor, the size is in other units.
VALUE_SLACK = 2.0
BY_LIQUIDATION_PRICE = Estimate(
    "equity", "maintenance at the venue's liquidation price, and the profit from there to the mark"
)


def account_row(reply: Row) -> Row:
    """The unified account's row of the wallet balance."""
    listed = rows(reply.get("list"), "wallet-balance.list")
    found = [row for row in listed if row.get("accountType") == "UNIFIED"]
    if len(found) != 1:
        raise malformed("wallet-balance tells of no unified account")
    return found[0]


def coins_of(account: Row) -> dict[str, Row]:
    """By name. Raises ReadError where a coin is listed twice."""
    listed = rows(account.get("coin"), "wallet-balance.coin")
    coins = {text(coin, "coin"): coin for coin in listed}
    if len(coins) < len(listed):
        raise malformed("a coin is listed twice")
    return coins


def held(listed: Sequence[Row]) -> list[Row]:
    """The rows with a position. Raises ReadError where one is listed twice."""
    found = [row for row in listed if not_negative(row, "size") > 0]
    names = {(text(row, "symbol"), side_of(row)) for row in found}
    if len(names) < len(found):
        raise malformed("a position is listed twice")
    return found


def side_of(row: Row) -> Side:
    side, index = SIDES.get(text(row, "side")), number(row, "positionIdx")
    if side is None or index not in (0, 1, 2) or SIDES_OF_HEDGE.get(int(index), side) is not side:
        raise malformed(f"side: {row.get('side')!s:.20} with a positionIdx of {index:g}")
    return side


def position(row: Row, instruments: Instruments, *, isolated: bool, portfolio: bool, rates: Rates) -> Position:
    instrument = instrument_of(row, instruments)
    side, contracts, mark_price = side_of(row), positive(row, "size"), positive(row, "markPrice")
    price, origin = _liquidation_price(row, mark_price, portfolio=portfolio)
    _check_value(row, instrument, contracts)
    return Position(
        instrument=instrument,
        side=side,
        pool=instrument.isolated_pool(side) if isolated else UNIFIED_POOL,
        contracts=contracts,
        size=instrument.size(contracts, mark_price),
        notional=instrument.notional(contracts, mark_price),
        mark_price=mark_price,
        entry_price=optional_positive(row, "avgPrice"),
        liquidation_price=price,
        liquidation_price_origin=origin,
        leverage=optional_positive(row, "leverage"),
        margin_mode=MarginMode.ISOLATED if isolated else MarginMode.CROSS,
        initial_margin=None if portfolio else not_negative(row, "positionIM"),
        maintenance_margin=None if portfolio else not_negative(row, "positionMM"),
        unrealized_pnl=optional_number(row, "unrealisedPnl"),
        adl_rank=_adl_rank(row),
        pool_rate=1.0 if isolated else rate_of(instrument.settle, instrument, mark_price, rates),
    )


def collateral(coins: Mapping[str, Row]) -> tuple[Collateral, ...]:
    """Nothing counts of a coin whose switch is off; one that can be none is worth 0 here, and left out."""
    told = collateral_of(coins, value="usdValue", equity="equity")
    return tuple(replace(c, haircut=1.0) if coins[c.coin].get("collateralSwitch") is False else c for c in told)


def _liquidation_price(row: Row, mark_price: float, *, portfolio: bool) -> tuple[float | None, PriceOrigin]:
    """Empty says that it lies beyond the prices the contract can have; under portfolio margin, that none is told."""
    if row.get("liqPrice") is None:
        return None, PriceOrigin.UNKNOWN
    price = optional_number(row, "liqPrice")
    if price is None and portfolio:
        return None, PriceOrigin.UNKNOWN
    if price is None or is_absurd(price, mark_price):
        return None, PriceOrigin.NONE
    return price, PriceOrigin.VENUE


def _check_value(row: Row, instrument: Instrument, contracts: float) -> None:
    value, entry = optional_positive(row, "positionValue"), optional_positive(row, "avgPrice")
    if value is None or entry is None:
        return
    ours = instrument.notional(contracts, entry)
    if not ours / VALUE_SLACK <= value <= ours * VALUE_SLACK:
        raise ReadError(
            FailureKind.IMPLAUSIBLE,
            f"{instrument.symbol}: {contracts:g} contracts at {entry:g} are {ours:g}, the venue says {value:g}",
        )


def _adl_rank(row: Row) -> int | None:
    """1 to 5, and 5 goes first; 0 is that of an empty position."""
    rank = optional_number(row, "adlRankIndicator")
    return int(rank) if rank is not None and rank in range(1, 6) else None


# --- pools ---


def unified_pool(account: Row) -> MarginBalance:
    """One pool in US dollars; `accountMMRate` is maintenance / margin balance, and liquidates at 1."""
    return MarginBalance(
        pool=UNIFIED_POOL,
        currency="USD",
        equity=number(account, "totalMarginBalance"),
        maintenance_margin=not_negative(account, "totalMaintenanceMargin"),
        initial_margin=not_negative(account, "totalInitialMargin"),
        available=number(account, "totalAvailableBalance"),
        venue_margin_ratio=optional_number(account, "accountMMRate"),
    )


def isolated_pool(alone: Position) -> MarginBalance:
    """Bybit tells no margin of an isolated position but the required, and the price that liquidates it: there its
    equity is its maintenance. Between there and the mark the rate of maintenance is taken as it is."""
    equity = None
    if alone.liquidation_price is not None and alone.maintenance_margin is not None:
        instrument, contracts = alone.instrument, alone.contracts
        there = instrument.notional(contracts, alone.liquidation_price) / alone.notional
        gain = instrument.pnl(alone.side, contracts, alone.liquidation_price, alone.mark_price)
        equity = alone.maintenance_margin * there + gain
    return MarginBalance(
        pool=alone.pool,
        currency=alone.instrument.settle,
        equity=equity,
        maintenance_margin=alone.maintenance_margin,
        initial_margin=alone.initial_margin,
        estimates=() if equity is None else (BY_LIQUIDATION_PRICE,),
    )


def margin_in_use(coins: Mapping[str, Row], positions: Sequence[Position], *, options_held: bool) -> float:
    """Sum of the coins' own maintenance of positions, in any currency: 0 exactly where nothing is held.

    Raises ReadError (implausible) where a coin owes more than the positions listed explain; options owe as well, and
    are not listed.
    """
    owed = {name: optional_number(coin, "totalPositionMM") or 0.0 for name, coin in coins.items()}
    if not options_held:
        short = [name for name, amount in owed.items() if amount > _listed(name, positions)]
        if short:
            raise ReadError(
                FailureKind.IMPLAUSIBLE,
                f"more maintenance margin is owed in {', '.join(short)} than the positions listed owe",
            )
    return sum(owed.values())


def _listed(coin: str, positions: Sequence[Position]) -> float:
    """What the positions in a coin may owe at most; without limit where the venue tells no maintenance of them."""
    owed = [p.maintenance_margin for p in positions if p.instrument.settle == coin]
    known = [amount for amount in owed if amount is not None]
    if len(known) < len(owed):
        return float("inf")
    return sum(known) * (1 + MAX_MAINTENANCE_GAP) + ROUNDING
