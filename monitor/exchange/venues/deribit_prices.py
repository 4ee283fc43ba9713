"""Candles and order books of Deribit; each call costs 500 credits, as the others do.

Amounts are told in US dollars of inverse contracts and in base units of linear ones. Candles come as a list of each
figure, all hours of them, those without trades as well; at most 5,000 a call.
"""

from dataclasses import replace
from typing import Any

from monitor.domain.account import Instrument
from monitor.domain.market import Book
from monitor.domain.study import Candle, Frame
from monitor.exchange.values import in_columns, mapping, number
from monitor.exchange.venues.books import book_of, refuse_old, sides_of
from monitor.exchange.venues.candles import CandleNames, candles_of, first_ms
from monitor.exchange.venues.contracts import refuse_other
from monitor.exchange.venues.venue import Extras

READS = {
    "publicGetGetTradingviewChartData": "/api/v2/public/get_tradingview_chart_data",
    "publicGetGetOrderBook": "/api/v2/public/get_order_book",
}
RESOLUTIONS = {Frame.HOUR: "60", Frame.DAY: "1D"}
COLUMNS = CandleNames(at="ticks")
# Of each side; Deribit tells up to 10,000.
LEVELS = 1000


class DeribitPrices(Extras):
    async def read_candles(self, client: Any, raw: str, _: Instrument, frame: Frame, count: int, /) -> list[Candle]:
        asked = {
            "instrument_name": raw,
            "resolution": RESOLUTIONS[frame],
            "start_timestamp": first_ms(client, frame, count),
            "end_timestamp": client.milliseconds(),
        }
        told = _result(await client.publicGetGetTradingviewChartData(asked))
        return candles_of(client, in_columns(told, COLUMNS, "result"), frame, count, names=COLUMNS)

    async def read_book(self, client: Any, raw: str, about: Instrument, /) -> Book:
        told = _result(await client.publicGetGetOrderBook({"instrument_name": raw, "depth": LEVELS}))
        refuse_other(told, "instrument_name", raw)
        refuse_old(client, number(told, "timestamp"))
        by_amount = replace(about, contract_size=1.0)
        return book_of(by_amount, *sides_of(told))


def _result(reply: object) -> Any:
    return mapping(mapping(reply, "reply").get("result"), "result")
