"""Candles and order books of Kraken Futures: the charts API, which has a base path of its own, and orderbook.

Both cost nothing of what Kraken counts. Candles are of trades, at most 2,000 a call; times are asked for in seconds and
told in milliseconds. Sizes are in contracts, of linear ones that are base units.
"""

from typing import Any

from monitor.domain.account import Instrument
from monitor.domain.market import Book
from monitor.domain.study import Candle, Frame
from monitor.exchange.values import mapping, rows
from monitor.exchange.venues.books import book_of, refuse_old, sides_of
from monitor.exchange.venues.candles import candles_of, first_ms
from monitor.exchange.venues.krakenfutures_account import good, server_time
from monitor.exchange.venues.venue import Extras

READS = {
    "publicGetOrderbook": "/derivatives/api/v3/orderbook",
    "chartsGetPriceTypeSymbolInterval": "/api/charts/v1/trade/{symbol}/{interval}",
}


class KrakenFuturesPrices(Extras):
    async def read_candles(self, client: Any, raw: str, _: Instrument, frame: Frame, count: int, /) -> list[Candle]:
        asked = {
            "price_type": "trade",
            "symbol": raw,
            "interval": frame.value,
            "from": first_ms(client, frame, count) // 1000,
            "to": client.seconds(),
        }
        reply = mapping(await client.chartsGetPriceTypeSymbolInterval(asked), "candles")
        return candles_of(client, rows(reply.get("candles"), "candles"), frame, count)

    async def read_book(self, client: Any, raw: str, about: Instrument, /) -> Book:
        reply = await client.publicGetOrderbook({"symbol": raw})
        told = mapping(good(reply, "orderbook").get("orderBook"), "orderBook")
        refuse_old(client, server_time(reply).timestamp() * 1000)
        return book_of(about, *sides_of(told))
