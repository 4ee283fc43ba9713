"""How exactly each of OKX's figures is read, and where its meaning is known from."""

from monitor.exchange.venues.figures import Figure, Figures, VerifiedBy, estimated, exact

COVERAGE = (
    "futures mode with a pool per currency, multi-currency and portfolio margin with one in US dollars, and isolated "
    "positions alone, by the venue's own figures; net and long/short positions",
    "a pool's maintenance margin holds the fee of liquidation, as OKX's own ratio does",
    "spot mode has no contracts, and a pool only where it may borrow",
    "portfolio margin: OKX tells no margins of a single position; ours are by brackets, which do not see hedges, and "
    "marked so",
    "perpetual and dated contracts are read; options, margin and event positions are not, and named where held",
    "one side of a contract held across and isolated at once is refused, not misread",
    "accounts of my.okx.com and app.okx.com need base_url: https://eea.okx.com and https://us.okx.com",
    "the account's mode is read every 10 minutes",
)

FIGURES: Figures = {
    Figure.EQUITY: exact(
        "balance adjEq; futures mode: cashBal + upl - isoUpl of the currency; isolated: margin + upl",
        VerifiedBy.DOCUMENTS,
    ),
    Figure.POOL_MAINTENANCE: exact("equity / mgnRatio: mmr and the fee of liquidation", VerifiedBy.DOCUMENTS),
    Figure.POOL_INITIAL: exact("balance imr; futures mode: of the currency; isolated: none", VerifiedBy.DOCUMENTS),
    Figure.AVAILABLE: exact("balance availEq; futures mode: of the currency; isolated: none", VerifiedBy.DOCUMENTS),
    Figure.VENUE_RATIO: exact("mgnRatio, turned: 1 liquidates", VerifiedBy.DOCUMENTS),
    Figure.MARK_PRICE: exact("positions markPx", VerifiedBy.RECORDED),
    Figure.NOTIONAL: exact("positions pos x ctVal x mark; notionalUsd is in dollars", VerifiedBy.RECORDED),
    Figure.ENTRY_PRICE: exact("positions avgPx", VerifiedBy.RECORDED),
    Figure.LIQUIDATION_PRICE: exact("positions liqPx; estimated where empty", VerifiedBy.DOCUMENTS),
    Figure.LEVERAGE: exact("positions lever; portfolio margin: none", VerifiedBy.RECORDED),
    Figure.MARGIN_MODE: exact("positions mgnMode", VerifiedBy.RECORDED),
    Figure.MAINTENANCE: exact(
        "positions mmr, without the fee of liquidation; portfolio margin: estimated", VerifiedBy.RECORDED
    ),
    Figure.INITIAL: exact("positions imr; isolated, portfolio margin: none", VerifiedBy.RECORDED),
    Figure.PNL: exact("positions upl", VerifiedBy.RECORDED),
    Figure.ADL_RANK: exact("positions adl, 5 goes first", VerifiedBy.DOCUMENTS),
    Figure.FUNDING_RATE: exact("funding-rate fundingRate", VerifiedBy.DOCUMENTS),
    Figure.FUNDING_INTERVAL: exact("funding-rate nextFundingTime - fundingTime", VerifiedBy.DOCUMENTS),
    Figure.NEXT_FUNDING: exact("funding-rate fundingTime", VerifiedBy.DOCUMENTS),
    Figure.BRACKETS: estimated(
        "position-tiers of each contract held, in contracts at the mark, with the usual fee of liquidation",
        VerifiedBy.DOCUMENTS,
    ),
    Figure.COLLATERAL: exact("balance details eqUsd / eq", VerifiedBy.DOCUMENTS),
    Figure.STOP_ORDERS: exact("orders-algo-pending of three kinds", VerifiedBy.DOCUMENTS),
    Figure.KEY_PERMISSIONS: exact("account/config perm and ip", VerifiedBy.DOCUMENTS),
    Figure.ENDS: exact("account/bills type 5 and 9; that 125 to 128 are deleveragings", VerifiedBy.CCXT),
}
