"""Gate's candles and order books, of one contract a call: up to 2,000 candles, and 300 levels a side in contracts."""

from typing import Any

from monitor.domain.account import Instrument
from monitor.domain.market import Book
from monitor.domain.study import Candle, Frame
from monitor.exchange.values import mapping, number, rows
from monitor.exchange.venues.books import LevelNames, book_of, refuse_old
from monitor.exchange.venues.candles import CandleNames, candles_of
from monitor.exchange.venues.venue import Extras

# Below /api/v4.
READS = {
    "publicFuturesGetSettleCandlesticks": "/futures/{settle}/candlesticks",
    "publicFuturesGetSettleOrderBook": "/futures/{settle}/order_book",
}
CANDLE = CandleNames(at="t", open="o", high="h", low="l", close="c")
LEVEL = LevelNames(price="p", size="s")
LEVELS = 300


class GatePrices(Extras):
    async def read_candles(self, client: Any, raw: str, about: Instrument, frame: Frame, count: int, /) -> list[Candle]:
        asked = {**_named(raw, about), "interval": frame.value, "limit": count}
        reply = rows(await client.publicFuturesGetSettleCandlesticks(asked), "candlesticks")
        return candles_of(client, reply, frame, count, names=CANDLE, unit_ms=1000)

    async def read_book(self, client: Any, raw: str, about: Instrument, /) -> Book:
        told = await client.publicFuturesGetSettleOrderBook({**_named(raw, about), "limit": LEVELS})
        book = mapping(told, "order_book")
        refuse_old(client, number(book, "current") * 1000)
        return book_of(about, rows(book.get("bids"), "bids"), rows(book.get("asks"), "asks"), LEVEL)


def _named(raw: str, about: Instrument) -> dict[str, str]:
    return {"settle": about.settle.lower(), "contract": raw}
