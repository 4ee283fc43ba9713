"""Bybit's candles and order books, of one contract a call.

/v5/market/kline tells up to 1,000 candles, the newest first, its days those of UTC; /v5/market/orderbook up to 500
levels a side of linear and inverse contracts, in base coin and in dollars.
"""

from typing import Any

from monitor.domain.account import Instrument
from monitor.domain.market import Book
from monitor.domain.study import Candle, Frame
from monitor.exchange.values import Row, in_places, malformed, mapping, number, text
from monitor.exchange.venues.books import book_of, refuse_old, sides_of
from monitor.exchange.venues.candles import CANDLE, candles_of
from monitor.exchange.venues.venue import Extras

READS = {
    "publicGetV5MarketKline": "/v5/market/kline",
    "publicGetV5MarketOrderbook": "/v5/market/orderbook",
}
INTERVALS = {Frame.HOUR: "60", Frame.DAY: "D"}
LEVELS = 500


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
