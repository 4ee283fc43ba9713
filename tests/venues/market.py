"""Which contracts of which venues are asked for their candles and their order book, and by what paths."""

from dataclasses import dataclass

from tests.venues import binance
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


TOLD: tuple[Told, ...] = (
    Told(case=binance.USDM, symbol="BTCUSDT", candles="/fapi/v1/klines", book="/fapi/v1/depth"),
    Told(case=binance.USDM, symbol="BTCUSDC", candles="/fapi/v1/klines", book="/fapi/v1/depth"),
    Told(case=binance.USDM, symbol="BTCUSD_PERP", candles="/dapi/v1/klines", book="/dapi/v1/depth"),
    Told(case=binance.COINM, symbol="BTCUSD_PERP", candles="/dapi/v1/klines", book="/dapi/v1/depth"),
)
