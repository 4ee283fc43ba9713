"""One OKX account, parsed: its positions and its margin pools, by account mode. Pure.

Recorded replies show what the documents leave open: `imr` and `mmr` of a position are in its settle currency (the
documents say dollars), the cross equity of a currency is cashBal + upl - isoUpl (`eq` also holds isolated margin and
what trading bots were given), and `liqPx` may be empty. Under portfolio margin a position's `imr` and `mmr` are those
of its risk unit, so they are not taken for the position's.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from monitor.domain.account import FailureKind, Instrument, MarginBalance, MarginMode, Position, Side
from monitor.exchange.failures import ReadError
from monitor.exchange.values import (
    SMALLEST,
    Row,
    malformed,
    not_negative,
    number,
    optional_number,
    optional_positive,
    positive,
    rows,
    text,
    word,
)
from monitor.exchange.venues.coins import Rates, collateral_of, dollar_rates, rate_of
from monitor.exchange.venues.completeness import caveats_of, check_held_once
from monitor.exchange.venues.contracts import instrument_of, known_price
from monitor.exchange.venues.venue import AccountReading, AccountSettings, Instruments

SPOT, FUTURES, MULTI, PORTFOLIO = "spot mode", "futures mode", "multi-currency margin", "portfolio margin"
UNIFIED_POOL = "cross:USD"
CONTRACTS = ("SWAP", "FUTURES")
SIDES = {"long": Side.LONG, "short": Side.SHORT}
RANKS = 5
# `notionalUsd` is in dollars at the index; further from ours than this factor, the size is in other units.
VALUE_SLACK = 1.25
# The account's own sum may exceed that of the positions listed by this factor: marks move between two calls.
MAX_NOTIONAL_GAP = 1.1
# Of maintenance: whether it holds open orders as well, as under multi-currency margin, is not documented.
MAX_MAINTENANCE_GAP = 1.5
ROUNDING = 1e-6
NOTIONALS = {"SWAP": "notionalUsdForSwap", "FUTURES": "notionalUsdForFutures"}


class Leg(NamedTuple):
    """A position and its row; `currency` is that of its margin."""

    position: Position
    row: Row
    currency: str

    @property
    def is_isolated(self) -> bool:
        return self.position.margin_mode is MarginMode.ISOLATED


def parse(balance: Row, listed: Sequence[Row], instruments: Instruments, settings: AccountSettings) -> AccountReading:
    """Raises ReadError (malformed, implausible, unsupported)."""
    mode = settings.mode.partition(",")[0]
    held = [row for row in listed if _is_held(row)]
    coins = _coins(balance)
    rates = dollar_rates(coins, value="eqUsd", equity="eq")
    legs = [_leg(row, instruments, mode, rates) for row in held if is_of_contract(row)]
    others = [row for row in held if not is_of_contract(row)]
    check_held_once(leg.position for leg in legs)
    _check_isolated(balance, coins, listed, mode)
    if mode == FUTURES:
        cross = _futures_pools(coins, legs, others)
        in_use = sum(not_negative(coin, "isoEq") + (optional_number(coin, "mmr") or 0.0) for coin in coins.values())
    else:
        cross = _unified_pools(balance, held, mode)
        in_use = sum(optional_number(balance, key) or 0.0 for key in ("isoEq", "mmr"))
    return AccountReading(
        margins=(*cross, *(_isolated_pool(leg) for leg in legs if leg.is_isolated)),
        positions=tuple(leg.position for leg in legs),
        margin_in_use=in_use,
        collateral=collateral_of(coins, value="eqUsd", equity="eq"),
        caveats=(*settings.caveats, *caveats_of(others, "instType")),
    )


def _coins(balance: Row) -> dict[str, Row]:
    listed = rows(balance.get("details"), "balance.details")
    coins = {text(coin, "ccy"): coin for coin in listed}
    if len(coins) < len(listed):
        raise malformed("a currency is listed twice")
    return coins


# --- positions ---


def _is_held(row: Row) -> bool:
    """OKX lists empty ones with 0: a contract whose amount is not told is no empty one."""
    return (number(row, "pos") if is_of_contract(row) else optional_number(row, "pos") or 0.0) != 0


def is_of_contract(row: Row) -> bool:
    """Perpetual or dated; what else there is (margin, options, events) is not read."""
    return text(row, "instType") in CONTRACTS


def _leg(row: Row, instruments: Instruments, mode: str, rates: Rates) -> Leg:
    instrument, side, currency = instrument_of(row, instruments, "instId"), _side(row), text(row, "ccy")
    contracts, mark_price = abs(number(row, "pos")), positive(row, "markPx")
    notional = instrument.notional(contracts, mark_price)
    isolated = _is_isolated(row)
    if mode == SPOT:
        raise malformed(f"{instrument.symbol} is held, which spot mode has no contracts for")
    if not isolated and mode != PORTFOLIO:
        positive(row, "lever")  # told of all but portfolio margin: another mode otherwise
    _check_value(row, instrument, notional, mark_price)
    cross = f"cross:{currency}" if mode == FUTURES else UNIFIED_POOL
    initial, maintenance = _margins(row, instrument, notional, mark_price, mode)
    price, origin = known_price(row, "liqPx", mark_price)
    position = Position(
        instrument=instrument,
        side=side,
        pool=instrument.isolated_pool(side) if isolated else cross,
        contracts=contracts,
        size=instrument.size(contracts, mark_price),
        notional=notional,
        mark_price=mark_price,
        entry_price=optional_positive(row, "avgPx"),
        liquidation_price=price,
        liquidation_price_origin=origin,
        leverage=optional_positive(row, "lever"),
        margin_mode=MarginMode.ISOLATED if isolated else MarginMode.CROSS,
        initial_margin=initial,
        maintenance_margin=maintenance,
        unrealized_pnl=number(row, "upl"),
        adl_rank=_adl_rank(row),
        pool_rate=1.0 if isolated or mode == FUTURES else rate_of(currency, instrument, mark_price, rates),
    )
    return Leg(position, row, currency)


def _side(row: Row) -> Side:
    """Of net positions the sign of `pos` says it."""
    named, amount = text(row, "posSide"), number(row, "pos")
    if named == "net":
        return Side.LONG if amount > 0 else Side.SHORT
    if named not in SIDES:
        raise malformed(f"posSide: {named:.20} is not a side")
    if amount < 0:
        raise malformed(f"pos: {amount:g} of a {named}")
    return SIDES[named]


def _is_isolated(row: Row) -> bool:
    named = text(row, "mgnMode")
    if named not in ("cross", "isolated"):
        raise malformed(f"mgnMode: {named:.20} is no margin mode")
    return named == "isolated"


def _check_value(row: Row, instrument: Instrument, notional: float, mark_price: float) -> None:
    told = optional_positive(row, "notionalUsd")
    ours = notional * (mark_price if instrument.inverse else optional_positive(row, "usdPx") or 1.0)
    if told is not None and not ours / VALUE_SLACK <= told <= ours * VALUE_SLACK:
        raise ReadError(
            FailureKind.IMPLAUSIBLE, f"{instrument.symbol}: worth {ours:g} dollars by its size, the venue says {told:g}"
        )


def _margins(
    row: Row, instrument: Instrument, notional: float, mark_price: float, mode: str
) -> tuple[float | None, float | None]:
    """(initial, maintenance) in settle units. Of an isolated position no initial margin is told.

    Recorded replies of linear cross positions and of an isolated inverse one are in the settle currency, the documents
    speak of dollars. Which of the two an inverse cross position is told in shows by its leverage.
    """
    if _is_isolated(row):
        return None, not_negative(row, "mmr")
    if mode == PORTFOLIO:
        return None, None
    initial, maintenance = not_negative(row, "imr"), not_negative(row, "mmr")
    if instrument.inverse:
        due = notional / positive(row, "lever")
        if initial < SMALLEST:
            return None, None
        if abs(math.log(initial / due)) > abs(math.log(initial / (due * mark_price))):
            return initial / mark_price, maintenance / mark_price
    return initial, maintenance


def _adl_rank(row: Row) -> int | None:
    """0 to 5, and 5 goes first; the lowest of ours is 1."""
    rank = optional_number(row, "adl")
    return max(1, int(rank)) if rank is not None and rank in range(RANKS + 1) else None


# --- pools ---


def _pool(name: str, currency: str, equity: float, row: Row) -> MarginBalance:
    """`mgnRatio` is empty where nothing is owed; it is no ratio where the equity is gone, and `mmr` stands alone."""
    ratio = optional_positive(row, "mgnRatio")
    told = 0.0 if optional_number(row, "mmr") is None else not_negative(row, "mmr")
    if told > 0 and optional_number(row, "mgnRatio") is None:
        raise malformed(f"mgnRatio: not told of {name:.60}, though maintenance is owed")
    return MarginBalance(
        pool=name,
        currency=currency,
        equity=equity,
        maintenance_margin=told if ratio is None else max(told, equity / ratio),
        initial_margin=optional_number(row, "imr"),
        available=optional_number(row, "availEq"),
        venue_margin_ratio=None if ratio is None else 1 / ratio,
    )


def _isolated_pool(leg: Leg) -> MarginBalance:
    equity = number(leg.row, "margin") + number(leg.row, "upl")
    return _pool(leg.position.pool, leg.position.instrument.settle, equity, leg.row)


def _futures_pools(coins: Mapping[str, Row], legs: Sequence[Leg], others: Sequence[Row]) -> list[MarginBalance]:
    """One a currency, but where nothing lies in it.

    Raises ReadError: implausible where more maintenance is owed in one than its positions listed owe.
    """
    cross = [leg for leg in legs if not leg.is_isolated]
    unread = {word(row, "ccy") for row in others}
    if missing := {leg.currency for leg in cross} - coins.keys():
        raise malformed(f"the account does not list {', '.join(sorted(missing)):.40}, in which a position is margined")
    pools = []
    for name, coin in coins.items():
        listed = [leg.position.maintenance_margin or 0.0 for leg in cross if leg.currency == name]
        owed = not_negative(coin, "mmr") if listed else optional_number(coin, "mmr") or 0.0
        if name not in unread and owed > sum(listed) * MAX_MAINTENANCE_GAP + ROUNDING:
            raise ReadError(
                FailureKind.IMPLAUSIBLE, f"more maintenance margin is owed in {name:.20} than the positions listed owe"
            )
        pool = _pool(
            f"cross:{name}", name, number(coin, "cashBal") + number(coin, "upl") - number(coin, "isoUpl"), coin
        )
        if pool.equity != 0 or owed or listed:
            pools.append(pool)
    return pools


def _unified_pools(balance: Row, held: Sequence[Row], mode: str) -> list[MarginBalance]:
    """One pool in US dollars; spot mode has it only where it may borrow.

    Raises ReadError: implausible where the account's own notional exceeds that of the positions listed.
    """
    if mode == SPOT and optional_number(balance, "adjEq") is None:
        return []
    for kind, name in NOTIONALS.items():
        listed = sum(abs(optional_number(row, "notionalUsd") or 0.0) for row in held if row.get("instType") == kind)
        if (optional_number(balance, name) or 0.0) > listed * MAX_NOTIONAL_GAP + ROUNDING:
            raise ReadError(FailureKind.IMPLAUSIBLE, f"{name} is more than the positions listed are worth")
    if mode != SPOT:
        not_negative(balance, "mmr")
    return [_pool(UNIFIED_POOL, "USD", number(balance, "adjEq"), balance)]


def _check_isolated(balance: Row, coins: Mapping[str, Row], listed: Sequence[Row], mode: str) -> None:
    """Isolated equity lies with positions, with empty ones as well where it is moved by hand; none listed, the list is
    short."""
    told = [optional_number(coin, "isoEq") or 0.0 for coin in coins.values()] if mode == FUTURES else []
    bound = max([*told, optional_number(balance, "isoEq") or 0.0])
    if bound > ROUNDING and not any(row.get("mgnMode") == "isolated" for row in listed):
        raise ReadError(FailureKind.IMPLAUSIBLE, "isolated margin is bound, yet no isolated position is listed")
