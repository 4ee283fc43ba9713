"""All venues that are read exactly."""

from tests.venues import binance, mexc
from tests.venues.kit import VenueCase

CASES: tuple[VenueCase, ...] = (binance.USDM, binance.COINM, mexc.MEXC_CASE)
