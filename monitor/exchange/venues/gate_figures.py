"""How exactly each of Gate's figures is read, and where its meaning is known from."""

from monitor.exchange.venues.figures import Figure, Figures, VerifiedBy, exact, unknown

COVERAGE = (
    "perpetuals settled in USDT and in BTC, one-way and hedge, cross and isolated, page by page: every figure is the "
    "venue's own; dated contracts and options are not read",
    "classic accounts: a cross pool a settle currency; accounts in the old classic margin mode are refused",
    "unified accounts: one pool in US dollars (multi-currency, portfolio margin) or in USDT (single-currency), by "
    "Gate's own totals, which count spot, loans and options too",
    "unified accounts: a tether counts as one dollar where positions are repriced; a liquidation price that Gate does "
    "not tell is ours, and marked so",
    "split positions (several on one side of a contract) are refused, not misread",
    "maintenance margins hold the fee to close, which our own estimates by brackets leave out",
    "the account's modes, and whether an account of another settle currency was opened, are read every 10 minutes",
    "bookings are read by the documents alone; what comes into a unified account, and leaves it, is not among them",
    "what a key may do is told to keys of the main account alone",
)

_CLASSIC, _UNIFIED = "classic: futures accounts", "unified: unified accounts"

FIGURES: Figures = {
    Figure.EQUITY: exact(
        f"{_CLASSIC} cross_margin_balance; {_UNIFIED} total_margin_balance, or of USDT margin_balance; isolated: "
        "positions margin + unrealised_pnl",
        VerifiedBy.DOCUMENTS,
    ),
    Figure.POOL_MAINTENANCE: exact(
        f"{_CLASSIC} cross_maintenance_margin; {_UNIFIED} total_maintenance_margin, or of USDT mm; isolated: positions "
        "maintenance_margin",
        VerifiedBy.DOCUMENTS,
    ),
    Figure.POOL_INITIAL: exact(
        f"{_CLASSIC} cross_initial_margin; {_UNIFIED} total_initial_margin, or of USDT im; isolated: positions "
        "initial_margin",
        VerifiedBy.DOCUMENTS,
    ),
    Figure.AVAILABLE: exact(
        f"{_CLASSIC} cross_available; {_UNIFIED} total_available_margin, or of USDT available_margin",
        VerifiedBy.DOCUMENTS,
    ),
    Figure.VENUE_RATIO: exact(
        f"{_UNIFIED} total_maintenance_margin_rate, or of USDT mmr, turned over; classic: none", VerifiedBy.DOCUMENTS
    ),
    Figure.MARK_PRICE: exact("positions mark_price", VerifiedBy.DOCUMENTS),
    Figure.NOTIONAL: exact("positions value, held against contracts x mark", VerifiedBy.DOCUMENTS),
    Figure.ENTRY_PRICE: exact("positions entry_price", VerifiedBy.DOCUMENTS),
    Figure.LIQUIDATION_PRICE: exact(
        "positions liq_price; classic: 0 of a long and 99999999 of a short are none; unified: these are unknown",
        VerifiedBy.CCXT,
    ),
    Figure.LEVERAGE: exact("positions lever, or leverage (isolated) and cross_leverage_limit", VerifiedBy.DOCUMENTS),
    Figure.MARGIN_MODE: exact("positions pos_margin_mode, or leverage, which is 0 for cross", VerifiedBy.DOCUMENTS),
    Figure.MAINTENANCE: exact(
        "positions maintenance_margin, with the fee to close; where 0: by brackets", VerifiedBy.CCXT
    ),
    Figure.INITIAL: exact("positions initial_margin, with the fee to open", VerifiedBy.CCXT),
    Figure.PNL: exact("positions unrealised_pnl", VerifiedBy.DOCUMENTS),
    Figure.ADL_RANK: exact("positions adl_ranking, where 1 goes first: turned over", VerifiedBy.DOCUMENTS),
    Figure.FUNDING_RATE: exact("contracts funding_rate", VerifiedBy.DOCUMENTS),
    Figure.FUNDING_INTERVAL: exact("contracts funding_interval, in seconds", VerifiedBy.DOCUMENTS),
    Figure.NEXT_FUNDING: exact("contracts funding_next_apply", VerifiedBy.DOCUMENTS),
    Figure.BRACKETS: exact("risk_limit_tiers; amounts made so that maintenance is continuous", VerifiedBy.DOCUMENTS),
    Figure.COLLATERAL: unknown("Gate tells an account's worth, and none of its coins"),
    Figure.STOP_ORDERS: exact("price_orders and autoorder/v1/trail/list", VerifiedBy.DOCUMENTS),
    Figure.KEY_PERMISSIONS: exact("account/main_keys perms, account/detail ip_whitelist", VerifiedBy.DOCUMENTS),
    Figure.ENDS: exact("liquidates and auto_deleverages", VerifiedBy.DOCUMENTS),
}
