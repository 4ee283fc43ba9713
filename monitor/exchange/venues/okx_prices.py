"""OKX's candles and order books, of one contract a call; 40 of each in 2 s are allowed an address.

/market/candles tells up to 300, the newest first; its days are Hong Kong's where they are not asked for as of UTC.
/market/books tells up to 400 levels a side, in contracts.
"""

from typing import Any

from monitor.domain.account import Instrument
from monitor.domain.market import Book
from monitor.domain.study import Candle, Frame
from monitor.exchange.values import in_places, malformed, mapping, number, rows
from monitor.exchange.venues.books import book_of, refuse_old, sides_of
from monitor.exchange.venues.candles import CANDLE, candles_of
from monitor.exchange.venues.venue import Extras

READS = {
    "publicGetMarketCandles": "/api/v5/market/candles",
    "publicGetMarketBooks": "/api/v5/market/books",
}
BARS = {Frame.HOUR: "1H", Frame.DAY: "1Dutc"}
LEVELS = 400


class OkxPrices(Extras):
    async def read_candles(
        self, client: Any, raw: str, _about: Instrument, frame: Frame, count: int, /
    ) -> list[Candle]:
        reply = await client.publicGetMarketCandles({"instId": raw, "bar": BARS[frame], "limit": count})
        return candles_of(client, in_places(data_of(reply), CANDLE, "candles"), frame, count)

    async def read_book(self, client: Any, raw: str, about: Instrument, /) -> Book:
        found = rows(data_of(await client.publicGetMarketBooks({"instId": raw, "sz": LEVELS})), "books")
        if len(found) != 1:
            raise malformed(f"books: expected one row, got {len(found)}")
        refuse_old(client, number(found[0], "ts"))
        return book_of(about, *sides_of(found[0]))


def data_of(told: object) -> object:
    """What stands in the envelope of every reply."""
    reply = mapping(told, "reply")
    if reply.get("code") != "0":
        raise malformed(f"code: {reply.get('code')!r:.20} is no success")
    return reply.get("data")
