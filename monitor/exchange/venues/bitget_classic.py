"""Classic accounts of Bitget: positions, and pools by margin coin. Pure.

What a position's and an account's ratio are made of was reckoned from replies in the documents and in ccxt's comments.
Isolated: worth at the mark x (maintenance rate + fee of closing) / (marginSize + unrealizedPL). Across: the account's
crossedRiskRate, its maintenance likewise with fees over its equity. So that maintenance is ratio x equity.
`accountEquity` is taken to hold isolated margins and their profit, which is not seen in a reply.
"""

from collections.abc import Mapping, Sequence

from monitor.domain.account import FailureKind, MarginBalance, MarginMode, Position
from monitor.exchange.failures import ReadError
from monitor.exchange.values import (
    Row,
    malformed,
    not_negative,
    number,
    optional_number,
    optional_positive,
    positive,
    rows,
    text,
)
from monitor.exchange.venues.bitget_rows import (
    ROUNDING,
    Ranks,
    check_margin_coin,
    check_owed,
    check_unit,
    check_worth,
    data_of,
    liquidation_price,
    mode_of,
    pool_of,
    ranks_of,
    side_of,
)
from monitor.exchange.venues.completeness import check_held_once
from monitor.exchange.venues.contracts import instrument_of
from monitor.exchange.venues.venue import AccountReading, Instruments

SINGLE, UNION = "single", "union"
ASSET_MODES: Mapping[str, str] = {SINGLE: "single-asset", UNION: "multi-assets"}
# The documents' example spells it otherwise than their table.
UNION_EQUITY = ("unionTotalMargin", "unionTotalMagin")

# A position with its own row.
Leg = tuple[Position, Row]


def mode_words(accounts: Sequence[Row]) -> str:
    """In words for the owner. Raises ReadError (unsupported) for a mode that is not known."""
    words = sorted({ASSET_MODES[_asset_mode(row)] for row in accounts}) or [ASSET_MODES[SINGLE]]
    return f"classic account, {' and '.join(words)} mode"


def parse_classic(
    listed: Sequence[object], accounts: Sequence[object], ranks: Sequence[object], instruments: Instruments
) -> AccountReading:
    """`listed` are the positions by product type, the last of them those settled in coin, of which there may be none.

    Raises ReadError (malformed, implausible, unsupported).
    """
    *stable, coin = (rows(data_of(reply, "all-position"), "all-position") for reply in listed)
    _refuse_coin(coin)
    told_ranks = ranks_of(ranks, "rank")
    legs = [leg for found in stable for row in found if (leg := _leg(row, instruments, told_ranks)) is not None]
    check_held_once(position for position, _ in legs)
    told = [row for reply in accounts for row in rows(data_of(reply, "accounts"), "accounts")]
    by_coin = {text(row, "marginCoin"): row for row in told}
    if len(by_coin) < len(told):
        raise malformed("accounts: a margin coin is listed twice")
    strange = {position.instrument.settle for position, _ in legs} - by_coin.keys()
    if strange:
        raise malformed(f"accounts: {', '.join(sorted(strange)):.60} is not listed, in which positions are margined")
    pools = [
        pool
        for name, row in by_coin.items()
        if (pool := _cross_pool(row, name, [leg for leg in legs if leg[0].instrument.settle == name])) is not None
    ]
    bound = sum((optional_number(row, "isolatedMargin") or 0.0) for row in told)
    return AccountReading(
        margins=(*pools, *(_isolated_pool(position, row) for position, row in legs if _is_isolated(position))),
        positions=tuple(position for position, _ in legs),
        margin_in_use=bound + sum(_owed(row) for row in told),
    )


def _refuse_coin(found: Sequence[Row]) -> None:
    held = sorted(text(row, "symbol") for row in found if number(row, "total") != 0)
    if held:
        raise ReadError(
            FailureKind.UNSUPPORTED, f"positions in classic coin-settled contracts are not understood: {held!s:.100}"
        )


def _leg(row: Row, instruments: Instruments, ranks: Ranks) -> Leg | None:
    """None for a row without contracts."""
    contracts = not_negative(row, "total")
    if contracts == 0:
        return None
    instrument, side, mode = instrument_of(row, instruments), side_of(row, "holdSide"), mode_of(row)
    check_margin_coin(row, instrument)
    mark_price = positive(row, "markPrice")
    price, origin = liquidation_price(row, mark_price)
    position = Position(
        instrument=instrument,
        side=side,
        pool=pool_of(instrument, side, mode, instrument.settle),
        contracts=contracts,
        size=instrument.size(contracts, mark_price),
        notional=instrument.notional(contracts, mark_price),
        mark_price=mark_price,
        entry_price=optional_positive(row, "openPriceAvg"),
        liquidation_price=price,
        liquidation_price_origin=origin,
        leverage=optional_positive(row, "leverage"),
        margin_mode=mode,
        initial_margin=not_negative(row, "marginSize"),
        maintenance_margin=_isolated_maintenance(row) if mode is MarginMode.ISOLATED else None,
        unrealized_pnl=number(row, "unrealizedPL"),
        adl_rank=ranks.get((text(row, "symbol"), side)),
    )
    if mode is MarginMode.CROSS:
        check_worth(position)
    return check_unit(position), row


def _isolated_equity(row: Row) -> float:
    return not_negative(row, "marginSize") + number(row, "unrealizedPL")


def _isolated_maintenance(row: Row) -> float | None:
    """None, to be made of brackets, where the venue's ratio of it says nothing."""
    ratio, equity = optional_positive(row, "marginRatio"), _isolated_equity(row)
    return ratio * equity if ratio is not None and equity > 0 else None


def _is_isolated(position: Position) -> bool:
    return position.margin_mode is MarginMode.ISOLATED


def _isolated_pool(position: Position, row: Row) -> MarginBalance:
    return MarginBalance(
        pool=position.pool,
        currency=position.instrument.settle,
        equity=_isolated_equity(row),
        maintenance_margin=position.maintenance_margin,
        initial_margin=position.initial_margin,
        venue_margin_ratio=optional_positive(row, "marginRatio"),
    )


def _cross_pool(row: Row, coin: str, legs: Sequence[Leg]) -> MarginBalance | None:
    """None where there is neither money nor a position margined across."""
    cross = [leg for leg in legs if not _is_isolated(leg[0])]
    isolated = sum(_isolated_equity(r) for position, r in legs if _is_isolated(position))
    union = _asset_mode(row) == UNION
    equity = _union_equity(row) if union else number(row, "accountEquity") - isolated
    if not cross and abs(equity) < ROUNDING:
        return None
    ratio = not_negative(row, "crossedRiskRate")
    owed = ratio * max(equity, 0.0)
    check_owed(owed, (p.notional * not_negative(r, "keepMarginRate") for p, r in cross), f"cross:{coin}")
    is_told = not cross or (ratio > 0 and equity > 0)
    return MarginBalance(
        pool=f"cross:{coin}",
        currency=coin,
        equity=equity,
        available=number(row, "unionAvailable" if union else "crossedMaxAvailable"),
        initial_margin=sum(position.initial_margin or 0.0 for position, _ in cross),
        maintenance_margin=owed if is_told else None,
        venue_margin_ratio=ratio,
    )


def _union_equity(row: Row) -> float:
    key = next((key for key in UNION_EQUITY if key in row), UNION_EQUITY[0])
    return number(row, key)


def _owed(row: Row) -> float:
    """About what is owed across, by the account's own ratio: above 0 while anything is held."""
    equity = _union_equity(row) if _asset_mode(row) == UNION else number(row, "accountEquity")
    return not_negative(row, "crossedRiskRate") * max(equity, 0.0)


def _asset_mode(row: Row) -> str:
    """Accounts of the time before there was a choice told none."""
    told = row.get("assetMode") or SINGLE
    if not isinstance(told, str) or told not in ASSET_MODES:
        raise ReadError(FailureKind.UNSUPPORTED, f"the account is in asset mode {told!r:.40}, which is not known")
    return told
