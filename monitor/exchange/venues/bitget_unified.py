"""Unified accounts of Bitget: one pool in dollars, and one of each isolated position. Pure.

`mgnRatio` is (maintenance + fee of being liquidated) / effective equity, and liquidates at 1; it is told rounded, so
that what the pool must hold is the greater of ratio x equity and the maintenance told. `mmr` of a position is the rate
of its bracket, without the fee of closing. `positionBalance` of a position across is worth / leverage + fee, at the
mark (as in two replies of the documents), of an isolated one its margin. Contracts of BTCUSD_CM are of one dollar, as
other projects measured: what a position binds is held against that.
"""

from collections.abc import Sequence
from dataclasses import replace

from monitor.domain.account import Estimate, FailureKind, MarginBalance, MarginMode, Position
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
from monitor.exchange.venues.bitget_rows import (
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
from monitor.exchange.venues.coins import collateral_of
from monitor.exchange.venues.completeness import check_held_once
from monitor.exchange.venues.contracts import instrument_of
from monitor.exchange.venues.venue import AccountReading, AccountSettings, Instruments

UNIFIED = "unified account"
ACCOUNT_MODES = frozenset({"unified", "hybrid"})
MOVING = frozenset({"upgrading", "switching"})
# Delta-neutral accounts have rules of their own, and are refused.
LEVELS = frozenset({"basic", "advanced", "isolated"})
HOLD_MODES = {"one_way_mode": "one-way", "hedge_mode": "hedge"}
DOLLARS = ("USDT", "USDC", "USD")
A_DOLLAR = Estimate("pool_rate", "a stablecoin counts as a dollar")
AT_THE_MARK = Estimate("pool_rate", "a coin counts at its mark, without the venue's haircut")
BY_ITS_RATE = Estimate("maintenance_margin", "mmr x notional at the mark, without the fee of closing")

# A position with its own row.
Leg = tuple[Position, Row]


def is_unified(settings: AccountSettings) -> bool:
    return settings.mode.startswith(UNIFIED)


def mode_words(told: object) -> str:
    """In words for the owner. Raises ReadError (unsupported, maintenance) for what is not to be read now."""
    settings = mapping(told, "account/settings")
    mode, level, hold = text(settings, "accountMode"), text(settings, "accountLevel"), text(settings, "holdMode")
    if mode in MOVING:
        raise ReadError(FailureKind.MAINTENANCE, f"the account is being moved to another mode ({mode})")
    for named, known in ((mode, ACCOUNT_MODES), (level, LEVELS), (hold, HOLD_MODES)):
        if named not in known:
            raise ReadError(FailureKind.UNSUPPORTED, f"the account is in mode {named!r:.40}, which is not understood")
    return f"{UNIFIED}, {level} mode, {HOLD_MODES[hold]}"


def parse_unified(
    listed: Sequence[object], assets: object, ranks: Sequence[object], instruments: Instruments
) -> AccountReading:
    """`listed` are the positions by category. Raises ReadError (malformed, implausible, unsupported)."""
    told_ranks = ranks_of(ranks, "adlRank")
    legs = [
        leg for reply in listed for row in _rows_of(reply) if (leg := _leg(row, instruments, told_ranks)) is not None
    ]
    check_held_once(position for position, _ in legs)
    account = mapping(data_of(assets, "account/assets"), "account/assets")
    coins = {text(row, "coin"): row for row in rows(account.get("assets") or [], "assets")}
    isolated = [_isolated_pool(position, row) for position, row in legs if position.margin_mode is MarginMode.ISOLATED]
    return AccountReading(
        margins=(_cross_pool(account, legs), *isolated),
        positions=tuple(position for position, _ in legs),
        margin_in_use=not_negative(account, "mmr"),
        collateral=collateral_of(coins, value="usdValue", equity="equity"),
    )


def _rows_of(reply: object) -> list[Row]:
    """The list is null where nothing is held; a reply without one is broken."""
    data = mapping(data_of(reply, "current-position"), "current-position")
    if "list" not in data:
        raise malformed("current-position: the reply holds no list")
    return rows(data["list"] if data["list"] is not None else [], "current-position")


def _leg(row: Row, instruments: Instruments, ranks: Ranks) -> Leg | None:
    """None for a row without contracts."""
    contracts = not_negative(row, "total")
    if contracts == 0:
        return None
    instrument, side, mode = instrument_of(row, instruments), side_of(row, "posSide"), mode_of(row)
    check_margin_coin(row, instrument)
    mark_price = positive(row, "markPrice")
    price, origin = liquidation_price(row, mark_price)
    position = Position(
        instrument=instrument,
        side=side,
        pool=pool_of(instrument, side, mode, "USD"),
        contracts=contracts,
        size=instrument.size(contracts, mark_price),
        notional=instrument.notional(contracts, mark_price),
        mark_price=mark_price,
        entry_price=optional_positive(row, "avgPrice"),
        liquidation_price=price,
        liquidation_price_origin=origin,
        leverage=optional_positive(row, "leverage"),
        margin_mode=mode,
        initial_margin=not_negative(row, "positionBalance"),
        unrealized_pnl=number(row, "unrealisedPnl"),
        adl_rank=ranks.get((text(row, "symbol"), side)),
    )
    if instrument.inverse:
        owed = not_negative(row, "mmr") * position.notional
        position = replace(position, maintenance_margin=owed, estimates=(BY_ITS_RATE,))
    if mode is MarginMode.CROSS:
        check_worth(position)
        position = _in_dollars(position)
    return check_unit(position), row


def _in_dollars(position: Position) -> Position:
    settle = position.instrument.settle
    rate, basis = (1.0, A_DOLLAR) if settle in DOLLARS else (position.mark_price, AT_THE_MARK)
    return replace(position, pool_rate=rate, estimates=(*position.estimates, basis))


def _cross_pool(account: Row, legs: Sequence[Leg]) -> MarginBalance:
    """Where money is borrowed, its maintenance is part of the account's, and no list of positions explains it."""
    equity, owed, ratio = number(account, "effEquity"), not_negative(account, "mmr"), not_negative(account, "mgnRatio")
    borrows = any((optional_number(row, "debt") or 0.0) > 0 for row in rows(account.get("assets") or [], "assets"))
    if not borrows:
        cross = ((p, row) for p, row in legs if p.margin_mode is MarginMode.CROSS)
        check_owed(owed, (p.notional * p.pool_rate * not_negative(row, "mmr") for p, row in cross), "the account")
    return MarginBalance(
        pool="cross:USD",
        currency="USD",
        equity=equity,
        initial_margin=not_negative(account, "imr"),
        maintenance_margin=max(owed, ratio * equity),
        venue_margin_ratio=ratio,
    )


def _isolated_pool(position: Position, row: Row) -> MarginBalance:
    """Its maintenance is made of brackets: the venue tells no ratio of it."""
    return MarginBalance(
        pool=position.pool,
        currency=position.instrument.settle,
        equity=not_negative(row, "positionBalance") + (position.unrealized_pnl or 0.0),
        maintenance_margin=None,
        initial_margin=position.initial_margin,
    )
