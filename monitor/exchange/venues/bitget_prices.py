"""Bitget's candles and order books, of one contract a call; 20 of each a second are allowed an address.

The classic API tells up to 1,000 candles, and days of UTC on demand; it knows no coin-settled contract any more. The
unified one has those, but no word for days of UTC: where its days begin at another hour, they are refused. Its books
have up to 200 levels a side, whose quantities are taken for what positions are counted in: base coin, and contracts of
one dollar. Neither was seen in a recorded reply.
"""

from typing import Any

from monitor.domain.account import Instrument
from monitor.domain.market import Book
from monitor.domain.study import Candle, Frame
from monitor.exchange.values import in_places, mapping, number
from monitor.exchange.venues.bitget_rows import data_of
from monitor.exchange.venues.books import book_of, refuse_old, sides_of
from monitor.exchange.venues.candles import CANDLE, candles_of
from monitor.exchange.venues.venue import Extras

READS = {
    "publicMixGetV2MixMarketCandles": "/api/v2/mix/market/candles",
    "publicUtaGetV3MarketCandles": "/api/v3/market/candles",
    "publicUtaGetV3MarketOrderbook": "/api/v3/market/orderbook",
}
CLASSIC = {Frame.HOUR: "1H", Frame.DAY: "1Dutc"}
UNIFIED = {Frame.HOUR: "1H", Frame.DAY: "1D"}
LEVELS = 200


class BitgetPrices(Extras):
    async def read_candles(self, client: Any, raw: str, about: Instrument, frame: Frame, count: int, /) -> list[Candle]:
        asked, product = {"symbol": raw, "limit": count}, product_of(about)
        if about.inverse:
            asked |= {"category": product, "interval": UNIFIED[frame]}
            reply = await client.publicUtaGetV3MarketCandles(asked)
        else:
            asked |= {"productType": product, "granularity": CLASSIC[frame]}
            reply = await client.publicMixGetV2MixMarketCandles(asked)
        return candles_of(client, in_places(data_of(reply, "candles"), CANDLE, "candles"), frame, count)

    async def read_book(self, client: Any, raw: str, about: Instrument, /) -> Book:
        asked = {"category": product_of(about), "symbol": raw, "limit": LEVELS}
        told = mapping(data_of(await client.publicUtaGetV3MarketOrderbook(asked), "orderbook"), "orderbook")
        refuse_old(client, number(told, "ts"))
        return book_of(about, *sides_of(told, "b", "a"))


def product_of(about: Instrument) -> str:
    return "COIN-FUTURES" if about.inverse else f"{about.settle}-FUTURES"
