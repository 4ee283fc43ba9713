"""Candles and order books of KuCoin Futures; each call weighs 3 of the pool of public ones, 2,000 per 30 s and address.

Sizes are told in contracts, of inverse ones as well. The whole book is asked for: the 100 levels that a shorter call
tells of one with fine steps end a hundredth of a percent from its best price.
"""

from typing import Any

from monitor.domain.account import Instrument
from monitor.domain.market import Book
from monitor.domain.study import Candle, Frame
from monitor.exchange.together import together
from monitor.exchange.values import in_places, mapping, number
from monitor.exchange.venues.books import book_of, refuse_old, sides_of
from monitor.exchange.venues.candles import CANDLE, candles_of, first_ms
from monitor.exchange.venues.contracts import refuse_other
from monitor.exchange.venues.kucoinfutures_account import data_of
from monitor.exchange.venues.venue import Extras
from monitor.risk.volatility import LENGTHS

READS = {
    "futuresPublicGetKlineQuery": "/api/v1/kline/query",
    "futuresPublicGetLevel2Snapshot": "/api/v1/level2/snapshot",
}
# KuCoin's documents say 500 now, and said 200 before.
CANDLES_A_CALL = 200
# Of each side, the best ones.
LEVELS = 1000
NANOSECONDS_A_MILLISECOND = 1_000_000


class KucoinFuturesPrices(Extras):
    async def read_candles(self, client: Any, raw: str, _: Instrument, frame: Frame, count: int, /) -> list[Candle]:
        """In stretches of time; one before trading began is told empty."""
        minutes = round(LENGTHS[frame].total_seconds() / 60)
        stretch_ms = CANDLES_A_CALL * minutes * 60_000
        asked = {"symbol": raw, "granularity": minutes}
        starts = range(first_ms(client, frame, count), client.milliseconds(), stretch_ms)
        replies = await together(
            *(client.futuresPublicGetKlineQuery({**asked, "from": at, "to": at + stretch_ms - 1}) for at in starts)
        )
        told = [row for reply in replies for row in in_places(data_of(reply, "kline/query"), CANDLE, "kline/query")]
        return candles_of(client, told, frame, count)

    async def read_book(self, client: Any, raw: str, about: Instrument, /) -> Book:
        reply = await client.futuresPublicGetLevel2Snapshot({"symbol": raw})
        told = mapping(data_of(reply, "level2/snapshot"), "level2/snapshot")
        refuse_other(told, "symbol", raw)
        refuse_old(client, number(told, "ts") / NANOSECONDS_A_MILLISECOND)
        bids, asks = sides_of(told)
        return book_of(about, bids[:LEVELS], asks[:LEVELS])
