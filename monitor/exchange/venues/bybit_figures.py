"""How exactly each of Bybit's figures is read, and where its meaning is known from."""

from monitor.exchange.venues.figures import Figure, Figures, VerifiedBy, exact

COVERAGE = (
    "unified trading accounts 2.0 under cross and portfolio margin: one pool in US dollars, by the venue's own figures",
    "isolated margin: Bybit does not tell a position's equity; ours is made of its liquidation price, and marked so",
    "portfolio margin: Bybit tells neither margins nor liquidation price of a position; ours are by brackets, which "
    "do not see hedges, and marked so",
    "linear contracts settled in USDT and USDC and inverse ones are read, page by page; options are not",
    "classic accounts and unified accounts 1.0 are refused, not misread",
    "the account's mode is read every 10 minutes",
)

FIGURES: Figures = {
    Figure.EQUITY: exact(
        "wallet-balance totalMarginBalance; isolated margin: estimated by liqPrice", VerifiedBy.DOCUMENTS
    ),
    Figure.POOL_MAINTENANCE: exact(
        "wallet-balance totalMaintenanceMargin; isolated margin: positionMM", VerifiedBy.DOCUMENTS
    ),
    Figure.POOL_INITIAL: exact("wallet-balance totalInitialMargin; isolated margin: positionIM", VerifiedBy.DOCUMENTS),
    Figure.AVAILABLE: exact("wallet-balance totalAvailableBalance; isolated margin: none", VerifiedBy.DOCUMENTS),
    Figure.VENUE_RATIO: exact(
        "wallet-balance accountMMRate, 1 liquidates; isolated margin: none", VerifiedBy.DOCUMENTS
    ),
    Figure.MARK_PRICE: exact("position/list markPrice", VerifiedBy.RECORDED),
    Figure.NOTIONAL: exact("position/list size x mark; positionValue is valued at entry", VerifiedBy.RECORDED),
    Figure.ENTRY_PRICE: exact("position/list avgPrice", VerifiedBy.RECORDED),
    Figure.LIQUIDATION_PRICE: exact(
        "position/list liqPrice; empty is none; portfolio margin: estimated", VerifiedBy.DOCUMENTS
    ),
    Figure.LEVERAGE: exact("position/list leverage; portfolio margin: none", VerifiedBy.RECORDED),
    Figure.MARGIN_MODE: exact("account/info marginMode; tradeMode is always 0", VerifiedBy.DOCUMENTS),
    Figure.MAINTENANCE: exact(
        "position/list positionMM, with the fee to close; portfolio margin: estimated", VerifiedBy.RECORDED
    ),
    Figure.INITIAL: exact("position/list positionIM; portfolio margin: none", VerifiedBy.RECORDED),
    Figure.PNL: exact("position/list unrealisedPnl; USDC: since the last settlement", VerifiedBy.RECORDED),
    Figure.ADL_RANK: exact("position/list adlRankIndicator; that 5 goes first is not documented", VerifiedBy.CCXT),
    Figure.FUNDING_RATE: exact("tickers fundingRate", VerifiedBy.RECORDED),
    Figure.FUNDING_INTERVAL: exact("tickers fundingIntervalHour", VerifiedBy.RECORDED),
    Figure.NEXT_FUNDING: exact("tickers nextFundingTime", VerifiedBy.RECORDED),
    Figure.BRACKETS: exact("risk-limit of each contract held", VerifiedBy.DOCUMENTS),
    Figure.COLLATERAL: exact("wallet-balance coin usdValue / equity", VerifiedBy.DOCUMENTS),
    Figure.STOP_ORDERS: exact("order/realtime with orderFilter StopOrder", VerifiedBy.DOCUMENTS),
    Figure.KEY_PERMISSIONS: exact("user/query-api readOnly, permissions, ips", VerifiedBy.DOCUMENTS),
    Figure.ENDS: exact("execution/list execType BustTrade and AdlTrade", VerifiedBy.DOCUMENTS),
}
