"""All venues that are read exactly."""

from tests.venues import binance, bingx, bybit, gate, kucoinfutures, mexc, okx
from tests.venues.kit import VenueCase

CASES: tuple[VenueCase, ...] = (
    *binance.CASES,
    *bybit.CASES,
    gate.GATE_CASE,
    kucoinfutures.CLASSIC,
    kucoinfutures.UNIFIED,
    mexc.MEXC_CASE,
    bingx.BINGX_CASE,
    okx.OKX_CASE,
)
