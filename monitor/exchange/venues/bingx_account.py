"""What an account holds at BingX, and how exactly each figure is told.

Money stands per asset: equity = balance + unrealised profit. The cross pool of an asset is its equity less what is
frozen for orders, less the margin of its isolated positions. Each isolated position is a pool of its own: `margin`,
which is its initial margin, what was added, and its profit (by arithmetic on recorded rows: 1.3922 - 1.0393 = 0.3528).

BingX liquidates where margin, and across also what is free, is no more than maintenance and the fee of closing, cross
positions one by one. `riskRate` is that as a ratio, 1.0 liquidates: a cross pool's is the highest of its positions'.
"""

from collections.abc import Mapping, Sequence

from monitor.domain.account import FailureKind, MarginBalance, MarginMode, Position, Side
from monitor.exchange.failures import ReadError
from monitor.exchange.values import (
    Row,
    boolean,
    malformed,
    not_negative,
    number,
    optional_number,
    optional_positive,
    positive,
    text,
)
from monitor.exchange.venues.completeness import check_complete
from monitor.exchange.venues.contracts import check_notional, instrument_of, known_price
from monitor.exchange.venues.figures import Figure, Figures, VerifiedBy, estimated, exact, unknown
from monitor.exchange.venues.venue import AccountReading, AccountSettings, Instruments

SIDES: Mapping[str, Side] = {"LONG": Side.LONG, "SHORT": Side.SHORT}
MAX_TIERS = 36

# A position with its row and the asset that it is margined in.
Leg = tuple[Position, Row, str]


def parse(
    assets: Sequence[Row], reply: Sequence[Row], instruments: Instruments, settings: AccountSettings
) -> AccountReading:
    """(balance, positions) to pools and positions. Raises ReadError (malformed, implausible, unsupported)."""
    money = {text(row, "asset"): row for row in assets}
    if len(money) < len(assets):
        raise malformed("balance lists an asset twice")
    legs = [_leg(row, instruments) for row in reply if number(row, "positionAmt") != 0]
    _refuse_twins([position.subject for position, *_ in legs])
    used = {asset: not_negative(row, "usedMargin") for asset, row in money.items()}
    check_complete(used, ((asset, position) for position, _, asset in legs))
    return AccountReading(
        margins=(*_cross_pools(money, legs), *(_isolated_pool(leg) for leg in legs if _is_isolated(leg))),
        positions=tuple(position for position, *_ in legs),
        margin_in_use=sum(used.values()),
        caveats=settings.caveats,
    )


def _is_isolated(leg: Leg) -> bool:
    return leg[0].margin_mode is MarginMode.ISOLATED


def _refuse_twins(names: Sequence[str]) -> None:
    """BingX can keep several positions of one side apart; what is judged by name would lose one."""
    if len(set(names)) < len(names):
        raise ReadError(FailureKind.UNSUPPORTED, "a side of a contract is held in several positions, kept apart")


def _leg(row: Row, instruments: Instruments) -> Leg:
    """In demo trading positions are margined in an asset of its own (VST), which they name."""
    instrument, side = instrument_of(row, instruments), SIDES.get(text(row, "positionSide"))
    if side is None:
        raise malformed(f"{instrument.symbol}: positionSide {row['positionSide']:.20} is not a side")
    asset = text(row, "currency") if row.get("currency") else instrument.settle
    mark_price, contracts, isolated = (
        positive(row, "markPrice"),
        abs(number(row, "positionAmt")),
        boolean(row, "isolated"),
    )
    price, origin = known_price(row, "liquidationPrice", mark_price)
    position = Position(
        instrument=instrument,
        side=side,
        pool=instrument.isolated_pool(side) if isolated else f"cross:{asset}",
        contracts=contracts,
        size=instrument.size(contracts, mark_price),
        notional=check_notional(instrument, contracts, mark_price, abs(number(row, "positionValue"))),
        mark_price=mark_price,
        entry_price=optional_positive(row, "avgPrice"),
        liquidation_price=price,
        liquidation_price_origin=origin,
        leverage=positive(row, "leverage"),
        margin_mode=MarginMode.ISOLATED if isolated else MarginMode.CROSS,
        initial_margin=not_negative(row, "initialMargin"),
        unrealized_pnl=number(row, "unrealizedProfit"),
    )
    return position, row, asset


def _cross_pools(money: Mapping[str, Row], legs: Sequence[Leg]) -> list[MarginBalance]:
    pools = []
    for asset, row in money.items():
        own = [leg for leg in legs if leg[2] == asset]
        equity = number(row, "equity")
        if not own and equity == 0:
            continue
        across = [leg for leg in own if not _is_isolated(leg)]
        rates = [rate for _, told, _ in across if (rate := optional_number(told, "riskRate")) is not None]
        apart = sum(number(told, "margin") for _, told, _ in own) - sum(number(told, "margin") for _, told, _ in across)
        pools.append(
            MarginBalance(
                pool=f"cross:{asset}",
                currency=asset,
                equity=equity - not_negative(row, "freezedMargin") - apart,
                maintenance_margin=None,
                available=number(row, "availableMargin"),
                initial_margin=sum(position.initial_margin or 0.0 for position, *_ in across),
                venue_margin_ratio=max(rates, default=None),
            )
        )
    return pools


def _isolated_pool(leg: Leg) -> MarginBalance:
    position, row, asset = leg
    return MarginBalance(
        pool=position.pool,
        currency=asset,
        equity=number(row, "margin"),
        maintenance_margin=None,
        initial_margin=position.initial_margin,
        venue_margin_ratio=optional_number(row, "riskRate"),
    )


COVERAGE = (
    "contracts margined in stablecoins, one-way and hedge mode, cross and isolated: all positions in one reply",
    "contracts margined in coin and standard futures are not read",
    "maintenance margin is estimated by the tiers at the mark, with the fee of closing, of at most 36 contracts held",
    "a cross position is liquidated by itself: the highest risk rate of the pool's positions is the venue's ratio",
    "a key that can only read is not told the account's mode, its stop orders and its liquidations",
    "bookings are read by the documents alone, of the last three months",
    "multi-assets mode is refused, not misread, where the key may be told of it; trigger orders are not read as stops",
)
FIGURES: Figures = {
    Figure.EQUITY: exact("balance equity - freezedMargin - isolated margin; positions margin", VerifiedBy.DOCUMENTS),
    Figure.POOL_MAINTENANCE: estimated("sum of its positions by tiers at the mark, with the fee of closing"),
    Figure.POOL_INITIAL: exact("sum of positions initialMargin of the pool", VerifiedBy.DOCUMENTS),
    Figure.AVAILABLE: exact("balance availableMargin", VerifiedBy.DOCUMENTS),
    Figure.VENUE_RATIO: exact("positions riskRate; across the highest of the pool", VerifiedBy.DOCUMENTS),
    Figure.MARK_PRICE: exact("positions markPrice", VerifiedBy.RECORDED),
    Figure.NOTIONAL: exact("positions positionValue, held against positionAmt x mark", VerifiedBy.RECORDED),
    Figure.ENTRY_PRICE: exact("positions avgPrice", VerifiedBy.RECORDED),
    Figure.LIQUIDATION_PRICE: estimated(
        "positions liquidationPrice; where it is 0, our own solve", VerifiedBy.RECORDED
    ),
    Figure.LEVERAGE: exact("positions leverage", VerifiedBy.RECORDED),
    Figure.MARGIN_MODE: exact("positions isolated", VerifiedBy.RECORDED),
    Figure.MAINTENANCE: estimated("tiers of maintMarginRatio with the taker's fee x notional at the mark"),
    Figure.INITIAL: exact("positions initialMargin, by the value at entry", VerifiedBy.RECORDED),
    Figure.PNL: exact("positions unrealizedProfit", VerifiedBy.RECORDED),
    Figure.ADL_RANK: unknown("BingX tells none"),
    Figure.FUNDING_RATE: exact("premiumIndex lastFundingRate", VerifiedBy.CCXT),
    Figure.FUNDING_INTERVAL: exact("premiumIndex fundingIntervalHours", VerifiedBy.CCXT),
    Figure.NEXT_FUNDING: exact("premiumIndex nextFundingTime", VerifiedBy.CCXT),
    Figure.BRACKETS: exact("maintMarginRatio, with the taker's fee of contracts", VerifiedBy.DOCUMENTS),
    Figure.COLLATERAL: unknown("BingX tells no price of its margin coins"),
    Figure.STOP_ORDERS: exact("openOrders, of keys that may trade", VerifiedBy.DOCUMENTS),
    Figure.KEY_PERMISSIONS: exact("apiPermissions", VerifiedBy.DOCUMENTS),
    Figure.ENDS: exact("forceOrders of each autoCloseType, of keys that may trade", VerifiedBy.DOCUMENTS),
}
