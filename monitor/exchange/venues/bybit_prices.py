"""Bybit's marks; its candles and order books, of one contract a call.

/v5/market/kline tells up to 1,000 candles, the newest first, its days those of UTC; /v5/market/orderbook up to 500
levels a side of linear and inverse contracts, in base coin and in dollars.
"""

from typing import Any

from monitor.domain.account import Instrument
from monitor.domain.market import Book
from monitor.domain.study import Candle, Frame
from monitor.exchange.values import (
    Row,
    in_places,
    malformed,
    mapping,
    number,
    optional_number,
    optional_positive,
    positive,
    text,
)
from monitor.exchange.venues.books import book_of, refuse_old, sides_of
from monitor.exchange.venues.candles import CANDLE, candles_of
from monitor.exchange.venues.venue import Extras, Mark

READS = {
    "publicGetV5MarketKline": "/v5/market/kline",
    "publicGetV5MarketOrderbook": "/v5/market/orderbook",
}
INTERVALS = {Frame.HOUR: "60", Frame.DAY: "D"}
LEVELS = 500


def mark(row: Row) -> Mark:
    """A dated contract pays no funding."""
    rate = optional_number(row, "fundingRate")
    is_dated = rate is None and optional_positive(row, "deliveryTime") is not None
    return Mark.told(
        price=positive(row, "markPrice"),
        rate=0.0 if is_dated else rate,
        next_ms=optional_positive(row, "nextFundingTime"),
        hours=optional_positive(row, "fundingIntervalHour"),
    )


class BybitPrices(Extras):
    async def read_candles(self, client: Any, raw: str, about: Instrument, frame: Frame, count: int, /) -> list[Candle]:
        asked = {**_named(raw, about), "interval": INTERVALS[frame], "limit": count}
        result = _result(await client.publicGetV5MarketKline(asked), raw, "symbol")
        return candles_of(client, in_places(result.get("list"), CANDLE, "kline.list"), frame, count)

    async def read_book(self, client: Any, raw: str, about: Instrument, /) -> Book:
        reply = await client.publicGetV5MarketOrderbook({**_named(raw, about), "limit": LEVELS})
        result = _result(reply, raw, "s")
        refuse_old(client, number(result, "ts"))
        return book_of(about, *sides_of(result, "b", "a"))


def _named(raw: str, about: Instrument) -> dict[str, str]:
    return {"category": "inverse" if about.inverse else "linear", "symbol": raw}


def _result(reply: object, raw: str, name: str) -> Row:
    result = mapping(mapping(reply, "reply").get("result"), "result")
    if text(result, name) != raw:
        raise malformed(f"asked for {raw}, told of another contract")
    return result
