"""One account of Kraken Futures, parsed: its positions and its margin pools. Pure.

Kraken's documents of the websocket split the multi-collateral wallet ("flex") into `cross` and `isolated`, and tell
totals beside; this API tells the totals alone. So the equity of an isolated position is estimated as its value at entry
/ leverage + profit, and taken off the wallet's. Its maintenance margin is not known here, so the wallet's is left to be
summed up of the positions margined across.
Liquidation begins where equity falls below the maintenance margin (Equity Protection Process); `lt` and `tt` of a
single-collateral wallet are thresholds that the documents of today no longer name.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from monitor.domain.account import Collateral, Estimate, FailureKind, MarginBalance, MarginMode, Position, Side
from monitor.exchange.failures import ReadError
from monitor.exchange.values import (
    Row,
    malformed,
    mapping,
    not_negative,
    number,
    positive,
    rows,
    text,
)
from monitor.exchange.venues.coins import priced
from monitor.exchange.venues.contracts import instrument_of
from monitor.exchange.venues.venue import AccountReading, AccountSettings, Instruments

FLEX, SINGLE = "multiCollateralMarginAccount", "marginAccount"
FLEX_POOL = "cross:USD"
SIDES = {"long": Side.LONG, "short": Side.SHORT}
COINS = {"XBT": "BTC"}
# Replies of one read that are further apart by the venue's own clock: one of them stands still.
MAX_APART = timedelta(seconds=60)
ROUNDING = 1e-9
BY_MARK = Estimate("unrealized_pnl", "entry price and mark")
OF_ISOLATED = (
    Estimate("equity", "value at entry / leverage + profit or loss"),
    Estimate("initial_margin", "value at entry / leverage"),
)
LESS_ISOLATED = tuple(
    Estimate(figure, "the wallet's, less that of isolated positions")
    for figure in ("equity", "initial_margin", "available")
)


# --- replies ---


def good(reply: object, where: str) -> Row:
    told = mapping(reply, where)
    if told.get("result") != "success":
        raise malformed(f"{where}: the result is {told.get('result')!r:.40}")
    return told


def listed(reply: object, name: str) -> list[Row]:
    return rows(good(reply, name).get(name), name)


def named(row: Row) -> Row:
    """With its symbol in capitals: Kraken writes them small in some replies."""
    return {**row, "symbol": text(row, "symbol").upper()}


def time_at(row: Row, key: str) -> datetime:
    try:
        time = datetime.fromisoformat(text(row, key))
        if time.tzinfo is not None:
            return time.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise malformed(f"{key}: {row[key]!r:.40} is not a time")


def server_time(reply: object) -> datetime:
    return time_at(mapping(reply, "reply"), "serverTime")


def tickers_by_symbol(reply: object) -> Mapping[str, Row]:
    return {row["symbol"]: row for row in map(named, listed(reply, "tickers"))}


# --- the account ---


def parse(raw: Sequence[Any], instruments: Instruments, settings: AccountSettings) -> AccountReading:
    """Of the replies of accounts, openpositions and tickers. Raises ReadError (malformed, implausible)."""
    accounts = mapping(good(raw[0], "accounts").get("accounts"), "accounts")
    told = [row for row in map(named, listed(raw[1], "openPositions")) if number(row, "size") != 0]
    tickers = tickers_by_symbol(raw[2])
    _check_together(raw)
    _check_balances(accounts, told, instruments)
    positions = tuple(_position(row, instruments, tickers) for row in told)
    if len({position.subject for position in positions}) < len(positions):
        raise malformed("a position is listed twice")
    wallets = [_flex_pool(accounts), *_single_pools(accounts)]
    _check_explained(wallets, positions)
    isolated = [position for position in positions if position.margin_mode is MarginMode.ISOLATED]
    held = {position.pool for position in positions}
    flex, *singles = (wallet for wallet in wallets if wallet.pool in {FLEX_POOL, *held} or _is_used(wallet))
    margins = (_without(flex, isolated), *singles, *map(_isolated_pool, isolated))
    if missing := held - {margin.pool for margin in margins}:
        raise malformed(f"positions without a wallet: {', '.join(sorted(missing)):.200}")
    return AccountReading(
        margins=margins,
        positions=positions,
        margin_in_use=sum(wallet.maintenance_margin or 0.0 for wallet in wallets),
        collateral=tuple(_collateral(accounts)),
        caveats=settings.caveats,
    )


def _check_together(raw: Sequence[Any]) -> None:
    times = [server_time(reply) for reply in raw]
    if max(times) - min(times) > MAX_APART:
        raise ReadError(FailureKind.IMPLAUSIBLE, f"a reply stands still since {min(times):%H:%M:%S} UTC")


def _position(row: Row, instruments: Instruments, tickers: Mapping[str, Row]) -> Position:
    instrument = instrument_of(row, instruments)
    side = SIDES.get(text(row, "side"))
    if side is None:
        raise malformed(f"side: {row['side']:.40} is not a side")
    if row["symbol"] not in tickers:
        raise malformed(f"{instrument.symbol}: the tickers do not list it")
    contracts, mark_price = positive(row, "size"), positive(tickers[row["symbol"]], "markPrice")
    entry_price = positive(row, "price")
    # Null or without it is margined across; anything else says that it is isolated.
    leverage = None if row.get("maxFixedLeverage") is None else positive(row, "maxFixedLeverage")
    return Position(
        instrument=instrument,
        side=side,
        pool=f"cross:{instrument.settle}" if leverage is None else instrument.isolated_pool(side),
        contracts=contracts,
        size=instrument.size(contracts, mark_price),
        notional=instrument.notional(contracts, mark_price),
        mark_price=mark_price,
        entry_price=entry_price,
        leverage=leverage,
        margin_mode=MarginMode.CROSS if leverage is None else MarginMode.ISOLATED,
        unrealized_pnl=instrument.pnl(side, contracts, entry_price, mark_price),
        estimates=(BY_MARK,),
    )


# --- pools ---


def _flex_pool(accounts: Row) -> MarginBalance:
    flex = mapping(accounts.get("flex"), "accounts.flex")
    if text(flex, "type") != FLEX:
        raise ReadError(FailureKind.UNSUPPORTED, f"the flex wallet is a {flex['type']:.60}, which is not read")
    return MarginBalance(
        pool=FLEX_POOL,
        currency="USD",
        equity=number(flex, "marginEquity"),
        available=number(flex, "availableMargin"),
        initial_margin=not_negative(flex, "initialMargin"),
        maintenance_margin=not_negative(flex, "maintenanceMargin"),
    )


def _collateral(accounts: Row) -> Iterator[Collateral]:
    """The coins of the flex wallet at Kraken's price; what `collateral` lacks of their `value` is the haircut."""
    told = mapping(mapping(accounts["flex"], "accounts.flex").get("currencies", {}), "flex.currencies")
    for name, held in told.items():
        coin = mapping(held, f"flex.currencies.{name:.20}")
        quantity, value, counted = (number(coin, key) for key in ("quantity", "value", "collateral"))
        haircut = min(max(1 - counted / value, 0.0), 1.0) if value else None
        yield from priced(COINS.get(name, name), quantity, value, haircut)


def _singles(accounts: Row) -> Iterator[tuple[str, Row]]:
    for name, told in accounts.items():
        if isinstance(told, dict) and told.get("type") == SINGLE:
            yield name, told


def _single_pools(accounts: Row) -> list[MarginBalance]:
    """`fi_xbtusd` holds the Bitcoin behind all inverse contracts of that pair; a wallet of another kind, which no
    contract of today has, goes by its own name."""
    pools = []
    for name, told in _singles(accounts):
        coin = text(told, "currency").upper()
        currency = COINS.get(coin, coin)
        has, owes = (mapping(told.get(part), f"{name:.40}.{part}") for part in ("auxiliary", "marginRequirements"))
        pools.append(
            MarginBalance(
                pool=f"cross:{currency}" if name.lower() == f"fi_{coin.lower()}usd" else f"cross:{name}",
                currency=currency,
                equity=number(has, "pv"),
                available=number(has, "af"),
                initial_margin=not_negative(owes, "im"),
                maintenance_margin=not_negative(owes, "mm"),
            )
        )
    return pools


def _is_used(pool: MarginBalance) -> bool:
    return abs(pool.equity or 0.0) > ROUNDING or bool(pool.maintenance_margin)


def _at_entry(position: Position) -> float:
    """What an isolated position was given."""
    assert position.entry_price is not None
    assert position.leverage is not None
    return position.instrument.notional(position.contracts, position.entry_price) / position.leverage


def _profit(position: Position) -> float:
    assert position.unrealized_pnl is not None
    return position.unrealized_pnl


def _isolated_pool(position: Position) -> MarginBalance:
    given = _at_entry(position)
    return MarginBalance(
        pool=position.pool,
        currency=position.instrument.settle,
        equity=given + _profit(position),
        maintenance_margin=None,
        initial_margin=given,
        estimates=OF_ISOLATED,
    )


def _without(flex: MarginBalance, isolated: Sequence[Position]) -> MarginBalance:
    """What of the wallet stands behind positions margined across. `available` is equity less initial margin."""
    if not isolated:
        return flex
    given, profit = sum(map(_at_entry, isolated)), sum(map(_profit, isolated))
    return replace(
        flex,
        equity=(flex.equity or 0.0) - given - profit,
        available=(flex.available or 0.0) - profit,
        initial_margin=max(0.0, (flex.initial_margin or 0.0) - given),
        maintenance_margin=None,
        estimates=LESS_ISOLATED,
    )


# --- whether the list of positions is whole ---


def _check_explained(wallets: Sequence[MarginBalance], positions: Sequence[Position]) -> None:
    """Maintenance is owed for open positions alone: where it is, one must be listed."""
    held = {f"cross:{position.instrument.settle}" for position in positions}
    for wallet in wallets:
        if wallet.maintenance_margin and wallet.pool not in held:
            raise ReadError(
                FailureKind.IMPLAUSIBLE, f"{wallet.pool:.60} owes maintenance margin for positions that are not listed"
            )


def _check_balances(accounts: Row, told: Sequence[Row], instruments: Instruments) -> None:
    """The documents' single-collateral wallets list the contracts held in them beside their coin."""
    symbols = {row["symbol"] for row in told}
    for name, wallet in _singles(accounts):
        balances = mapping(wallet.get("balances"), f"{name:.40}.balances")
        for held in balances:
            if held.upper() in instruments and number(balances, held) != 0 and held.upper() not in symbols:
                raise ReadError(FailureKind.IMPLAUSIBLE, f"{held:.40} is held by its wallet, yet not listed")
