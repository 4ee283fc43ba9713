"""Binance USDS-M futures (fapi), classic accounts in single-asset mode, one-way and hedge.

Two signed calls a cycle: account v3 holds the pools and each position's margins, positionRisk v3 prices and ADL.
In single-asset mode every margin asset is a cross pool of its own: crossWalletBalance + crossUnPnl against the
maintenance of the positions margined in it. Each isolated position is a pool: its wallet + its unrealised PnL.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from monitor.domain.account import FailureKind, MarginMode, Position, Side
from monitor.exchange.failures import ReadError
from monitor.exchange.together import together
from monitor.exchange.values import Row, boolean, mapping, not_negative, number, optional_positive, positive, rows, text
from monitor.exchange.venues.binance import BinanceVenue
from monitor.exchange.venues.binance_account import (
    adl_rank,
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


async def _leverages(client: Any) -> Mapping[str, float]:
    """By raw symbol; refuses multi-assets mode, in which all assets stand behind all positions."""
    config, symbols = await together(client.fapiPrivateGetAccountConfig(), client.fapiPrivateGetSymbolConfig())
    if boolean(mapping(config, "accountConfig"), "multiAssetsMargin"):
        raise ReadError(FailureKind.UNSUPPORTED, "the account is in multi-assets mode, which is not read yet")
    return {text(row, "symbol"): positive(row, "leverage") for row in rows(symbols, "symbolConfig")}


def parse(raw: Sequence[Any], instruments: Instruments, settings: AccountSettings) -> AccountReading:
    """(account v3, positionRisk v3) to pools and positions. Raises ReadError (malformed, implausible)."""
    account = mapping(raw[0], "account")
    assets = rows(account.get("assets"), "account.assets")
    by_account = held(rows(account.get("positions"), "account.positions"))
    by_risk = held(rows(raw[1], "positionRisk"))
    legs = [
        (_position(side, own, risk, instruments, settings), own)
        for (_, side), own, risk in matched(by_account, by_risk)
    ]
    check_same_moment(legs)
    return AccountReading(
        margins=pools(assets, legs, [_isolated_equity(own) for _, own in legs]),
        positions=tuple(position for position, _ in legs),
        margin_in_use=margin_in_use(assets, legs),
        caveats=settings.caveats,
    )


def _is_isolated(own: Row) -> bool:
    return number(own, "isolatedWallet") != 0


def _isolated_equity(own: Row) -> float | None:
    return number(own, "isolatedWallet") + number(own, "unrealizedProfit") if _is_isolated(own) else None


def _position(side: Side, own: Row, risk: Row, instruments: Instruments, settings: AccountSettings) -> Position:
    instrument = instrument_of(own, instruments)
    if risk.get("marginAsset", instrument.settle) != instrument.settle:
        raise ReadError(
            FailureKind.UNSUPPORTED,
            f"{instrument.symbol} is margined in {risk['marginAsset']!s:.20}, which is not read yet",
        )
    mark_price, contracts = positive(risk, "markPrice"), abs(number(risk, "positionAmt"))
    price, origin = liquidation_price(risk, mark_price)
    isolated = _is_isolated(own)
    return Position(
        instrument=instrument,
        side=side,
        pool=f"isolated:{instrument.symbol}:{side}" if isolated else f"cross:{instrument.settle}",
        contracts=contracts,
        size=contracts * instrument.contract_size,
        notional=check_notional(instrument, contracts, mark_price, abs(number(risk, "notional"))),
        mark_price=mark_price,
        entry_price=optional_positive(risk, "entryPrice"),
        liquidation_price=price,
        liquidation_price_origin=origin,
        leverage=settings.leverages.get(text(own, "symbol")),
        margin_mode=MarginMode.ISOLATED if isolated else MarginMode.CROSS,
        initial_margin=not_negative(risk, "positionInitialMargin"),
        maintenance_margin=not_negative(risk, "maintMargin"),
        unrealized_pnl=number(risk, "unRealizedProfit"),
        adl_rank=adl_rank(risk),
    )


FIGURES: Figures = {
    Figure.EQUITY: exact(
        "account.assets crossWalletBalance + crossUnPnl; isolatedWallet + profit", VerifiedBy.RECORDED
    ),
    Figure.POOL_MAINTENANCE: exact("sum of account.positions maintMargin of the pool", VerifiedBy.RECORDED),
    Figure.POOL_INITIAL: exact("sum of account.positions initialMargin of the pool", VerifiedBy.RECORDED),
    Figure.AVAILABLE: exact("account.assets availableBalance", VerifiedBy.RECORDED),
    Figure.VENUE_RATIO: unknown("Binance tells no ratio of a classic account"),
    Figure.MARK_PRICE: exact("positionRisk markPrice", VerifiedBy.RECORDED),
    Figure.NOTIONAL: exact("positionRisk notional, held against contracts x mark", VerifiedBy.RECORDED),
    Figure.ENTRY_PRICE: exact("positionRisk entryPrice", VerifiedBy.RECORDED),
    Figure.LIQUIDATION_PRICE: exact("positionRisk liquidationPrice; 0 is none", VerifiedBy.RECORDED),
    Figure.LEVERAGE: exact("symbolConfig leverage", VerifiedBy.DOCUMENTS),
    Figure.MARGIN_MODE: exact("account.positions isolatedWallet", VerifiedBy.RECORDED),
    Figure.MAINTENANCE: exact("positionRisk maintMargin", VerifiedBy.RECORDED),
    Figure.INITIAL: exact("positionRisk positionInitialMargin", VerifiedBy.RECORDED),
    Figure.PNL: exact("positionRisk unRealizedProfit", VerifiedBy.RECORDED),
    Figure.ADL_RANK: exact("positionRisk adl", VerifiedBy.RECORDED),
    Figure.FUNDING_RATE: exact("premiumIndex lastFundingRate", VerifiedBy.DOCUMENTS),
    Figure.FUNDING_INTERVAL: exact("fundingInfo fundingIntervalHours; 8 h where not listed", VerifiedBy.DOCUMENTS),
    Figure.NEXT_FUNDING: exact("premiumIndex nextFundingTime", VerifiedBy.DOCUMENTS),
    Figure.BRACKETS: exact("leverageBracket", VerifiedBy.DOCUMENTS),
    Figure.STOP_ORDERS: unknown("not read"),
    Figure.KEY_PERMISSIONS: exact("apiRestrictions", VerifiedBy.DOCUMENTS),
    Figure.ENDS: unknown("not read"),
}

VENUE = BinanceVenue(
    id="binanceusdm",
    api="fapi",
    reads={
        "fapiPublicGetTime": ("/fapi/v1/time", 1),
        "fapiPublicGetExchangeInfo": ("/fapi/v1/exchangeInfo", 1),
        "fapiPublicGetPremiumIndex": ("/fapi/v1/premiumIndex", 10),
        "fapiPublicGetFundingInfo": ("/fapi/v1/fundingInfo", 0),
        "fapiPrivateGetLeverageBracket": ("/fapi/v1/leverageBracket", 1),
        "fapiPrivateGetAccountConfig": ("/fapi/v1/accountConfig", 5),
        "fapiPrivateGetSymbolConfig": ("/fapi/v1/symbolConfig", 5),
        "fapiPrivateV3GetAccount": ("/fapi/v3/account", 5),
        "fapiPrivateV3GetPositionRisk": ("/fapi/v3/positionRisk", 5),
    },
    brackets_method="fapiPrivateGetLeverageBracket",
    quantity="notional",
    account_methods=("fapiPrivateV3GetAccount", "fapiPrivateV3GetPositionRisk"),
    leverages=_leverages,
    parse=parse,
    figures=FIGURES,
    coverage=(
        "classic accounts in single-asset mode, one-way and hedge, cross and isolated: every figure is the venue's own",
        "multi-assets mode and portfolio margin are refused, not misread",
        "the account's mode, and leverage as the setting of the symbol, are read every 10 minutes",
        "stop orders are not read",
    ),
)
