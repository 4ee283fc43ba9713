"""Which contracts of which venues are asked for their candles and their order book, and by what paths."""

from dataclasses import dataclass

from tests.venues import binance, bitget, bybit, gate, okx
from tests.venues.kit import VenueCase


@dataclass(frozen=True, kw_only=True)
class Told:
    """One contract of the books, by the engine's name; `candles` and `book` as the venue's dialect names the calls."""

    case: VenueCase
    symbol: str
    candles: str
    book: str

    def __str__(self) -> str:
        return f"{self.case.venue}-{self.symbol}"


GATE = "/api/v4/futures"


def _of_bitget(symbol: str, api: str, product: str) -> Told:
    path = "/api/v2/mix/market/candles" if api == "v2" else "/api/v3/market/candles"
    book = f"/api/v3/market/orderbook {product}"
    return Told(case=bitget.UNIFIED, symbol=symbol, candles=f"{path} {product}", book=book)


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
)
