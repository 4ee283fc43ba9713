"""Which contracts of which venues are asked for their candles and their order book, and by what paths."""

from dataclasses import dataclass
from typing import Any

from monitor.paper.dialects.krakenfutures import CHARTS
from tests.venues import (
    binance,
    bingx,
    bitget,
    bybit,
    deribit,
    gate,
    hyperliquid,
    krakenfutures,
    kucoinfutures,
    mexc,
    okx,
)
from tests.venues.kit import VenueCase


@dataclass(frozen=True, kw_only=True)
class Told:
    """One contract of the books, by the engine's name; `candles` and `book` as the venue's dialect names the calls.

    `sorted_by_reader`: the sides of a book that the venue may tell in any order.
    """

    case: VenueCase
    symbol: str
    candles: str
    book: str
    sorted_by_reader: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"{self.case.venue}-{self.symbol}"


GATE = "/api/v4/futures"


def _of_bitget(symbol: str, api: str, product: str) -> Told:
    path = "/api/v2/mix/market/candles" if api == "v2" else "/api/v3/market/candles"
    book = f"/api/v3/market/orderbook {product}"
    return Told(case=bitget.UNIFIED, symbol=symbol, candles=f"{path} {product}", book=book)


def _each(case: VenueCase, symbols: tuple[str, ...], candles: str, book: str, **further: Any) -> tuple[Told, ...]:
    return tuple(Told(case=case, symbol=symbol, candles=candles, book=book, **further) for symbol in symbols)


TOLD: tuple[Told, ...] = (
    Told(case=binance.USDM, symbol="BTCUSDT", candles="/fapi/v1/klines", book="/fapi/v1/depth"),
    Told(case=binance.USDM, symbol="BTCUSDC", candles="/fapi/v1/klines", book="/fapi/v1/depth"),
    Told(case=binance.USDM, symbol="BTCUSD_PERP", candles="/dapi/v1/klines", book="/dapi/v1/depth"),
    Told(case=binance.COINM, symbol="BTCUSD_PERP", candles="/dapi/v1/klines", book="/dapi/v1/depth"),
    Told(case=bybit.LINEAR, symbol="ETHUSDT", candles="/v5/market/kline", book="/v5/market/orderbook"),
    Told(case=bybit.LINEAR, symbol="ETHUSD_PERP", candles="/v5/market/kline", book="/v5/market/orderbook"),
    Told(case=okx.OKX_CASE, symbol="BTCUSDT", candles="/api/v5/market/candles", book="/api/v5/market/books"),
    Told(case=okx.OKX_CASE, symbol="BTCUSD_PERP", candles="/api/v5/market/candles", book="/api/v5/market/books"),
    _of_bitget("BTCUSDT", "v2", "USDT-FUTURES"),
    _of_bitget("BTCUSDC", "v2", "USDC-FUTURES"),
    _of_bitget("BTCUSD_PERP", "v3", "COIN-FUTURES"),
    Told(case=gate.GATE_CASE, symbol="BTCUSDT", candles=f"{GATE}/usdt/candlesticks", book=f"{GATE}/usdt/order_book"),
    Told(case=gate.GATE_CASE, symbol="BTCUSD_PERP", candles=f"{GATE}/btc/candlesticks", book=f"{GATE}/btc/order_book"),
    *_each(kucoinfutures.CLASSIC, ("BTCUSDT", "BTCUSD_PERP"), "/api/v1/kline/query", "/api/v1/level2/snapshot"),
    *_each(hyperliquid.HYPERLIQUID_CASE, ("BTCUSDC", "ETHUSDT"), "candleSnapshot", "l2Book"),
    *_each(krakenfutures.KRAKEN_CASE, ("BTCUSD", "BTCUSD_PERP"), CHARTS, "/derivatives/api/v3/orderbook"),
    *_each(
        deribit.DERIBIT_CASE,
        ("BTCUSDC", "BTCUSD_PERP"),
        "/api/v2/public/get_tradingview_chart_data",
        "/api/v2/public/get_order_book",
    ),
    *_each(mexc.MEXC_CASE, ("BTCUSDT", "BTCUSD_PERP"), "/api/v1/contract/kline", "/api/v1/contract/depth"),
    *_each(
        bingx.BINGX_CASE,
        ("BTCUSDT", "ETHUSDC"),
        "/openApi/swap/v3/quote/klines",
        "/openApi/swap/v2/quote/depth",
        sorted_by_reader=frozenset({"asks"}),
    ),
)
