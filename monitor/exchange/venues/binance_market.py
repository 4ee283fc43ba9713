"""The markets of Binance's two futures APIs, fapi (USDS-M) and dapi (COIN-M): contracts, marks, intervals, brackets.

Weights as Binance's documentation gives them: exchangeInfo 1, premiumIndex 10, leverageBracket 1, fundingInfo none;
klines 2 (100 to 499 candles), depth 10 (500 levels a side). Depth is told in contracts, which of USDS-M are base units.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import ccxt.async_support as ccxt

from monitor.domain.account import FailureKind, Instrument
from monitor.domain.market import Book, Tier, Tiers
from monitor.domain.study import Candle, Frame
from monitor.exchange.failures import BROKEN_PARSING, ReadError
from monitor.exchange.together import in_slices
from monitor.exchange.values import (
    Row,
    in_places,
    interval_of,
    malformed,
    mapping,
    not_negative,
    number,
    optional_number,
    optional_positive,
    positive,
    rows,
    text,
    time_of,
)
from monitor.exchange.venues.books import book_of, refuse_old, sides_of
from monitor.exchange.venues.candles import CANDLE, candles_of
from monitor.exchange.venues.venue import Instruments, Mark

# fundingInfo lists only symbols whose terms were adjusted; the others pay every eight hours.
DEFAULT_FUNDING_INTERVAL = timedelta(hours=8)
# A mark older than this is a feed that stands still. Binance publishes marks every second or three.
MAX_MARK_AGE_MS = 60_000
# Of each side of a book, which weigh 10. A hundred (5) of BTCUSDT would end ten dollars from the best price.
LEVELS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One of the two APIs. `brackets` are ccxt's names of the call, first for classic accounts, then for those of
    portfolio margin, whose keys the first refuses; `quantity` names the brackets' measure."""

    api: str
    inverse: bool
    brackets: tuple[str, str]
    quantity: str

    def lists(self, instrument: Instrument) -> bool:
        return instrument.inverse is self.inverse

    async def instruments(self, client: Any, venue_id: str) -> Instruments:
        """By ccxt's own parser."""
        info = mapping(await call(client, f"{self.api}PublicGetExchangeInfo"), "exchangeInfo")
        listed: dict[str, Instrument] = {}
        async for row in in_slices(rows(info.get("symbols"), "exchangeInfo.symbols")):
            instrument = _instrument(client, venue_id, row)
            if instrument is not None:
                listed[text(row, "symbol")] = instrument
        if not listed:
            raise malformed("exchangeInfo lists no contract")
        return listed

    async def mark_rows(self, client: Any, instruments: Instruments) -> Mapping[str, Row]:
        """By symbol; `mark` reads them."""
        reply = rows(await call(client, f"{self.api}PublicGetPremiumIndex"), "premiumIndex")
        listed = {
            instrument.symbol: row for row in reply if (instrument := instruments.get(text(row, "symbol"))) is not None
        }
        if not listed:
            raise malformed("premiumIndex lists no contract")
        oldest_ms = client.milliseconds() - MAX_MARK_AGE_MS
        if all(number(row, "time") < oldest_ms for row in listed.values()):
            newest_ms = max(number(row, "time") for row in listed.values())
            raise ReadError(FailureKind.IMPLAUSIBLE, f"mark prices stand still since {time_of(newest_ms):%H:%M:%S} UTC")
        return listed

    async def intervals(self, client: Any, instruments: Instruments) -> Mapping[str, timedelta]:
        reply = rows(await call(client, f"{self.api}PublicGetFundingInfo"), "fundingInfo")
        adjusted = {text(row, "symbol"): interval_of(number(row, "fundingIntervalHours")) for row in reply}
        return {
            instrument.symbol: adjusted.get(raw, DEFAULT_FUNDING_INTERVAL)
            for raw, instrument in instruments.items()
            if self.lists(instrument)
        }

    async def tiers(self, client: Any, instruments: Instruments) -> Mapping[str, Tiers]:
        reply = rows(await self._brackets(client), "leverageBracket")
        tiers: dict[str, Tiers] = {}
        async for row in in_slices(reply):
            instrument = instruments.get(text(row, "symbol"))
            if instrument is not None:
                tiers[instrument.symbol] = self._tiers(rows(row.get("brackets"), "brackets"))
        return tiers

    async def candles(self, client: Any, raw: str, frame: Frame, count: int) -> list[Candle]:
        asked = {"symbol": raw, "interval": frame.value, "limit": count}
        reply = await getattr(client, f"{self.api}PublicGetKlines")(asked)
        return candles_of(client, in_places(reply, CANDLE, "klines"), frame, count)

    async def book(self, client: Any, raw: str, about: Instrument) -> Book:
        reply = mapping(await getattr(client, f"{self.api}PublicGetDepth")({"symbol": raw, "limit": LEVELS}), "depth")
        refuse_old(client, number(reply, "E"))
        return book_of(about, *sides_of(reply))

    async def _brackets(self, client: Any) -> Any:
        classic, portfolio = self.brackets
        try:
            return await call(client, classic)
        except ReadError as refused:
            if refused.kind not in (FailureKind.AUTH, FailureKind.PERMISSION) or portfolio not in client.rules.calls:
                raise
        return await call(client, portfolio)

    def _tiers(self, brackets: Sequence[Row]) -> Tiers:
        # COIN-M's documentation spells the floor both ways.
        floor = f"{self.quantity}lFloor" if brackets and f"{self.quantity}lFloor" in brackets[0] else None
        parsed = [
            Tier(
                not_negative(row, floor or f"{self.quantity}Floor"),
                positive(row, f"{self.quantity}Cap"),
                not_negative(row, "maintMarginRatio"),
                not_negative(row, "cum"),
            )
            for row in brackets
        ]
        if len({tier.floor for tier in parsed}) < len(parsed):
            raise malformed("a bracket is listed twice")
        return tuple(sorted(parsed, key=lambda tier: tier.floor))


USDM = Family(
    api="fapi",
    inverse=False,
    brackets=("fapiPrivateGetLeverageBracket", "papiGetUmLeverageBracket"),
    quantity="notional",
)
COINM = Family(
    api="dapi",
    inverse=True,
    brackets=("dapiPrivateV2GetLeverageBracket", "papiGetCmLeverageBracket"),
    quantity="qty",
)


def mark(row: Row) -> Mark:
    """A dated contract pays no funding: Binance leaves its rate empty and its next payment 0."""
    is_dated = row.get("lastFundingRate") == "" and row.get("nextFundingTime") in (0, "0")
    return Mark.told(
        price=positive(row, "markPrice"),
        rate=0.0 if is_dated else optional_number(row, "lastFundingRate"),
        next_ms=optional_positive(row, "nextFundingTime"),
    )


async def call(client: Any, method: str) -> Any:
    return await getattr(client, method)()


def _instrument(client: Any, venue_id: str, row: Row) -> Instrument | None:
    """None for what is no contract between known currencies; a position in it fails loudly, as one not listed."""
    if not all(isinstance(row.get(key), str) for key in ("symbol", "baseAsset", "quoteAsset", "marginAsset")):
        return None
    try:
        market = client.parse_market(row)
        if market is None or not (market["linear"] or market["inverse"]):
            return None
        # ccxt takes a size that is not told for 1, which it is of linear contracts alone.
        size = positive(row if market["inverse"] else market, "contractSize")
    except (*BROKEN_PARSING, ccxt.BaseError, ReadError):
        return None
    return Instrument(
        venue=venue_id,
        symbol=market["symbol"],
        base=market["base"],
        quote=market["quote"],
        settle=market["settle"],
        contract_size=size,
        inverse=bool(market["inverse"]),
    )
