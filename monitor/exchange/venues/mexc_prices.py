"""Candles and order books of MEXC futures; each endpoint allows an address 20 calls in two seconds.

Candles come as a list of each figure, at most 2,000 a call, with times in seconds; sizes in contracts. How many levels
of a book are told without a limit MEXC does not say.
"""

from typing import Any

from monitor.domain.account import Instrument
from monitor.domain.market import Book
from monitor.domain.study import Candle, Frame
from monitor.exchange.values import in_columns, mapping, number
from monitor.exchange.venues.books import book_of, refuse_old, sides_of
from monitor.exchange.venues.candles import CANDLE, candles_of, first_ms
from monitor.exchange.venues.mexc_orders import told
from monitor.exchange.venues.venue import Extras

READS = {
    "contractPublicGetKlineSymbol": "/api/v1/contract/kline/{symbol}",
    "contractPublicGetDepthSymbol": "/api/v1/contract/depth/{symbol}",
}
INTERVALS = {Frame.HOUR: "Min60", Frame.DAY: "Day1"}


class MexcPrices(Extras):
    async def read_candles(self, client: Any, raw: str, _: Instrument, frame: Frame, count: int, /) -> list[Candle]:
        asked = {
            "symbol": raw,
            "interval": INTERVALS[frame],
            "start": first_ms(client, frame, count) // 1000,
            "end": client.seconds(),
        }
        reply = mapping(told(await client.contractPublicGetKlineSymbol(asked), "kline"), "kline")
        return candles_of(client, in_columns(reply, CANDLE, "kline"), frame, count, unit_ms=1000)

    async def read_book(self, client: Any, raw: str, about: Instrument, /) -> Book:
        reply = mapping(told(await client.contractPublicGetDepthSymbol({"symbol": raw}), "depth"), "depth")
        refuse_old(client, number(reply, "timestamp"))
        return book_of(about, *sides_of(reply))
