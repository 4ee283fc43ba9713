"""How exactly each figure of Binance's two exchanges is read, and where its meaning is known from."""

from monitor.exchange.venues.figures import Figure, Figures, VerifiedBy, exact, unknown

USDM_COVERAGE = (
    "classic accounts, one-way and hedge, cross and isolated: every figure is the venue's own",
    "in single-asset mode each margin asset is a pool; in multi-assets mode all are one, counted in US dollars by the "
    "venue's own totals",
    "portfolio margin: the portfolio is one account, its COIN-M positions with it; margin loans and spot count in the "
    "pool's figures and are not listed",
    "portfolio margin is read by Binance's documents: no recorded reply of such an account was at hand",
    "portfolio margin: where positions are repriced, a coin counts by its index, without the haircut on collateral",
    "portfolio margin: what comes and goes is not told, so a deposit makes its drawdown unknown until the next day",
    "Portfolio Margin Pro, and positions margined in another asset than they settle in, are refused, not misread",
    "the account's mode, and leverage as the setting of the symbol, are read every 10 minutes",
)
COINM_COVERAGE = (
    "classic accounts, one-way and hedge, cross and isolated: every figure is the venue's own",
    "portfolio margin is refused: venue binanceusdm reads such an account whole, COIN-M positions with it",
)

_PUBLIC: Figures = {
    Figure.FUNDING_RATE: exact("premiumIndex lastFundingRate", VerifiedBy.DOCUMENTS),
    Figure.FUNDING_INTERVAL: exact("fundingInfo fundingIntervalHours; 8 h where not listed", VerifiedBy.DOCUMENTS),
    Figure.NEXT_FUNDING: exact("premiumIndex nextFundingTime", VerifiedBy.DOCUMENTS),
    Figure.KEY_PERMISSIONS: exact("apiRestrictions; a demo tells none", VerifiedBy.DOCUMENTS),
    Figure.ENDS: exact("forceOrders, liquidation or ADL by clientOrderId", VerifiedBy.DOCUMENTS),
}

USDM_FIGURES: Figures = {
    Figure.EQUITY: exact(
        "account.assets crossWalletBalance + crossUnPnl; isolatedWallet + profit; multi-assets: totalMarginBalance; "
        "portfolio: accountEquity",
        VerifiedBy.RECORDED,
    ),
    Figure.POOL_MAINTENANCE: exact(
        "sum of account.positions maintMargin of the pool; multi-assets: totalMaintMargin; portfolio: "
        "accountMaintMargin",
        VerifiedBy.RECORDED,
    ),
    Figure.POOL_INITIAL: exact(
        "sum of account.positions initialMargin of the pool; multi-assets: totalInitialMargin; portfolio: "
        "accountInitialMargin",
        VerifiedBy.RECORDED,
    ),
    Figure.AVAILABLE: exact(
        "account.assets availableBalance; multi-assets: account availableBalance; portfolio: totalAvailableBalance",
        VerifiedBy.RECORDED,
    ),
    Figure.VENUE_RATIO: exact("portfolio: 1.05 / uniMMR; classic: none", VerifiedBy.DOCUMENTS),
    Figure.MARK_PRICE: exact("positionRisk markPrice", VerifiedBy.RECORDED),
    Figure.NOTIONAL: exact("positionRisk notional, held against contracts x mark", VerifiedBy.RECORDED),
    Figure.ENTRY_PRICE: exact("positionRisk entryPrice", VerifiedBy.RECORDED),
    Figure.LIQUIDATION_PRICE: exact("positionRisk liquidationPrice; 0 is none", VerifiedBy.RECORDED),
    Figure.LEVERAGE: exact("symbolConfig leverage; portfolio: positionRisk leverage", VerifiedBy.DOCUMENTS),
    Figure.MARGIN_MODE: exact("account.positions isolatedWallet", VerifiedBy.RECORDED),
    Figure.MAINTENANCE: exact("positionRisk maintMargin; portfolio: account.positions", VerifiedBy.RECORDED),
    Figure.INITIAL: exact("positionRisk positionInitialMargin; portfolio: account.positions", VerifiedBy.RECORDED),
    Figure.PNL: exact("positionRisk unRealizedProfit", VerifiedBy.RECORDED),
    Figure.ADL_RANK: exact("positionRisk adl; portfolio: adlQuantile", VerifiedBy.RECORDED),
    Figure.BRACKETS: exact("leverageBracket", VerifiedBy.DOCUMENTS),
    Figure.COLLATERAL: exact(
        "multi-assets and portfolio: assetIndex index, bidBuffer; single-asset: none", VerifiedBy.DOCUMENTS
    ),
    Figure.STOP_ORDERS: exact(
        "openAlgoOrders and openOrders; portfolio: um/algo/openAlgoOrders, cm/conditional/openOrders",
        VerifiedBy.DOCUMENTS,
    ),
    **_PUBLIC,
}

COINM_FIGURES: Figures = {
    Figure.EQUITY: exact(
        "account.assets crossWalletBalance + crossUnPnl; isolatedWallet + profit", VerifiedBy.DOCUMENTS
    ),
    Figure.POOL_MAINTENANCE: exact("sum of account.positions maintMargin of the pool", VerifiedBy.DOCUMENTS),
    Figure.POOL_INITIAL: exact("sum of account.positions initialMargin of the pool", VerifiedBy.DOCUMENTS),
    Figure.AVAILABLE: exact("account.assets availableBalance", VerifiedBy.DOCUMENTS),
    Figure.VENUE_RATIO: unknown("Binance tells no ratio of a classic account"),
    Figure.MARK_PRICE: exact("positionRisk markPrice", VerifiedBy.RECORDED),
    Figure.NOTIONAL: exact("positionRisk notionalValue, held against contracts / mark", VerifiedBy.RECORDED),
    Figure.ENTRY_PRICE: exact("positionRisk entryPrice", VerifiedBy.RECORDED),
    Figure.LIQUIDATION_PRICE: exact("positionRisk liquidationPrice; 0 is none", VerifiedBy.RECORDED),
    Figure.LEVERAGE: exact("positionRisk leverage", VerifiedBy.RECORDED),
    Figure.MARGIN_MODE: exact("account.positions isolated", VerifiedBy.DOCUMENTS),
    Figure.MAINTENANCE: exact("account.positions maintMargin", VerifiedBy.DOCUMENTS),
    Figure.INITIAL: exact("account.positions positionInitialMargin", VerifiedBy.DOCUMENTS),
    Figure.PNL: exact("positionRisk unRealizedProfit", VerifiedBy.RECORDED),
    Figure.ADL_RANK: exact("adlQuantile", VerifiedBy.DOCUMENTS),
    Figure.BRACKETS: exact("leverageBracket, in coin", VerifiedBy.DOCUMENTS),
    Figure.COLLATERAL: unknown("Binance tells no price of the coins of COIN-M accounts but their marks"),
    Figure.STOP_ORDERS: exact("openAlgoOrders, which Binance does not document, and openOrders", VerifiedBy.CCXT),
    **_PUBLIC,
}
