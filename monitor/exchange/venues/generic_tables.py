"""What the generic reader knows of venues: where their lists stand, what unified calls leave out, and its own gaps."""

from collections.abc import Mapping

from monitor.exchange.venues.figures import Figure, Figures, VerifiedBy, exact, unknown

# Where each venue's raw reply holds the list of positions; "" is the reply itself.
ENVELOPES: Mapping[str, tuple[str, ...]] = {
    "aster": ("",),
    "backpack": ("",),
    "bybitid": ("result.list",),
    "dydx": ("positions",),
    "htx": ("data",),
    "kucoin": ("data",),
    "kucoinfutures": ("data",),
    "paradex": ("results",),
    "phemex": ("data.positions",),
    "woo": ("data.positions",),
}
# Positions that the unified call leaves out.
SCOPES: Mapping[str, str] = {
    "bybitid": "only linear contracts settled in USDT are read, at most 200 positions",
    "dydx": "only subaccount 0 is read",
    "htx": "only linear contracts are read",
    "phemex": "only contracts settled in USDT are read",
}
UNVOUCHED = (
    "equity, maintenance margin and margin ratio are unknown: no unified figure tells them rightly",
    "liquidation prices and margins are given only where the venue's own reply holds them",
    "stop orders are not read: whether a position has a stop is not watched",
)
_UNIFIED = "no unified figure of ccxt tells it rightly"
_WHERE_HELD = "where the venue's own reply holds the number"
FIGURES: Figures = {
    **dict.fromkeys(
        (Figure.EQUITY, Figure.POOL_MAINTENANCE, Figure.POOL_INITIAL, Figure.AVAILABLE, Figure.VENUE_RATIO),
        unknown(_UNIFIED),
    ),
    **dict.fromkeys(
        (
            Figure.MARK_PRICE,
            Figure.LIQUIDATION_PRICE,
            Figure.LEVERAGE,
            Figure.MAINTENANCE,
            Figure.INITIAL,
            Figure.PNL,
            Figure.ENTRY_PRICE,
            Figure.MARGIN_MODE,
        ),
        exact(_WHERE_HELD, VerifiedBy.CCXT),
    ),
    Figure.NOTIONAL: exact("contracts x contractSize x mark", VerifiedBy.CCXT),
    **dict.fromkeys(
        (Figure.FUNDING_RATE, Figure.FUNDING_INTERVAL, Figure.NEXT_FUNDING),
        exact("fetchFundingRates, where ccxt lists all at once", VerifiedBy.CCXT),
    ),
    **dict.fromkeys(
        (
            Figure.ADL_RANK,
            Figure.BRACKETS,
            Figure.COLLATERAL,
            Figure.STOP_ORDERS,
            Figure.KEY_PERMISSIONS,
            Figure.ENDS,
        ),
        unknown("not read by the generic reader"),
    ),
}
