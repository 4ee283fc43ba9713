"""One Gate account, parsed: how it is set up, its positions, its margin pools. Pure.

Each settle currency has a futures account of its own, which tells its margin mode. Classic: a cross pool a settle
currency. Unified: the cross positions share one pool with the coins of the account, in US dollars (multi_currency,
portfolio) or in USDT alone (single_currency). An isolated position is a pool in every mode: its margin + its profit.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from monitor.domain.account import FailureKind, Instrument, MarginBalance, MarginMode, Position, PriceOrigin, Side
from monitor.exchange.failures import ReadError
from monitor.exchange.values import (
    Row,
    flag,
    is_absurd,
    malformed,
    mapping,
    not_negative,
    number,
    optional_number,
    optional_positive,
    positive,
    text,
    word,
)
from monitor.exchange.venues.binance_account import ROUNDING
from monitor.exchange.venues.contracts import check_notional
from monitor.exchange.venues.contracts import instrument_of as listed_instrument
from monitor.exchange.venues.venue import AccountReading, AccountSettings, Instruments

CLASSIC, SINGLE = "classic", "single_currency"
MODES = (CLASSIC, SINGLE, "multi_currency", "portfolio")
# margin_mode of a futures account, where margin_mode_name is not told.
MODES_BY_NUMBER = {0: CLASSIC, 1: "multi_currency", 2: "portfolio"}
POSITION_MODES = {"single": "one-way", "dual": "hedge"}
SIDES = {"single": None, "dual_long": Side.LONG, "dual_short": Side.SHORT}
RANKS = 5
# An account's own maintenance may exceed that of the positions listed by this share: the fee to close is up to a fifth
# of it, and it was not seen whether both sums hold it.
MAX_MAINTENANCE_GAP = 0.3

# Settle currency, as Gate writes it in paths -> margin mode.
Modes = Mapping[str, str]


class Raw(NamedTuple):
    """The replies of one read, by settle currency; `unified` only where the account of one is not classic."""

    accounts: Mapping[str, Row]
    positions: Mapping[str, Sequence[Row]]
    unified: Row | None


class Leg(NamedTuple):
    """A position, its row, and the settle currency under which it is listed."""

    position: Position
    row: Row
    settle: str

    @property
    def is_isolated(self) -> bool:
        return self.position.margin_mode is MarginMode.ISOLATED


def parse(raw: Raw, instruments: Instruments, settings: AccountSettings) -> AccountReading:
    """Raises ReadError (malformed, implausible, unsupported)."""
    now = mode_of(raw.accounts)
    if now != settings.mode:
        raise ReadError(FailureKind.IMPLAUSIBLE, f"the account is no longer {settings.mode} but {now}")
    modes = modes_of(settings.mode)
    legs = [
        Leg(_position(row, settle, modes[settle], instruments), row, settle)
        for settle in modes
        for row in raw.positions[settle]
        if number(row, "size") != 0
    ]
    if len({leg.position.subject for leg in legs}) < len(legs):
        raise malformed("a position is listed twice")
    in_use = sum(
        _margin_in_use(raw.accounts[settle], mode, [leg for leg in legs if leg.settle == settle])
        for settle, mode in modes.items()
    )
    return AccountReading(
        margins=(*_cross_pools(raw, modes, legs), *(_isolated_pool(leg) for leg in legs if leg.is_isolated)),
        positions=tuple(leg.position for leg in legs),
        margin_in_use=in_use,
        caveats=settings.caveats,
    )


# --- how it is set up ---


def mode_of(accounts: Mapping[str, Row]) -> str:
    """`usdt classic one-way, btc classic hedge`: of each settle currency its margin mode and its position mode.

    Raises ReadError (unsupported) for a mode that is not read.
    """
    return ", ".join(f"{settle} {_margin_mode(row)} {_position_mode(row)}" for settle, row in accounts.items())


def modes_of(mode: str) -> Modes:
    return {settle: margin for settle, margin, _ in (part.split(" ") for part in mode.split(", "))}


def _margin_mode(account: Row) -> str:
    told = account.get("margin_mode_name") or account.get("margin_mode")
    if told is None:
        raise malformed("margin_mode: not told")
    name = MODES_BY_NUMBER.get(told) if isinstance(told, int) else told
    if name not in MODES:
        raise ReadError(FailureKind.UNSUPPORTED, f"the account's margin mode {told!r:.40} is not read")
    if name == CLASSIC and "enable_evolved_classic" in account and not flag(account, "enable_evolved_classic"):
        raise ReadError(FailureKind.UNSUPPORTED, "the account is in the old classic margin mode, which is not read")
    return str(name)


def _position_mode(account: Row) -> str:
    name = word(account, "position_mode") or ("dual" if flag(account, "in_dual_mode") else "single")
    if name not in POSITION_MODES:
        raise ReadError(FailureKind.UNSUPPORTED, f"the account's position mode {name!r:.40} is not read")
    return POSITION_MODES[name]


# --- positions ---


def instrument_of(row: Row, settle: str, instruments: Instruments) -> Instrument:
    instrument = listed_instrument(row, instruments, "contract")
    if instrument.settle.lower() != settle:
        raise malformed(f"{row['contract']} is listed under {settle}")
    return instrument


def _position(row: Row, settle: str, mode: str, instruments: Instruments) -> Position:
    instrument, side = instrument_of(row, settle, instruments), _side(row)
    contracts, mark_price = abs(number(row, "size")), positive(row, "mark_price")
    price, origin = _liquidation_price(row, side, mark_price, mode)
    isolated = _is_isolated(row)
    together = not isolated and mode not in (CLASSIC, SINGLE)
    cross = "cross:USD" if together else f"cross:{instrument.settle}"
    return Position(
        instrument=instrument,
        side=side,
        pool=instrument.isolated_pool(side) if isolated else cross,
        contracts=contracts,
        size=instrument.size(contracts, mark_price),
        notional=check_notional(instrument, contracts, mark_price, abs(number(row, "value"))),
        mark_price=mark_price,
        entry_price=optional_positive(row, "entry_price"),
        liquidation_price=price,
        liquidation_price_origin=origin,
        leverage=_leverage(row, isolated=isolated),
        margin_mode=MarginMode.ISOLATED if isolated else MarginMode.CROSS,
        initial_margin=optional_positive(row, "initial_margin"),
        maintenance_margin=optional_positive(row, "maintenance_margin"),
        unrealized_pnl=number(row, "unrealised_pnl"),
        adl_rank=_adl_rank(row),
        # A tether counts as a dollar; what settles in a coin settles in its own base, quoted in dollars.
        pool_rate=mark_price if together and instrument.inverse else 1.0,
    )


def _side(row: Row) -> Side:
    """The sign of the size, which in hedge mode must be that of the side named."""
    named, size = text(row, "mode"), number(row, "size")
    if named not in SIDES:
        raise ReadError(FailureKind.UNSUPPORTED, f"a position of the mode {named!r:.40} is not read")
    side = Side.LONG if size > 0 else Side.SHORT
    if SIDES[named] not in (None, side):
        raise malformed(f"mode: {named} with a size of {size:g}")
    return side


def _is_isolated(row: Row) -> bool:
    """By pos_margin_mode, or before there was one by leverage, which is 0 for cross."""
    named = row.get("pos_margin_mode")
    if named not in (None, "", "cross", "isolated"):
        raise malformed(f"pos_margin_mode: {named!r:.40} is no margin mode")
    return named == "isolated" if named else number(row, "leverage") != 0


def _leverage(row: Row, *, isolated: bool) -> float | None:
    return optional_positive(row, "lever") or optional_positive(row, "leverage" if isolated else "cross_leverage_limit")


def _liquidation_price(row: Row, side: Side, mark_price: float, mode: str) -> tuple[float | None, PriceOrigin]:
    """What no price liquidates is told 0 (a long) or 99999999 (a short); of unified accounts that is not known."""
    price = optional_number(row, "liq_price")
    if price is None:
        return None, PriceOrigin.UNKNOWN
    if not is_absurd(price, mark_price):
        return price, PriceOrigin.VENUE
    none = price <= mark_price if side is Side.LONG else price > mark_price
    return None, PriceOrigin.NONE if none and mode == CLASSIC else PriceOrigin.UNKNOWN


def _adl_rank(row: Row) -> int | None:
    """Gate ranks from 1, which goes first, to 5; 6 is no rank."""
    rank = optional_number(row, "adl_ranking")
    return RANKS + 1 - int(rank) if rank is not None and rank in range(1, RANKS + 1) else None


# --- pools ---


def _isolated_pool(leg: Leg) -> MarginBalance:
    return MarginBalance(
        pool=leg.position.pool,
        currency=leg.position.instrument.settle,
        equity=number(leg.row, "margin") + number(leg.row, "unrealised_pnl"),
        maintenance_margin=leg.position.maintenance_margin,
        initial_margin=leg.position.initial_margin,
    )


class Names(NamedTuple):
    """Under which names a reply tells a pool's figures."""

    equity: str
    available: str
    initial: str
    maintenance: str
    rate: str | None


_OF_CLASSIC = Names(
    "cross_margin_balance", "cross_available", "cross_initial_margin", "cross_maintenance_margin", rate=None
)
_OF_TETHER = Names("margin_balance", "available_margin", "im", "mm", "mmr")
_OF_TOTALS = Names(
    "total_margin_balance",
    "total_available_margin",
    "total_initial_margin",
    "total_maintenance_margin",
    "total_maintenance_margin_rate",
)


def _cross_pools(raw: Raw, modes: Modes, legs: Sequence[Leg]) -> list[MarginBalance]:
    """One a classic settle currency, but where nothing lies in it, and one of the unified account."""
    cross = {leg.position.pool for leg in legs if not leg.is_isolated}
    classic = [
        _cross_pool(settle.upper(), raw.accounts[settle], _OF_CLASSIC)
        for settle, mode in modes.items()
        if mode == CLASSIC
    ]
    pools = [pool for pool in classic if pool.pool in cross or pool.equity != 0 or pool.maintenance_margin != 0]
    unified = {mode for mode in modes.values() if mode != CLASSIC}
    if len(unified) > 1:
        raise ReadError(FailureKind.IMPLAUSIBLE, f"the account is {' and '.join(sorted(unified))} at once")
    if unified:
        pools.append(_unified_pool(mapping(raw.unified, "unified.accounts"), unified.pop()))
    if missing := cross - {pool.pool for pool in pools}:
        raise ReadError(FailureKind.UNSUPPORTED, f"positions in {', '.join(sorted(missing))}, of which nothing is told")
    return pools


def _unified_pool(unified: Row, mode: str) -> MarginBalance:
    if unified.get("mode", mode) != mode:
        raise ReadError(FailureKind.IMPLAUSIBLE, f"the account is {mode} and {unified['mode']!r:.40} at once")
    if mode != SINGLE:
        return _cross_pool("USD", unified, _OF_TOTALS)
    balances = mapping(unified.get("balances"), "unified.balances")
    return _cross_pool("USDT", mapping(balances.get("USDT"), "unified.balances.USDT"), _OF_TETHER)


def _cross_pool(currency: str, row: Row, names: Names) -> MarginBalance:
    return MarginBalance(
        pool=f"cross:{currency}",
        currency=currency,
        equity=number(row, names.equity),
        available=number(row, names.available),
        initial_margin=not_negative(row, names.initial),
        maintenance_margin=not_negative(row, names.maintenance),
        venue_margin_ratio=None if names.rate is None else _turned(row, names.rate),
    )


def _turned(row: Row, key: str) -> float | None:
    """Gate's rate is margin balance / maintenance margin, where 1 liquidates and more is better."""
    rate = optional_positive(row, key)
    return None if rate is None else 1 / rate


def _margin_in_use(account: Row, mode: str, legs: Sequence[Leg]) -> float:
    """What the futures account says its positions bind, in its settle currency.

    Raises ReadError (implausible) where that is more than the positions listed explain: the list is short.
    """
    if mode == CLASSIC:
        owed, isolated = not_negative(account, "cross_maintenance_margin"), number(account, "isolated_position_margin")
        cross = [leg for leg in legs if not leg.is_isolated]
        if isolated > ROUNDING and len(cross) == len(legs):
            raise ReadError(FailureKind.IMPLAUSIBLE, "isolated margin is bound, yet no isolated position is listed")
    else:
        owed, isolated, cross = not_negative(account, "maintenance_margin"), 0.0, list(legs)
    listed = [leg.position.maintenance_margin for leg in cross]
    known = [margin for margin in listed if margin is not None]
    if len(known) == len(listed) and owed > sum(known) * (1 + MAX_MAINTENANCE_GAP) + ROUNDING:
        raise ReadError(FailureKind.IMPLAUSIBLE, "more maintenance margin is owed than the positions listed owe")
    return owed + isolated
