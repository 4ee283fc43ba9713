"""What positions and pools of Bitget's classic and unified accounts have in common. Pure."""

from collections.abc import Iterable, Mapping
from contextlib import suppress

from monitor.domain.account import FailureKind, Instrument, MarginMode, Position, PriceOrigin, Side
from monitor.exchange.failures import ReadError
from monitor.exchange.values import Row, is_absurd, malformed, mapping, optional_number, rows, text

SUCCESS = "00000"
MODES = {"crossed": MarginMode.CROSS, "isolated": MarginMode.ISOLATED}
# A profit told that is further from that of so many contracts, as a share of their worth, is one of another unit.
MAX_PROFIT_GAP = 0.5
# What a position across binds x its leverage may differ from its worth by this factor: another unit differs by more.
MAX_WORTH_FACTOR = 10.0
# The maintenance an account owes may exceed that of the positions listed by this factor: the fee of closing, and
# brackets that are told roughly.
MAX_MAINTENANCE_GAP = 1.5
ROUNDING = 1e-6
ADL_RANKS = 5

Ranks = Mapping[tuple[str, str], int]


def data_of(reply: object, where: str) -> object:
    envelope = mapping(reply, where)
    if envelope.get("code") != SUCCESS or "data" not in envelope:
        raise malformed(f"{where}: the reply does not say that it succeeded, or holds no data")
    return envelope["data"]


def side_of(row: Row, key: str) -> Side:
    named = row.get(key)
    if named not in ("long", "short"):
        raise malformed(f"{key}: {named!r:.40} is not a side")
    return Side(named)


def mode_of(row: Row) -> MarginMode:
    mode = MODES.get(str(row.get("marginMode")))
    if mode is None:
        raise malformed(f"marginMode: {row.get('marginMode')!r:.40} is not a margin mode")
    return mode


def pool_of(instrument: Instrument, side: Side, mode: MarginMode, currency: str) -> str:
    return instrument.isolated_pool(side) if mode is MarginMode.ISOLATED else f"cross:{currency}"


def liquidation_price(row: Row, mark_price: float) -> tuple[float | None, PriceOrigin]:
    """0 and less say that there is none, by both documents."""
    price = optional_number(row, "liquidationPrice")
    if price is not None and price <= 0:
        return None, PriceOrigin.NONE
    if price is None or is_absurd(price, mark_price):
        return None, PriceOrigin.UNKNOWN
    return price, PriceOrigin.VENUE


def check_margin_coin(row: Row, instrument: Instrument) -> None:
    coin = text(row, "marginCoin")
    if coin != instrument.settle:
        raise ReadError(
            FailureKind.UNSUPPORTED, f"{instrument.symbol} is margined in {coin:.20}, which is not understood"
        )


def check_unit(position: Position) -> Position:
    """Raises ReadError (implausible) where the profit told is not that of so many contracts."""
    if position.entry_price is None or position.unrealized_pnl is None:
        return position
    ours = position.instrument.pnl(position.side, position.contracts, position.entry_price, position.mark_price)
    if abs(position.unrealized_pnl - ours) > MAX_PROFIT_GAP * position.notional + ROUNDING:
        raise ReadError(
            FailureKind.IMPLAUSIBLE,
            f"{position.subject}: {position.contracts:g} contracts have a profit of {ours:g} at the mark, the venue "
            f"tells {position.unrealized_pnl:g}",
        )
    return position


def check_worth(position: Position) -> None:
    """Raises ReadError (implausible) where a position across binds what so many contracts never would."""
    bound = (position.initial_margin or 0.0) * (position.leverage or 0.0)
    if not position.notional / MAX_WORTH_FACTOR <= bound <= position.notional * MAX_WORTH_FACTOR:
        raise ReadError(
            FailureKind.IMPLAUSIBLE,
            f"{position.subject}: {position.contracts:g} contracts are worth {position.notional:g}, yet bind "
            f"{position.initial_margin:g} at a leverage of {position.leverage or 0:g}",
        )


def check_owed(owed: float, listed: Iterable[float], where: str) -> None:
    """Raises ReadError (implausible) where an account owes more maintenance than the positions listed explain."""
    explained = sum(listed)
    if owed > explained * MAX_MAINTENANCE_GAP + ROUNDING:
        raise ReadError(
            FailureKind.IMPLAUSIBLE,
            f"{where} owes {owed:g} of maintenance margin, the positions listed about {explained:g}: a list is short",
        )


def ranks_of(replies: Iterable[object], key: str) -> Ranks:
    """(raw symbol, side) -> rank; nothing of a reply that is none, or not sound: a rank is worth no read."""
    found: dict[tuple[str, str], int] = {}
    for reply in replies:
        with suppress(ReadError):
            found |= _ranks(rows(data_of(reply, "adlRank"), "adlRank"), key)
    return found


def _ranks(listed: Iterable[Row], key: str) -> Ranks:
    shares = {(text(row, "symbol"), str(row.get("holdSide"))): optional_number(row, key) for row in listed}
    return {
        name: min(int(share * ADL_RANKS) + 1, ADL_RANKS)
        for name, share in shares.items()
        if share is not None and 0 <= share <= 1
    }
