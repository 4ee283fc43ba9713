"""Binance COIN-M futures (dapi), classic accounts, one-way and hedge.

Two signed calls a cycle: account holds the pools and each position's margins, positionRisk prices and isolated wallets.
Every coin is a cross pool of its own. Contracts are worth a fixed sum of quote currency; notional, margins, PnL and
brackets are in coin. positionRisk gives no ADL rank, and one call more per cycle is not worth it.
"""

from collections.abc import Sequence
from typing import Any

from monitor.domain.account import MarginMode, Position, Side
from monitor.exchange.values import Row, boolean, mapping, not_negative, number, optional_positive, positive, rows
from monitor.exchange.venues.binance import BinanceVenue
from monitor.exchange.venues.binance_account import (
    check_notional,
    check_same_moment,
    held,
    instrument_of,
    liquidation_price,
    margin_in_use,
    matched,
    pools,
)
from monitor.exchange.venues.figures import Figure, Figures, VerifiedBy, exact, unknown
from monitor.exchange.venues.venue import AccountReading, AccountSettings, Instruments


def parse(raw: Sequence[Any], instruments: Instruments, settings: AccountSettings) -> AccountReading:
    """(account, positionRisk) to pools and positions. Raises ReadError (malformed, implausible)."""
    account = mapping(raw[0], "account")
    assets = rows(account.get("assets"), "account.assets")
    by_account = held(rows(account.get("positions"), "account.positions"))
    by_risk = held(rows(raw[1], "positionRisk"))
    pairs = matched(by_account, by_risk)
    legs = [(_position(side, own, risk, instruments), own) for (_, side), own, risk in pairs]
    check_same_moment(legs)
    return AccountReading(
        margins=pools(assets, legs, [_isolated_equity(own, risk) for _, own, risk in pairs]),
        positions=tuple(position for position, _ in legs),
        margin_in_use=margin_in_use(assets, legs),
        caveats=settings.caveats,
    )


def _isolated_equity(own: Row, risk: Row) -> float | None:
    if not boolean(own, "isolated"):
        return None
    return number(risk, "isolatedWallet") + number(own, "unrealizedProfit")


def _position(side: Side, own: Row, risk: Row, instruments: Instruments) -> Position:
    instrument = instrument_of(own, instruments)
    mark_price, contracts = positive(risk, "markPrice"), abs(number(risk, "positionAmt"))
    price, origin = liquidation_price(risk, mark_price)
    isolated = boolean(own, "isolated")
    return Position(
        instrument=instrument,
        side=side,
        pool=f"isolated:{instrument.symbol}:{side}" if isolated else f"cross:{instrument.settle}",
        contracts=contracts,
        size=contracts * instrument.contract_size / mark_price,
        notional=check_notional(instrument, contracts, mark_price, abs(number(risk, "notionalValue"))),
        mark_price=mark_price,
        entry_price=optional_positive(risk, "entryPrice"),
        liquidation_price=price,
        liquidation_price_origin=origin,
        leverage=optional_positive(risk, "leverage"),
        margin_mode=MarginMode.ISOLATED if isolated else MarginMode.CROSS,
        initial_margin=not_negative(own, "positionInitialMargin"),
        maintenance_margin=not_negative(own, "maintMargin"),
        unrealized_pnl=number(risk, "unRealizedProfit"),
    )


FIGURES: Figures = {
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
    Figure.ADL_RANK: unknown("a call of its own, not read"),
    Figure.FUNDING_RATE: exact("premiumIndex lastFundingRate", VerifiedBy.DOCUMENTS),
    Figure.FUNDING_INTERVAL: exact("fundingInfo fundingIntervalHours; 8 h where not listed", VerifiedBy.DOCUMENTS),
    Figure.NEXT_FUNDING: exact("premiumIndex nextFundingTime", VerifiedBy.DOCUMENTS),
    Figure.BRACKETS: exact("leverageBracket, in coin", VerifiedBy.DOCUMENTS),
    Figure.STOP_ORDERS: unknown("not read"),
    Figure.KEY_PERMISSIONS: exact("apiRestrictions", VerifiedBy.DOCUMENTS),
    Figure.ENDS: unknown("not read"),
}

VENUE = BinanceVenue(
    id="binancecoinm",
    api="dapi",
    reads={
        "dapiPublicGetTime": ("/dapi/v1/time", 1),
        "dapiPublicGetExchangeInfo": ("/dapi/v1/exchangeInfo", 1),
        "dapiPublicGetPremiumIndex": ("/dapi/v1/premiumIndex", 10),
        "dapiPublicGetFundingInfo": ("/dapi/v1/fundingInfo", 0),
        "dapiPrivateV2GetLeverageBracket": ("/dapi/v2/leverageBracket", 1),
        "dapiPrivateGetAccount": ("/dapi/v1/account", 5),
        "dapiPrivateGetPositionRisk": ("/dapi/v1/positionRisk", 1),
    },
    brackets_method="dapiPrivateV2GetLeverageBracket",
    quantity="qty",
    account_methods=("dapiPrivateGetAccount", "dapiPrivateGetPositionRisk"),
    parse=parse,
    figures=FIGURES,
    coverage=(
        "classic accounts, one-way and hedge, cross and isolated: every figure is the venue's own",
        "portfolio margin is refused, not misread",
        "the place in the auto-deleveraging queue and stop orders are not read",
    ),
)
