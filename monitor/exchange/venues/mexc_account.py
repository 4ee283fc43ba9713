"""What an account holds at MEXC, and how exactly each figure is told.

Money stands per currency. Cross positions of a currency are one pool: its total equity less what is frozen for orders,
less margin and gain of its isolated positions ("Equity in cross margin account, excluding margin and unrealized PNL in
isolated margin mode, and all order margin"). Each isolated position is a pool: `im` + its gain at the fair price.

By arithmetic on four recorded positions: `im` holds entry value / leverage and the fee of closing; `liquidatePrice` is
where im + gain = maintenance rate x value at entry + liquidation fee x value there, and is told so for cross positions
as well, of which it says nothing; `marginRatio` is that maintenance and fee / (im + gain), cut to four decimals.
"""

from collections.abc import Mapping, Sequence

from monitor.domain.account import (
    FailureKind,
    MarginBalance,
    MarginMode,
    Position,
    PriceOrigin,
    Side,
)
from monitor.exchange.failures import ReadError
from monitor.exchange.values import (
    Row,
    malformed,
    not_negative,
    number,
    optional_number,
    optional_positive,
    positive,
    text,
)
from monitor.exchange.venues.completeness import check_complete
from monitor.exchange.venues.contracts import instrument_of, known_price
from monitor.exchange.venues.figures import Figure, Figures, VerifiedBy, estimated, exact, unknown
from monitor.exchange.venues.venue import AccountReading, AccountSettings, Instruments

SIDES: Mapping[float, Side] = {1: Side.LONG, 2: Side.SHORT}
MODES: Mapping[object, MarginMode] = {1: MarginMode.ISOLATED, 2: MarginMode.CROSS}
HELD_BY_SYSTEM, CLOSED = 2, 3
# A position with its row.
Leg = tuple[Position, Row]


def held_symbols(reply: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(text(row, "symbol") for row in reply if _is_held(row)))


def parse(
    assets: Sequence[Row],
    reply: Sequence[Row],
    marks: Mapping[str, float],
    instruments: Instruments,
    settings: AccountSettings,
) -> AccountReading:
    """(assets, positions, fair prices by raw symbol). Raises ReadError (malformed, implausible, unsupported)."""
    money = _by_currency(assets)
    _refuse_multi_asset(money)
    held = [row for row in reply if _is_held(row)]
    legs = [(_position(row, marks, instruments), row) for row in held]
    names = [position.subject for position, _ in legs]
    if twins := sorted({name for name in names if names.count(name) > 1}):
        raise ReadError(FailureKind.UNSUPPORTED, f"{', '.join(twins):.200} is held more than once, cross and isolated")
    bound = {currency: not_negative(row, "positionMargin") for currency, row in money.items()}
    check_complete(bound, ((position.instrument.settle, position) for position, _ in legs))
    return AccountReading(
        margins=(*_cross_pools(money, legs), *(_isolated_pool(leg) for leg in legs if _is_isolated(leg[0]))),
        positions=tuple(position for position, _ in legs),
        margin_in_use=sum(bound.values()),
        caveats=(*settings.caveats, *_caveats(money, legs)),
    )


def _is_held(row: Row) -> bool:
    return row.get("state") != CLOSED and number(row, "holdVol") != 0


def _is_isolated(position: Position) -> bool:
    return position.margin_mode is MarginMode.ISOLATED


def _by_currency(assets: Sequence[Row]) -> Mapping[str, Row]:
    found = {text(row, "currency"): row for row in assets}
    if len(found) < len(assets):
        raise malformed("account/assets lists a currency twice")
    return found


def _refuse_multi_asset(money: Mapping[str, Row]) -> None:
    """In multi-asset mode all coins stand behind all positions, and each tells what it contributes or owes."""
    for row in money.values():
        if optional_number(row, "contributeMarginAmount") or optional_number(row, "debtAmount"):
            raise ReadError(FailureKind.UNSUPPORTED, "the account is in multi-asset margin mode, which is not read yet")


def _position(row: Row, marks: Mapping[str, float], instruments: Instruments) -> Position:
    instrument = instrument_of(row, instruments)
    raw = row["symbol"]
    side, mode, mark_price = SIDES.get(number(row, "positionType")), MODES.get(number(row, "openType")), marks.get(raw)
    if side is None or mode is None:
        raise malformed(f"{raw}: positionType {row['positionType']!s:.20}, openType {row['openType']!s:.20}")
    if mark_price is None:
        raise malformed(f"{raw}: no fair price is told")
    contracts = positive(row, "holdVol")
    entry_price = optional_positive(row, "holdAvgPriceFullyScale") or positive(row, "holdAvgPrice")
    isolated = mode is MarginMode.ISOLATED
    price, origin = known_price(row, "liquidatePrice", mark_price) if isolated else (None, PriceOrigin.UNKNOWN)
    return Position(
        instrument=instrument,
        side=side,
        pool=instrument.isolated_pool(side) if isolated else f"cross:{instrument.settle}",
        contracts=contracts,
        size=instrument.size(contracts, mark_price),
        notional=instrument.notional(contracts, mark_price),
        mark_price=mark_price,
        entry_price=entry_price,
        liquidation_price=price,
        liquidation_price_origin=origin,
        leverage=positive(row, "leverage"),
        margin_mode=mode,
        initial_margin=not_negative(row, "im"),
        unrealized_pnl=instrument.pnl(side, contracts, entry_price, mark_price),
        adl_rank=_adl_rank(row),
    )


def _adl_rank(row: Row) -> int | None:
    """1 to 5; null (or 0) while it is being worked out, and older replies have none."""
    level = optional_number(row, "adlLevel")
    if not level:
        return None
    if level not in (1, 2, 3, 4, 5):
        raise malformed(f"adlLevel: {level:g} is no rank")
    return int(level)


def _cross_pools(money: Mapping[str, Row], legs: Sequence[Leg]) -> list[MarginBalance]:
    """Of every currency that holds money or positions; MEXC lists many that hold neither."""
    pools = []
    for currency, row in money.items():
        of_currency = [leg for leg in legs if leg[0].instrument.settle == currency]
        apart = sum(_isolated_equity(leg) for leg in of_currency if _is_isolated(leg[0]))
        equity = number(row, "equity")
        if not of_currency and equity == 0 and not_negative(row, "positionMargin") == 0:
            continue
        pools.append(
            MarginBalance(
                pool=f"cross:{currency}",
                currency=currency,
                equity=equity - not_negative(row, "frozenBalance") - apart,
                maintenance_margin=None,
                available=number(row, "availableBalance"),
                initial_margin=sum(p.initial_margin or 0.0 for p, _ in of_currency if not _is_isolated(p)),
            )
        )
    return pools


def _isolated_pool(leg: Leg) -> MarginBalance:
    position, row = leg
    return MarginBalance(
        pool=position.pool,
        currency=position.instrument.settle,
        equity=_isolated_equity(leg),
        maintenance_margin=None,
        initial_margin=position.initial_margin,
        venue_margin_ratio=optional_number(row, "marginRatio"),
    )


def _isolated_equity(leg: Leg) -> float:
    position, row = leg
    return not_negative(row, "im") + (position.unrealized_pnl or 0.0)


def _caveats(money: Mapping[str, Row], legs: Sequence[Leg]) -> tuple[str, ...]:
    taken = [
        f"{position.subject} is held by the system: MEXC is liquidating it"
        for position, row in legs
        if row.get("state") == HELD_BY_SYSTEM
    ]
    given = [
        f"{currency} holds a trial bonus; how far it counts as equity is not documented"
        for currency, row in money.items()
        if optional_positive(row, "bonus")
    ]
    return (*taken, *given)


COVERAGE = (
    "linear and inverse contracts, one-way and hedge mode, cross and isolated: all positions in one reply",
    "maintenance margin is estimated by the tiers at the mark, with the liquidation fee; MEXC counts it at entry",
    "the rate of a tier is taken for the whole position, which is not less than any other reading of the documents",
    "the liquidation price of a cross position is estimated: the one that MEXC tells holds in isolated mode only",
    "interval and time of the next funding are known while at most 40 contracts are held by the accounts together",
    "multi-asset margin mode is refused, not misread",
    "bookings are funding and transfers, by the documents; what was realised, and fees, are not read",
)
FIGURES: Figures = {
    Figure.EQUITY: exact(
        "account/assets equity - frozenBalance - isolated im and gain; im + gain", VerifiedBy.DOCUMENTS
    ),
    Figure.POOL_MAINTENANCE: estimated("sum of its positions by tiers at the mark, with the liquidation fee"),
    Figure.POOL_INITIAL: exact("sum of open_positions im of the pool", VerifiedBy.DOCUMENTS),
    Figure.AVAILABLE: exact("account/assets availableBalance", VerifiedBy.DOCUMENTS),
    Figure.VENUE_RATIO: exact(
        "open_positions marginRatio of isolated positions; none is told of cross", VerifiedBy.RECORDED
    ),
    Figure.MARK_PRICE: exact("fair_price fairPrice; ticker fairPrice where many are held", VerifiedBy.DOCUMENTS),
    Figure.NOTIONAL: exact("holdVol x contractSize at the fair price", VerifiedBy.DOCUMENTS),
    Figure.ENTRY_PRICE: exact("open_positions holdAvgPriceFullyScale", VerifiedBy.RECORDED),
    Figure.LIQUIDATION_PRICE: estimated(
        "of cross positions by our own solve; of isolated ones open_positions liquidatePrice", VerifiedBy.RECORDED
    ),
    Figure.LEVERAGE: exact("open_positions leverage", VerifiedBy.RECORDED),
    Figure.MARGIN_MODE: exact("open_positions openType", VerifiedBy.DOCUMENTS),
    Figure.MAINTENANCE: estimated("tiers of contract/detail with the liquidation fee x notional at the mark"),
    Figure.INITIAL: exact("open_positions im, with the fee of closing", VerifiedBy.RECORDED),
    Figure.PNL: exact("from holdAvgPrice to the fair price", VerifiedBy.DOCUMENTS),
    Figure.ADL_RANK: exact("open_positions adlLevel, where told", VerifiedBy.DOCUMENTS),
    Figure.FUNDING_RATE: exact("funding_rate fundingRate; ticker fundingRate", VerifiedBy.DOCUMENTS),
    Figure.FUNDING_INTERVAL: exact("funding_rate collectCycle", VerifiedBy.DOCUMENTS),
    Figure.NEXT_FUNDING: exact("funding_rate nextSettleTime", VerifiedBy.DOCUMENTS),
    Figure.BRACKETS: exact(
        "contract/detail riskLimitCustom or riskBaseVol/riskIncrVol, with the fee", VerifiedBy.DOCUMENTS
    ),
    Figure.COLLATERAL: unknown("MEXC tells no price of its margin coins"),
    Figure.STOP_ORDERS: exact("stoporder/open_orders, planorder and trackorder lists", VerifiedBy.DOCUMENTS),
    Figure.KEY_PERMISSIONS: exact("apiKeyInfo permissions, ipWhiteList, remainingValidity", VerifiedBy.DOCUMENTS),
    Figure.ENDS: exact("history_orders of category 2, 4 and 6", VerifiedBy.DOCUMENTS),
}
