"""How exactly each of Kraken Futures' figures is read, and where its meaning is known from."""

from monitor.exchange.venues.figures import Figure, Figures, VerifiedBy, estimated, exact, unknown

COVERAGE = (
    "the multi-collateral wallet in dollars and the single-collateral wallets of inverse contracts, each a pool by "
    "Kraken's own figures; of positions Kraken tells size, entry, and the leverage of isolated ones",
    "maintenance margin of a position and liquidation prices are estimates by the account's margin levels, with the "
    "collateral in other coins held as it stands",
    "an isolated position's margin is not told: it is estimated by its entry and leverage, and taken off the wallet, "
    "whose figures are estimates as long as one is held",
    "where a perpetual and a dated contract of one coin are held against each other, Kraken asks margin of the larger "
    "side alone: the wallet's own figure knows that, our estimates do not",
    "the funding of the hour at hand is not yet in a single-collateral wallet's equity",
    "options are not read: a position in one makes the read fail",
    "bookings are those of the account log, by Kraken's documents alone",
)

FIGURES: Figures = {
    Figure.EQUITY: exact(
        "accounts flex.marginEquity; single-collateral auxiliary.pv; estimated with or of isolated positions",
        VerifiedBy.DOCUMENTS,
    ),
    Figure.POOL_MAINTENANCE: exact(
        "accounts flex.maintenanceMargin; single-collateral marginRequirements.mm; estimated with or of isolated "
        "positions",
        VerifiedBy.DOCUMENTS,
    ),
    Figure.POOL_INITIAL: exact(
        "accounts flex.initialMargin; single-collateral marginRequirements.im; estimated with or of isolated positions",
        VerifiedBy.DOCUMENTS,
    ),
    Figure.AVAILABLE: exact(
        "accounts flex.availableMargin; single-collateral auxiliary.af; estimated with isolated positions",
        VerifiedBy.DOCUMENTS,
    ),
    Figure.VENUE_RATIO: unknown("Kraken tells none"),
    Figure.MARK_PRICE: exact("tickers markPrice", VerifiedBy.CCXT),
    Figure.NOTIONAL: exact("openpositions size x contractSize x mark", VerifiedBy.DOCUMENTS),
    Figure.ENTRY_PRICE: exact("openpositions price", VerifiedBy.DOCUMENTS),
    Figure.LIQUIDATION_PRICE: estimated(
        "the mark at which the pool's equity meets its maintenance", VerifiedBy.DOCUMENTS
    ),
    Figure.LEVERAGE: exact("openpositions maxFixedLeverage; margined across there is none", VerifiedBy.DOCUMENTS),
    Figure.MARGIN_MODE: exact("openpositions maxFixedLeverage, which isolated ones alone have", VerifiedBy.DOCUMENTS),
    Figure.MAINTENANCE: estimated("margin levels x notional at the mark", VerifiedBy.DOCUMENTS),
    Figure.INITIAL: unknown("not told of a position"),
    Figure.PNL: estimated("entry price and mark; the currency of unrealizedPnl is not documented"),
    Figure.ADL_RANK: unknown("unwindqueue costs 200 of 500 in 10 s, and is not read"),
    Figure.FUNDING_RATE: exact("tickers fundingRate, turned into a fraction by the mark", VerifiedBy.CCXT),
    Figure.FUNDING_INTERVAL: exact("every hour", VerifiedBy.DOCUMENTS),
    Figure.NEXT_FUNDING: exact("at the full hour", VerifiedBy.DOCUMENTS),
    Figure.BRACKETS: estimated(
        "trading/instruments marginLevels of the account; a level's rate taken for the whole position",
        VerifiedBy.DOCUMENTS,
    ),
    Figure.COLLATERAL: exact("accounts flex.currencies value / quantity", VerifiedBy.RECORDED),
    Figure.STOP_ORDERS: exact("openorders orderType, stopPrice", VerifiedBy.CCXT),
    Figure.KEY_PERMISSIONS: exact("api-keys/v3/check permissions, allowedCidrBlocks", VerifiedBy.DOCUMENTS),
    Figure.ENDS: exact("fills fillType", VerifiedBy.DOCUMENTS),
}
