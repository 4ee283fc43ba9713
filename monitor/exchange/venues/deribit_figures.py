"""What of Deribit is told exactly, and how its owner makes a key."""

from monitor.exchange.venues.figures import Figure, Figures, VerifiedBy, exact, unknown

KEY_STEPS = (
    "Account > API management > Add new key; choose account:read and trade:read, none for wallet, custody and block "
    "trade, and under 'IP whitelisting' name this machine's address; Client ID and Client Secret are the account's key "
    "and secret"
)

COVERAGE = (
    "segregated and cross margin, standard and portfolio: one pool a currency, under cross collateral one in US "
    "dollars beside those of currencies that are no collateral, all by the venue's own figures",
    "perpetual and dated futures are read; options, spot and combo positions are not, and named where held",
    "isolated positions are read where Deribit shows them to the key, which is asked every 10 minutes; their "
    "liquidations are not: Deribit tells them by subaccount",
    "margins of a position are those of standard margin: under portfolio margin they do not add up to the pool's",
    "Deribit tells liquidation prices under segregated standard margin and of isolated positions alone; ours are for "
    "one contract moving, at the maintenance rate it has now",
    "Deribit has no call for brackets, a place in the queue of deleveraging, or past deleveragings",
    "under portfolio margin a liquidation may open a hedge, which is told as the end of what it trades against",
    "one contract held across and isolated at once is refused, not misread",
    "bookings are read by the documents, of currencies that contracts are settled in and of EURR; gains and funding "
    "are booked once a day, with the settlement, and what is not yet settled is not among them",
    "the key's own account alone is read, not its other subaccounts",
)

FIGURES: Figures = {
    Figure.EQUITY: exact("margin_balance; cross: total_margin_balance_usd", VerifiedBy.RECORDED),
    Figure.POOL_MAINTENANCE: exact("maintenance_margin; cross: total_maintenance_margin_usd", VerifiedBy.RECORDED),
    Figure.POOL_INITIAL: exact("initial_margin; cross: total_initial_margin_usd", VerifiedBy.RECORDED),
    Figure.AVAILABLE: exact("available_funds; cross: in US dollars at the account's own rate", VerifiedBy.RECORDED),
    Figure.VENUE_RATIO: unknown("Deribit's API tells none: maintenance_margin / margin_balance is ours"),
    Figure.MARK_PRICE: exact("get_positions mark_price", VerifiedBy.RECORDED),
    Figure.NOTIONAL: exact("get_positions size; linear: size_currency, at the mark", VerifiedBy.RECORDED),
    Figure.ENTRY_PRICE: exact("get_positions average_price", VerifiedBy.RECORDED),
    Figure.LIQUIDATION_PRICE: exact(
        "get_positions estimated_liquidation_price; cross, portfolio margin: estimated", VerifiedBy.DOCUMENTS
    ),
    Figure.LEVERAGE: exact("get_positions leverage: the highest at that size", VerifiedBy.DOCUMENTS),
    Figure.MARGIN_MODE: exact("get_positions isolated; all others are cross", VerifiedBy.DOCUMENTS),
    Figure.MAINTENANCE: exact("get_positions maintenance_margin, of standard margin", VerifiedBy.RECORDED),
    Figure.INITIAL: exact("get_positions initial_margin, of standard margin", VerifiedBy.RECORDED),
    Figure.PNL: exact("get_positions total_profit_loss", VerifiedBy.RECORDED),
    Figure.ADL_RANK: unknown("Deribit's API tells none"),
    Figure.FUNDING_RATE: exact("book_summary current_funding, for 8 hours", VerifiedBy.RECORDED),
    Figure.FUNDING_INTERVAL: exact("8 hours, for which the rate is told", VerifiedBy.DOCUMENTS),
    Figure.NEXT_FUNDING: unknown("it is paid every moment"),
    Figure.BRACKETS: unknown("Deribit's API tells none; a position's rate of now is kept"),
    Figure.COLLATERAL: unknown("not read: what backs the account in other coins is told as a sum"),
    Figure.STOP_ORDERS: exact("get_open_orders trigger_all", VerifiedBy.RECORDED),
    Figure.KEY_PERMISSIONS: exact("list_api_keys max_scope and ip_whitelist", VerifiedBy.DOCUMENTS),
    Figure.ENDS: exact("get_user_trades liquidation; deleveragings: none are told", VerifiedBy.DOCUMENTS),
}
