"""What an account holds at KuCoin Futures, classic and unified: raw replies to pools and positions.

Meanings were found by arithmetic on recorded replies (in brackets). A classic position tells its worth at the mark as
`markValue`, signed; `posCost` is its worth at entry. Margined across, `posMargin` is the initial and `posMaint` the
maintenance margin at the mark [posMaint = markValue x maintMarginReq], the fee of closing not counted. Isolated, the
position's equity is posMargin + unrealisedPnl (told as `maintMargin`, which is no maintenance margin), and it is
liquidated where that falls to `posMaint`, which is fixed at entry and counts the fee [four positions, to a tick].
A unified position's figures are all at the mark [positionValue, initialMargin, maintenanceMargin = value x mmr].
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from monitor.domain.account import (
    Estimate,
    FailureKind,
    Instrument,
    MarginBalance,
    MarginMode,
    Position,
    Side,
)
from monitor.exchange.failures import ReadError
from monitor.exchange.values import (
    Row,
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
from monitor.exchange.venues.contracts import check_notional, instrument_of, known_price
from monitor.exchange.venues.venue import AccountReading, AccountSettings, Instruments

# Replies sent together tell the same profit; further apart than this share of notional, one is stale or short.
MAX_PROFIT_GAP = 0.02
# What maintenance may exceed that of the positions listed by, before a list is short; and the highest fee of closing.
MAX_MAINTENANCE_GAP = 0.1
MAX_FEE_RATE = 0.001
ROUNDING = 1e-6
ADL_RANKS = 5
CODES_OF_BITCOIN = ("XBT", "BTC")
DOLLARS = ("USDT", "USDC", "USD")
A_DOLLAR = Estimate("pool_rate", "a stablecoin counts as a dollar")
AT_THE_MARK = Estimate("pool_rate", "a coin counts at its mark, without the venue's haircut")

# A position with its own row.
Leg = tuple[Position, Row]


def data_of(reply: object, where: str) -> object:
    """What the envelope holds; its code was judged when it came in."""
    envelope = mapping(reply, where)
    if "data" not in envelope:
        raise malformed(f"{where}: the reply holds no data")
    return envelope["data"]


# --- classic accounts ---


def parse_classic(
    positions: object, overviews: Mapping[str, object], instruments: Instruments, settings: AccountSettings
) -> AccountReading:
    """`overviews` are replies by the venue's name of the coin. Raises ReadError (malformed, implausible)."""
    legs = [_classic(row, instruments) for row in rows(data_of(positions, "positions"), "positions")]
    held = _once([leg for leg in legs if leg is not None])
    margins: list[MarginBalance] = []
    in_use = 0.0
    for coin, reply in overviews.items():
        overview = mapping(data_of(reply, "account-overview"), "account-overview")
        if text(overview, "currency") != coin:
            raise malformed(f"account-overview: asked for {coin}, got {overview['currency']!s:.20}")
        own = [leg for leg in held if leg[0].instrument.settle == code_of(coin)]
        in_use += _position_margin(overview, coin, own)
        _check_same_moment(overview, coin, own)
        pool = _cross_pool(overview, coin, own)
        margins += [pool] if pool is not None else []
    margins += [_isolated_pool(position, row) for position, row in held if _is_isolated(position)]
    return AccountReading(
        margins=tuple(margins),
        positions=tuple(position for position, _ in held),
        margin_in_use=in_use,
        caveats=settings.caveats,
    )


def settle_coins(positions: object) -> frozenset[str]:
    """The venue's names of the coins in which these positions are settled."""
    return frozenset(
        text(row, "settleCurrency")
        for row in rows(data_of(positions, "positions"), "positions")
        if number(row, "currentQty") != 0
    )


def code_of(coin: str) -> str:
    return "BTC" if coin in CODES_OF_BITCOIN else coin


def _classic(row: Row, instruments: Instruments) -> Leg | None:
    """None for a row without contracts."""
    quantity = number(row, "currentQty")
    if quantity == 0:
        return None
    instrument = instrument_of(row, instruments)
    mode = _classic_mode(row)
    side = _classic_side(row, quantity)
    mark_price, contracts = positive(row, "markPrice"), abs(quantity)
    price, origin = known_price(row, "liquidationPrice", mark_price)
    isolated = mode is MarginMode.ISOLATED
    position = Position(
        instrument=instrument,
        side=side,
        pool=_pool_of(instrument, side, mode, instrument.settle),
        contracts=contracts,
        size=instrument.size(contracts, mark_price),
        notional=check_notional(instrument, contracts, mark_price, abs(number(row, "markValue"))),
        mark_price=mark_price,
        entry_price=optional_positive(row, "avgEntryPrice"),
        liquidation_price=price,
        liquidation_price_origin=origin,
        leverage=_leverage_at_entry(row) if isolated else optional_positive(row, "leverage"),
        margin_mode=mode,
        initial_margin=not_negative(row, "posInit" if isolated else "posMargin"),
        maintenance_margin=not_negative(row, "posMaint"),
        unrealized_pnl=number(row, "unrealisedPnl"),
        adl_rank=_adl_rank(row, "delevPercentage"),
    )
    return position, row


def _classic_mode(row: Row) -> MarginMode:
    told = row.get("marginMode")
    if told is None and isinstance(row.get("crossMode"), bool):
        told = "CROSS" if row["crossMode"] else "ISOLATED"
    return _margin_mode(told)


def _classic_side(row: Row, quantity: float) -> Side:
    """The side named in hedge mode; otherwise the sign of the amount."""
    named = row.get("positionSide", "BOTH")
    if named not in ("BOTH", "LONG", "SHORT"):
        raise malformed(f"positionSide: {named!r:.40} is not a side")
    return (Side.LONG if quantity > 0 else Side.SHORT) if named == "BOTH" else Side(named.lower())


def _leverage_at_entry(row: Row) -> float | None:
    """The one chosen: what the row tells as leverage of an isolated position moves with its profit."""
    cost, initial = abs(number(row, "posCost")), not_negative(row, "posInit")
    return cost / initial if initial > 0 else None


def _position_margin(overview: Row, coin: str, legs: Sequence[Leg]) -> float:
    """Raises ReadError (implausible) where margin is bound by positions of which none is listed."""
    bound = not_negative(overview, "positionMargin")
    if bound > ROUNDING and not legs:
        raise ReadError(FailureKind.IMPLAUSIBLE, f"positions bind {bound:g} {coin}, and none of them is listed")
    return bound


def _check_same_moment(overview: Row, coin: str, legs: Sequence[Leg]) -> None:
    """The two calls are told the same profit, but for what the marks have moved between them."""
    ours = sum(position.unrealized_pnl or 0.0 for position, _ in legs)
    worth = sum(position.notional for position, _ in legs)
    gap = abs(number(overview, "unrealisedPNL") - ours)
    if gap > MAX_PROFIT_GAP * worth + ROUNDING:
        raise ReadError(
            FailureKind.IMPLAUSIBLE,
            f"the account's profit in {coin} and that of its positions are {gap:g} apart: a reply is stale or short",
        )


def _cross_pool(overview: Row, coin: str, legs: Sequence[Leg]) -> MarginBalance | None:
    """None where there is neither money nor a position margined across.

    What is isolated is no part of it: equity - (isolated margin + its profit) is what the venue tells as the total of
    its cross margin [two recorded wallets]. Its risk ratio counts maintenance, that of open orders, and the fee of
    closing; 1 liquidates.
    """
    code = code_of(coin)
    isolated = sum(_isolated_equity(position, row) for position, row in legs if _is_isolated(position))
    cross = [position for position, _ in legs if not _is_isolated(position)]
    equity = number(overview, "accountEquity") - not_negative(overview, "frozenFunds") - isolated
    if not cross and abs(equity) < ROUNDING:
        return None
    ratio = optional_number(overview, "riskRatio")
    if ratio is not None and ratio < 0:
        raise malformed(f"riskRatio: {ratio:g} is below 0")
    maintenance = _required(cross, equity, ratio, not_negative(overview, "orderMargin"))
    return MarginBalance(
        pool=f"cross:{code}",
        currency=code,
        equity=equity,
        available=number(overview, "availableBalance"),
        initial_margin=sum(position.initial_margin or 0.0 for position in cross),
        maintenance_margin=maintenance,
        venue_margin_ratio=ratio,
    )


def _required(cross: Sequence[Position], equity: float, ratio: float | None, orders: float) -> float | None:
    """What the pool must hold: the venue's ratio x equity, since `posMaint` leaves the fee of closing out.

    None, to be summed up of the positions, where the venue tells no ratio of it. Raises ReadError (implausible) where
    it cannot be that of the positions listed.
    """
    told = sum(position.maintenance_margin or 0.0 for position in cross)
    if ratio is None or equity <= 0:
        return None
    required = ratio * equity
    most = (told + MAX_FEE_RATE * sum(position.notional for position in cross)) * (1 + MAX_MAINTENANCE_GAP)
    if required < told * (1 - MAX_MAINTENANCE_GAP) - ROUNDING * equity:
        raise ReadError(
            FailureKind.IMPLAUSIBLE, f"the account owes {required:g} of margin, its positions alone {told:g}"
        )
    if orders == 0 and required > most + ROUNDING * equity:
        raise ReadError(
            FailureKind.IMPLAUSIBLE, f"the account owes {required:g} of margin, the positions listed {most:g} at most"
        )
    return required


def _is_isolated(position: Position) -> bool:
    return position.margin_mode is MarginMode.ISOLATED


def _isolated_equity(position: Position, row: Row) -> float:
    return number(row, "posMargin") + (position.unrealized_pnl or 0.0)


def _isolated_pool(position: Position, row: Row) -> MarginBalance:
    return MarginBalance(
        pool=position.pool,
        currency=position.instrument.settle,
        equity=_isolated_equity(position, row),
        maintenance_margin=position.maintenance_margin,
        initial_margin=position.initial_margin,
    )


# --- unified accounts ---


def parse_unified(
    listed: Sequence[Row], overview: object, instruments: Instruments, settings: AccountSettings
) -> AccountReading:
    """All coins stand behind one pool, counted in dollars after haircuts."""
    account = mapping(data_of(overview, "account overview"), "account overview")
    legs = [_unified(row, instruments) for row in listed]
    held = _once([leg for leg in legs if leg is not None])
    isolated = [_unified_isolated_pool(position, row) for position, row in held if _is_isolated(position)]
    equity, ratio = number(account, "adjustedEquity"), not_negative(account, "riskRatio")
    pool = MarginBalance(
        pool="cross:USD",
        currency="USD",
        equity=equity,
        available=number(account, "availableMargin"),
        initial_margin=not_negative(account, "im"),
        maintenance_margin=ratio * equity if equity > 0 else not_negative(account, "mm"),
        venue_margin_ratio=ratio,
    )
    return AccountReading(
        margins=(pool, *isolated),
        positions=tuple(position for position, _ in held),
        margin_in_use=not_negative(account, "mm"),
        caveats=settings.caveats,
    )


def _unified(row: Row, instruments: Instruments) -> Leg | None:
    quantity = number(row, "size")
    if quantity == 0:
        return None
    instrument = instrument_of(row, instruments)
    mode, side = _margin_mode(row.get("marginMode")), Side.LONG if quantity > 0 else Side.SHORT
    mark_price, contracts = positive(row, "markPrice"), abs(quantity)
    price, origin = known_price(row, "liquidationPrice", mark_price)
    rate, basis = _pool_rate(instrument, mark_price)
    position = Position(
        instrument=instrument,
        side=side,
        pool=_pool_of(instrument, side, mode, "USD"),
        contracts=contracts,
        size=instrument.size(contracts, mark_price),
        notional=check_notional(instrument, contracts, mark_price, abs(number(row, "positionValue"))),
        mark_price=mark_price,
        entry_price=optional_positive(row, "entryPrice"),
        liquidation_price=price,
        liquidation_price_origin=origin,
        leverage=optional_positive(row, "leverage"),
        margin_mode=mode,
        initial_margin=not_negative(row, "initialMargin"),
        maintenance_margin=not_negative(row, "maintenanceMargin"),
        unrealized_pnl=number(row, "unrealizedPnL"),
        adl_rank=_adl_rank(row, "adlPercentage"),
    )
    if mode is MarginMode.CROSS:
        position = replace(position, pool_rate=rate, estimates=(basis,))
    return position, row


def _pool_rate(instrument: Instrument, mark_price: float) -> tuple[float, Estimate]:
    return (1.0, A_DOLLAR) if instrument.settle in DOLLARS else (mark_price, AT_THE_MARK)


def _unified_isolated_pool(position: Position, row: Row) -> MarginBalance:
    """`positionMargin` stands in the venue's own library and in no recorded reply: without it equity is unknown."""
    margin = optional_number(row, "positionMargin")
    return MarginBalance(
        pool=position.pool,
        currency=position.instrument.settle,
        equity=None if margin is None else margin + (position.unrealized_pnl or 0.0),
        maintenance_margin=position.maintenance_margin,
        initial_margin=position.initial_margin,
        venue_margin_ratio=optional_number(row, "riskRatio"),
    )


# --- both ---


def _margin_mode(told: Any) -> MarginMode:
    if told not in ("CROSS", "ISOLATED"):
        raise malformed(f"marginMode: {told!r:.40} is not a margin mode")
    return MarginMode(told.lower())


def _pool_of(instrument: Instrument, side: Side, mode: MarginMode, currency: str) -> str:
    return instrument.isolated_pool(side) if mode is MarginMode.ISOLATED else f"cross:{currency}"


def _adl_rank(row: Row, key: str) -> int | None:
    """A percentile from 0 to 1, told in fifths; the highest are deleveraged first."""
    share = optional_number(row, key)
    return min(int(share * ADL_RANKS) + 1, ADL_RANKS) if share is not None and 0 <= share <= 1 else None


def _once(legs: Sequence[Leg]) -> list[Leg]:
    names = [position.subject for position, _ in legs]
    twins = sorted({name for name in names if names.count(name) > 1})
    if twins:
        raise malformed(f"{', '.join(twins):.200} is listed twice")
    return list(legs)
