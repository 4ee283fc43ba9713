"""All venues that are read exactly."""

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

CASES: tuple[VenueCase, ...] = (
    *binance.CASES,
    *bybit.CASES,
    okx.OKX_CASE,
    *bitget.CASES,
    gate.GATE_CASE,
    kucoinfutures.CLASSIC,
    kucoinfutures.UNIFIED,
    hyperliquid.HYPERLIQUID_CASE,
    mexc.MEXC_CASE,
    bingx.BINGX_CASE,
    krakenfutures.KRAKEN_CASE,
    deribit.DERIBIT_CASE,
)
