"""Candles and order books of BingX's perpetual futures; market data allows an address 500 calls in ten seconds.

Candles come the newest first, at most 1,440 a call; their days are those of UTC. In the recorded reply of a book, asks
come the dearest first, and `bids` and `asks` are in base units: they have the decimals of these, as recorded trades
have, whose quantity x price is their worth. `bidsCoin` and `asksCoin`, which the documents call quantities in coin, are
the same times the smallest order, rounded to nought, and not read.
"""

from typing import Any

from monitor.domain.account import Instrument
from monitor.domain.market import Book
from monitor.domain.study import Candle, Frame
from monitor.exchange.values import mapping, number, positive
from monitor.exchange.venues.bingx_orders import data_of, listed
from monitor.exchange.venues.books import LEVEL, book_of, refuse_old, sides_of
from monitor.exchange.venues.candles import candles_of
from monitor.exchange.venues.venue import Extras

READS = {
    "swapV3PublicGetQuoteKlines": "/openApi/swap/v3/quote/klines",
    "swapV2PublicGetQuoteDepth": "/openApi/swap/v2/quote/depth",
}
# Of each side, the most there is.
LEVELS = 1000


class BingxPrices(Extras):
    async def read_candles(self, client: Any, raw: str, _: Instrument, frame: Frame, count: int, /) -> list[Candle]:
        reply = await client.swapV3PublicGetQuoteKlines({"symbol": raw, "interval": frame.value, "limit": count})
        return candles_of(client, listed(reply, "klines"), frame, count)

    async def read_book(self, client: Any, raw: str, about: Instrument, /) -> Book:
        reply = await client.swapV2PublicGetQuoteDepth({"symbol": raw, "limit": LEVELS})
        told = mapping(data_of(reply, "depth"), "depth")
        refuse_old(client, number(told, "T"))
        bids, asks = sides_of(told)
        return book_of(about, bids, sorted(asks, key=lambda level: positive(level, LEVEL.price)))
