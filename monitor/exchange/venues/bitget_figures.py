"""How exactly each of Bitget's figures is read, and where its meaning is known from."""

from monitor.exchange.venues.figures import Figure, Figures, VerifiedBy, estimated, exact

COVERAGE = (
    "classic accounts in single-asset and multi-assets mode, and unified accounts: pools by the venue's own figures",
    "a position's maintenance is the venue's own only where it is isolated in a classic account; elsewhere ours is by "
    "brackets and the fee of closing, and marked so",
    "contracts settled in USDT and USDC are read, and coin-settled ones of unified accounts; a position in the classic "
    "coin-settled ones is refused, not misread",
    "in unified accounts a stablecoin is repriced as a dollar and a coin without the venue's haircut",
    "unified accounts in delta-neutral mode are refused; auto-deleveragings of unified accounts are not told",
    "positions opened before 10 November 2025 owe by the highest bracket alone, which ours by brackets do not know",
    "bookings are read of 30 days at most, by the documents alone; what isolated positions of a unified account "
    "realised is not told apart from their margin, and so is of an unknown kind",
    "the account's mode is read every 10 minutes, and whenever a reply is not what it lets expect",
)

FIGURES: Figures = {
    Figure.EQUITY: exact(
        "accounts accountEquity - isolated margin and profit, multi-assets unionTotalMargin; unified effEquity",
        VerifiedBy.DOCUMENTS,
    ),
    Figure.POOL_MAINTENANCE: exact(
        "crossedRiskRate x equity; unified mmr, or mgnRatio x equity where that is more; isolated in unified accounts: "
        "estimated",
        VerifiedBy.DOCUMENTS,
    ),
    Figure.POOL_INITIAL: exact("sum of positions marginSize; unified imr", VerifiedBy.DOCUMENTS),
    Figure.AVAILABLE: exact(
        "accounts crossedMaxAvailable, multi-assets unionAvailable; unified: none", VerifiedBy.DOCUMENTS
    ),
    Figure.VENUE_RATIO: exact(
        "crossedRiskRate, isolated marginRatio; unified mgnRatio; 1 liquidates", VerifiedBy.DOCUMENTS
    ),
    Figure.MARK_PRICE: exact("positions markPrice", VerifiedBy.DOCUMENTS),
    Figure.NOTIONAL: exact("positions total x mark, coin-settled total / mark", VerifiedBy.DOCUMENTS),
    Figure.ENTRY_PRICE: exact("positions openPriceAvg; unified avgPrice", VerifiedBy.DOCUMENTS),
    Figure.LIQUIDATION_PRICE: exact("positions liquidationPrice, 0 or less is none", VerifiedBy.DOCUMENTS),
    Figure.LEVERAGE: exact("positions leverage", VerifiedBy.DOCUMENTS),
    Figure.MARGIN_MODE: exact("positions marginMode", VerifiedBy.DOCUMENTS),
    Figure.MAINTENANCE: estimated(
        "brackets and fee of closing x notional; coin-settled mmr x notional; classic isolated: exact, marginRatio x "
        "(marginSize + unrealizedPL)",
        VerifiedBy.DOCUMENTS,
    ),
    Figure.INITIAL: exact(
        "positions marginSize, unified positionBalance: across with the fee, isolated all that it binds",
        VerifiedBy.DOCUMENTS,
    ),
    Figure.PNL: exact("positions unrealizedPL; unified unrealisedPnl", VerifiedBy.DOCUMENTS),
    Figure.ADL_RANK: exact(
        "adlRank rank, unified adlRank, in fifths; coin-settled: none, and none where refused", VerifiedBy.DOCUMENTS
    ),
    Figure.FUNDING_RATE: exact("tickers fundingRate", VerifiedBy.DOCUMENTS),
    Figure.FUNDING_INTERVAL: exact("current-fund-rate fundingRateInterval", VerifiedBy.DOCUMENTS),
    Figure.NEXT_FUNDING: exact("current-fund-rate nextUpdate", VerifiedBy.DOCUMENTS),
    Figure.BRACKETS: exact(
        "position-tier mmr + instruments takerFeeRate, slice by slice; coin-settled: none", VerifiedBy.DOCUMENTS
    ),
    Figure.COLLATERAL: exact("unified: account/assets usdValue / equity; classic: none", VerifiedBy.DOCUMENTS),
    Figure.STOP_ORDERS: exact("orders-plan-pending; unified unfilled-strategy-orders", VerifiedBy.DOCUMENTS),
    Figure.KEY_PERMISSIONS: exact(
        "spot/account/info authorities, ips; unified account/info permType, permissions, ips", VerifiedBy.DOCUMENTS
    ),
    Figure.ENDS: exact("fill-history tradeSide; unified history-orders execType, without ADL", VerifiedBy.DOCUMENTS),
}
