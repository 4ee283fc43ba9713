"""All venues that are read exactly."""

from tests.venues import binance, bingx, bitget, bybit, gate, kucoinfutures, mexc, okx
from tests.venues.kit import VenueCase

CASES: tuple[VenueCase, ...] = (
    *binance.CASES,
    *bybit.CASES,
    okx.OKX_CASE,
    *bitget.CASES,
    gate.GATE_CASE,
    kucoinfutures.CLASSIC,
    kucoinfutures.UNIFIED,
    mexc.MEXC_CASE,
    bingx.BINGX_CASE,
)
