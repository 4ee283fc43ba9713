"""Any other venue ccxt knows: its positions as ccxt reads them, less every figure that cannot be vouched for.

ccxt reads many broken replies as "no positions" and computes figures that the venue never sent. So the raw replies are
recorded: the position list must stand where the venue puts it, and a liquidation price or margin is taken only where
the raw reply holds the same number. The account's margin ratio is unknown: no unified figure tells it rightly.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import ccxt.async_support as ccxt

from monitor.domain.account import (
    End,
    FailureKind,
    Instrument,
    MarginBalance,
    MarginMode,
    Position,
    PriceOrigin,
    Side,
    StopOrder,
)
from monitor.domain.market import Book, Tiers
from monitor.domain.study import Candle, Frame
from monitor.exchange.budget import CALLS_PER_SECOND
from monitor.exchange.client import Rules, recorded_replies
from monitor.exchange.failures import BROKEN_PARSING, ReadError, failed_request
from monitor.exchange.guard import looks_like_a_read
from monitor.exchange.together import together
from monitor.exchange.values import (
    SMALLEST,
    Row,
    in_places,
    is_absurd,
    malformed,
    mapping,
    number,
    optional_number,
    optional_positive,
    plain_number,
    positive,
    rows,
    scalars,
    text,
)
from monitor.exchange.venues.books import book_of, refuse_old, sides_of
from monitor.exchange.venues.candles import CANDLE, candles_of
from monitor.exchange.venues.figures import Figures
from monitor.exchange.venues.generic_tables import ENVELOPES, FIGURES, SCOPES, UNVOUCHED
from monitor.exchange.venues.venue import (
    AccountReading,
    AccountSettings,
    Extras,
    Held,
    Instruments,
    KeyFacts,
    Mark,
    clock_ahead_s,
    marks_of,
)

# Plain calls a minute where we know no venue's weights; every request counts as one.
CALLS_PER_MINUTE = 300
RELATIVE_ERROR = 1e-9

# The methods of ccxt that are called below; no other can be.
CALLS = frozenset(
    {
        *("load_markets", "fetch_positions", "fetch_balance", "fetch_funding_rates", "fetch_time"),
        *("fetch_ohlcv", "fetch_order_book"),
    }
)

# The venue's own notional is valued at entry, or at a mark; further than this factor from ours, size or mark are wrong.
NOTIONAL_SLACK = 2.0
ENTRY_ERROR = 1e-3
_HOURS = re.compile(r"(\d{1,3})h", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class GenericVenue(Extras):
    """Reads `id` through ccxt's unified calls."""

    id: str
    weight_per_minute: int = CALLS_PER_MINUTE
    calls_per_second: int = CALLS_PER_SECOND
    marks_origin: str = "fetchFundingRates"
    key_steps: str = "make a key that may only read, without the right to trade, transfer or withdraw"
    figures: Figures = field(default_factory=lambda: FIGURES, repr=False)
    rules: Rules = field(init=False)

    def __post_init__(self) -> None:
        rules = Rules(
            calls=CALLS,
            permits=lambda method, path: looks_like_a_read(self.id, method, path),
            options={"defaultType": "swap"},
        )
        object.__setattr__(self, "rules", rules)

    @property
    def coverage(self) -> tuple[str, ...]:
        told = [*UNVOUCHED]
        if self.id in SCOPES:
            told.append(SCOPES[self.id])
        if self.id not in ENVELOPES:
            told.append(f"an empty position list of {self.id} cannot be told from a broken reply")
        return tuple(told)

    async def read_instruments(self, client: Any) -> Instruments:
        if client.has.get("fetchPositions") is not True:
            raise ReadError(FailureKind.UNSUPPORTED, f"{self.id} has no call that lists all positions")
        markets = mapping(await _unified(client.load_markets(True)), "markets")
        listed = {
            symbol: Instrument(
                venue=self.id,
                symbol=symbol,
                base=text(market, "base"),
                quote=text(market, "quote"),
                settle=text(market, "settle"),
                contract_size=positive(market, "contractSize"),
                inverse=market["inverse"] is True,
            )
            for symbol, market in markets.items()
            if market.get("contract")
            and not market.get("option")
            and market.get("contractSize")
            and market.get("settle")
        }
        if not listed:
            raise malformed(f"{self.id} lists no contract")
        return listed

    async def read_settings(self, _client: Any, /) -> AccountSettings:
        return AccountSettings(caveats=self.coverage)

    async def read_account(self, client: Any, _settings: AccountSettings, /) -> Any:
        """(unified positions, raw replies they were parsed from, unified balance, unified funding rates).

        The rates hold the marks, and are asked for only where a position comes without one of the venue's own: ccxt
        makes some of a notional that may be valued at entry.
        """
        if client.public is not None and client.markets is not client.public.markets:
            _share_markets(client)
        (positions, replies), balance = await together(_positions(client), _unified(client.fetch_balance()))
        rates: Any = {}
        if any(row.get("contracts") and _mark_price(row) is None for row in rows(positions, "positions")):
            rates = await self._rates(client)
        return positions, replies, balance, rates

    def parse_account(self, raw: Any, instruments: Instruments, settings: AccountSettings) -> AccountReading:
        unified, replies, balance, rates = raw
        self._check_envelope(replies)
        positions = tuple(
            position
            for row in rows(unified, "positions")
            if (position := _position(row, instruments, rates)) is not None
        )
        _refuse_twins(positions)
        currencies = sorted({position.instrument.settle for position in positions})
        margins = tuple(
            MarginBalance(pool=f"account:{currency}", currency=currency, equity=None, maintenance_margin=None)
            for currency in currencies
        )
        return AccountReading(
            margins=margins,
            positions=positions,
            margin_in_use=_used(mapping(balance, "balance")),
            marks_are_the_markets=False,
            caveats=settings.caveats,
        )

    def _check_envelope(self, replies: Sequence[object]) -> None:
        places = ENVELOPES.get(self.id)
        if places is None:
            if not replies:
                raise malformed("positions were read without a reply")
            return
        if not any(isinstance(_at(reply, place), list) for reply in replies for place in places):
            raise malformed(
                f"the reply holds no position list at {' or '.join(place or 'the top' for place in places)}"
            )

    async def read_marks(self, client: Any, instruments: Instruments, _held: Held, /) -> Mapping[str, Mark | None]:
        """Empty where the venue does not tell mark prices for all contracts at once."""
        rates = await self._rates(client)
        return marks_of({symbol: row for symbol, row in rates.items() if symbol in instruments}, _mark)

    async def _rates(self, client: Any) -> Row:
        if client.has.get("fetchFundingRates") is not True:
            return {}
        return mapping(await _unified(client.fetch_funding_rates()), "funding rates")

    async def read_funding_intervals(self, _client: Any, _instruments: Instruments, /) -> Mapping[str, timedelta]:
        """They come with the marks, where they come at all."""
        return {}

    async def read_tiers(self, _client: Any, _instruments: Instruments, _held: Held, /) -> Mapping[str, Tiers]:
        """Not read: amounts that make brackets continuous are missing from the unified ones."""
        return {}

    async def read_candles(
        self, client: Any, raw: str, _about: Instrument, frame: Frame, count: int, /
    ) -> list[Candle]:
        if client.has.get("fetchOHLCV") is not True or frame.value not in (client.timeframes or {}):
            raise ReadError(FailureKind.UNSUPPORTED, f"{self.id} has no candles of {frame}")
        told = await _unified(client.fetch_ohlcv(raw, frame.value, None, count))
        return candles_of(client, in_places(told, CANDLE, "candles"), frame, count)

    async def read_book(self, client: Any, raw: str, about: Instrument, /) -> Book:
        """As deep as the venue tells it unasked: how many levels may be asked for, every venue says otherwise.

        Sizes are taken for contracts, which ccxt hands on as they come.
        """
        if client.has.get("fetchOrderBook") is not True:
            raise ReadError(FailureKind.UNSUPPORTED, f"{self.id} has no order books")
        told = mapping(await _unified(client.fetch_order_book(raw)), "order book")
        if told.get("timestamp") is not None:
            refuse_old(client, number(told, "timestamp"))
        return book_of(about, *sides_of(told))

    async def read_orders(self, *_: Any) -> Sequence[StopOrder]:
        raise ReadError(FailureKind.UNSUPPORTED, f"stop orders of {self.id} are not read")

    async def read_ends(self, *_: Any) -> Sequence[End]:
        raise ReadError(FailureKind.UNSUPPORTED, f"{self.id}'s records of liquidations are not read")

    async def read_key_facts(self, client: Any) -> KeyFacts:
        server_ms = await _unified(client.fetch_time()) if client.has.get("fetchTime") is True else None
        return KeyFacts(
            may_trade=None,
            may_withdraw=None,
            ip_restricted=None,
            clock_ahead_s=clock_ahead_s(client, server_ms) if isinstance(server_ms, int) else None,
            notes=(f"what a key of {self.id} may do is not read",),
        )


async def _unified(call: Any) -> Any:
    """A unified call, whose parsing breaks in many ways on replies it was not made for."""
    try:
        return await call
    except ccxt.BaseError as error:
        raise failed_request(error) from None
    except BROKEN_PARSING as error:
        raise malformed(f"ccxt could not parse the reply: {type(error).__name__}") from error


def _share_markets(client: Any) -> None:
    """Of what some classes share beside their markets, a part is set by fetchCurrencies alone, which is off."""
    for name in client.public.options.get("marketHelperProps", ()):
        client.public.options.setdefault(name, None)
    client.set_markets_from_exchange(client.public)


async def _positions(client: Any) -> tuple[Any, list[object]]:
    with recorded_replies() as replies:
        positions = await _unified(client.fetch_positions())
    return positions, replies


def _at(reply: object, place: str) -> object:
    for key in place.split(".") if place else ():
        reply = reply.get(key) if isinstance(reply, dict) else None
    return reply


def _position(row: Row, instruments: Instruments, rates: Row) -> Position | None:
    """None for a row without contracts."""
    instrument = instruments.get(text(row, "symbol"))
    if instrument is None:
        raise malformed(f"position in an instrument the venue does not list: {row.get('symbol')}")
    contracts = optional_number(row, "contracts")
    if contracts is None:
        raise malformed(f"{instrument.symbol}: the number of contracts is missing")
    if contracts == 0:
        return None
    contracts = abs(contracts)
    units = contracts * instrument.contract_size
    if not _tells(row, contracts) and not _tells(row, units):
        raise malformed(f"{instrument.symbol}: the venue's reply holds no size; ccxt made one of other figures")
    mark_price = _mark_price(row) or _mark_price(rates.get(instrument.symbol, {}))
    if mark_price is None or mark_price < SMALLEST:
        raise ReadError(FailureKind.UNSUPPORTED, f"{instrument.symbol}: the venue tells no mark price")
    price, origin = _liquidation_price(row, mark_price)
    _check_notional(row, instrument, contracts, mark_price)
    return Position(
        instrument=instrument,
        side=_side(row),
        pool=f"account:{instrument.settle}",
        contracts=contracts,
        size=instrument.size(contracts, mark_price),
        notional=instrument.notional(contracts, mark_price),
        mark_price=mark_price,
        entry_price=optional_positive(row, "entryPrice"),
        liquidation_price=price,
        liquidation_price_origin=origin,
        leverage=_vouched_not_negative(row, "leverage"),
        margin_mode=MarginMode(row["marginMode"]) if row.get("marginMode") in ("cross", "isolated") else None,
        initial_margin=_vouched_not_negative(row, "initialMargin"),
        maintenance_margin=_vouched_not_negative(row, "maintenanceMargin"),
        unrealized_pnl=_vouched(row, "unrealizedPnl"),
    )


def _refuse_twins(positions: Sequence[Position]) -> None:
    """Some venues hold one side of a contract twice, cross and isolated; what is judged by name would lose one."""
    names = [position.subject for position in positions]
    twins = sorted({name for name in names if names.count(name) > 1})
    if twins:
        raise ReadError(FailureKind.UNSUPPORTED, f"{', '.join(twins)} is held more than once, which is not read yet")


def _check_notional(row: Row, instrument: Instrument, contracts: float, mark_price: float) -> None:
    """Against the venue's own notional where it tells one: it catches sizes that are not counted in contracts."""
    told = abs(optional_number(row, "notional") or 0.0)
    if not told or not _tells(row, told):
        return
    ours = instrument.notional(contracts, mark_price)
    entry_price = optional_positive(row, "entryPrice")
    at_entry = None if entry_price is None else instrument.notional(contracts, entry_price)
    is_at_entry = at_entry is not None and abs(told - at_entry) <= ENTRY_ERROR * at_entry
    if not is_at_entry and not ours / NOTIONAL_SLACK <= told <= ours * NOTIONAL_SLACK:
        raise ReadError(
            FailureKind.IMPLAUSIBLE,
            f"{instrument.symbol}: {contracts:g} contracts are worth {ours:g}, the venue says {told:g}",
        )


def _side(row: Row) -> Side:
    if row.get("side") not in ("long", "short"):
        raise malformed(f"{row.get('symbol')}: the side is missing")
    return Side(row["side"])


def _liquidation_price(row: Row, mark_price: float) -> tuple[float | None, PriceOrigin]:
    price = _vouched(row, "liquidationPrice")
    if price is None or price <= 0 or is_absurd(price, mark_price):
        return None, PriceOrigin.UNKNOWN
    return price, PriceOrigin.VENUE


def _mark_price(row: Row) -> float | None:
    """Under a name that speaks of a mark: one that ccxt computed may stand elsewhere in the row by chance."""
    info = row.get("info")
    named = {name: value for name, value in info.items() if "mark" in name.lower()} if isinstance(info, dict) else None
    return _vouched({**row, "info": named}, "markPrice")


def _vouched(row: Row, key: str) -> float | None:
    """The figure, if the venue's own reply holds the same number; None where ccxt computed it."""
    value = optional_number(row, key)
    if value is None:
        return None
    close = RELATIVE_ERROR * max(abs(value), RELATIVE_ERROR)
    return value if any(abs(raw - value) <= close for raw in _numbers(row.get("info"))) else None


def _vouched_not_negative(row: Row, key: str) -> float | None:
    value = _vouched(row, key)
    if value is not None and value < 0:
        raise malformed(f"{row.get('symbol')}: {key} is {value:g}")
    return value


def _tells(row: Row, magnitude: float) -> bool:
    """Whether the venue's own reply holds that number, with either sign."""
    return any(abs(abs(raw) - magnitude) <= RELATIVE_ERROR * magnitude for raw in _numbers(row.get("info")))


def _numbers(raw: object) -> Iterator[float]:
    """Every number in a raw row, whether sent as one or as text, however deep."""
    for value in scalars(raw):
        try:
            yield plain_number(value)
        except ValueError:
            continue


def _used(balance: Row) -> float | None:
    """Funds in use over all currencies; None where the venue does not tell them."""
    used = balance.get("used")
    if not isinstance(used, dict):
        return None
    known = [number(used, currency) for currency, amount in used.items() if amount is not None]
    return sum(known) if known else None


def _mark(row: Row) -> Mark:
    hours = _HOURS.fullmatch(str(row.get("interval")))
    return Mark.told(
        price=positive(row, "markPrice"),
        rate=optional_number(row, "fundingRate"),
        # Some venues fill the one field, some the other.
        next_ms=optional_positive(row, "fundingTimestamp") or optional_positive(row, "nextFundingTimestamp"),
        hours=int(hours[1]) if hours else None,
    )
