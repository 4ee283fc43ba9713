"""Candles and order books of Hyperliquid: candleSnapshot (weight 20, and one more per 60 candles) and l2Book (2).

A book is told in 20 levels a side, as fine as it is or in steps of so many significant figures, bids rounded down and
asks up: with 4 figures they reach 0.2 to 2 % from the best price, with 3 figures 2 to 20 %, by the price's first digit.
All three are asked for, and each counts from where the finer one ends.
"""

from collections.abc import Sequence
from functools import reduce
from typing import Any

from monitor.domain.account import Instrument
from monitor.domain.market import Book, Resting
from monitor.domain.study import Candle, Frame
from monitor.exchange.together import together
from monitor.exchange.values import malformed, mapping, number, rows
from monitor.exchange.venues.books import LevelNames, book_of, refuse_old
from monitor.exchange.venues.candles import CandleNames, candles_of, first_ms
from monitor.exchange.venues.contracts import refuse_other
from monitor.exchange.venues.venue import Extras

CANDLE = CandleNames(at="t", open="o", high="h", low="l", close="c")
LEVEL = LevelNames(price="px", size="sz")
# Significant figures of the prices, the finest first; none is as fine as they are.
FIGURES: Sequence[int | None] = (None, 4, 3)
# Ten days of hours, so that the weight of a call is known before its reply.
MOST_CANDLES = 240
WEIGHTS = {"candleSnapshot": 20 + MOST_CANDLES // 60, "l2Book": 2}


class HyperliquidPrices(Extras):
    async def read_candles(self, client: Any, raw: str, _: Instrument, frame: Frame, count: int, /) -> list[Candle]:
        asked = {
            "coin": raw,
            "interval": frame.value,
            "startTime": first_ms(client, frame, min(count, MOST_CANDLES)),
            "endTime": client.milliseconds(),
        }
        reply = await client.publicPostInfo({"type": "candleSnapshot", "req": asked})
        told = rows(reply, "candleSnapshot")
        for row in told:
            refuse_other(row, "s", raw)
        return candles_of(client, told, frame, count, names=CANDLE)

    async def read_book(self, client: Any, raw: str, about: Instrument, /) -> Book:
        pictures: Sequence[Book] = await together(*(_picture(client, raw, about, figures) for figures in FIGURES))
        return reduce(deeper, pictures)


async def _picture(client: Any, raw: str, about: Instrument, figures: int | None) -> Book:
    reply = await client.publicPostInfo({"type": "l2Book", "coin": raw, "nSigFigs": figures})
    told = mapping(reply, "l2Book")
    refuse_other(told, "coin", raw)
    refuse_old(client, number(told, "time"))
    sides = told.get("levels")
    if not isinstance(sides, list) or len(sides) != 2:
        raise malformed("l2Book: expected bids and asks")
    bids, asks = (rows(side, "levels") for side in sides)
    return book_of(about, bids, asks, LEVEL)


def deeper(fine: Book, coarse: Book) -> Book:
    """A book, carried on by a coarser picture of it."""
    return Book(bids=_carried_on(fine.bids, coarse.bids, -1), asks=_carried_on(fine.asks, coarse.asks, 1))


def _carried_on(fine: Sequence[Resting], coarse: Sequence[Resting], sign: int) -> tuple[Resting, ...]:
    """At each coarse price further out, what rests up to there beyond what is told already."""
    if not fine:
        return tuple(coarse)
    found, told, total = list(fine), sum(level.size for level in fine), 0.0
    for level in coarse:
        total += level.size
        if sign * (level.price - fine[-1].price) > 0 and total > told:
            found.append(Resting(level.price, total - told))
            told = total
    return tuple(found)
