"""Binance COIN-M futures (dapi), classic accounts, one-way and hedge.

Three signed calls a cycle: account holds the pools and each position's margins, positionRisk prices and isolated
wallets, adlQuantile (weight 5) the place in the queue. Every coin is a cross pool of its own. Contracts are worth a
fixed sum of quote currency; notional, margins, PnL and brackets are in coin.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from monitor.domain.account import Position, Side
from monitor.exchange.values import Row, boolean, mapping, not_negative, number, optional_positive, rows
from monitor.exchange.venues.binance import AccountMode, BinanceVenue
from monitor.exchange.venues.binance_account import (
    adl_ranks,
    bare_position,
    check_same_moment,
    held,
    isolated,
    margin_in_use,
    matched,
    pools,
    rank_in,
)
from monitor.exchange.venues.binance_figures import COINM_COVERAGE, COINM_FIGURES
from monitor.exchange.venues.binance_market import COINM
from monitor.exchange.venues.contracts import instrument_of
from monitor.exchange.venues.venue import AccountReading, AccountSettings, Instruments

CLASSIC = "classic"


async def _setup(_: Any) -> tuple[str, Mapping[str, float]]:
    """Leverage is told with each position, and in hedge mode its side."""
    return CLASSIC, {}


def parse(raw: Sequence[Any], instruments: Instruments, settings: AccountSettings) -> AccountReading:
    """(account, positionRisk, adlQuantile) to pools and positions. Raises ReadError (malformed, implausible)."""
    account, ranks = mapping(raw[0], "account"), adl_ranks(raw[2])
    assets = rows(account.get("assets"), "account.assets")
    by_account = held(rows(account.get("positions"), "account.positions"))
    by_risk = held(rows(raw[1], "positionRisk"))
    pairs = matched(by_account, by_risk)
    legs = [(_position(side, own, risk, ranks, instruments), own) for (_, side), own, risk in pairs]
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


def _position(side: Side, own: Row, risk: Row, ranks: Mapping[str, Row], instruments: Instruments) -> Position:
    position = replace(
        bare_position(side, risk, instrument_of(own, instruments), "notionalValue"),
        leverage=optional_positive(risk, "leverage"),
        initial_margin=not_negative(own, "positionInitialMargin"),
        maintenance_margin=not_negative(own, "maintMargin"),
        adl_rank=rank_in(ranks, own),
    )
    return isolated(position) if boolean(own, "isolated") else position


VENUE = BinanceVenue(
    id="binancecoinm",
    families=(COINM,),
    reads={
        "dapiPublicGetTime": ("/dapi/v1/time", 1),
        "dapiPublicGetExchangeInfo": ("/dapi/v1/exchangeInfo", 1),
        "dapiPublicGetPremiumIndex": ("/dapi/v1/premiumIndex", 10),
        "dapiPublicGetFundingInfo": ("/dapi/v1/fundingInfo", 0),
        "dapiPublicGetKlines": ("/dapi/v1/klines", 2),
        "dapiPublicGetDepth": ("/dapi/v1/depth", 10),
        "dapiPrivateV2GetLeverageBracket": ("/dapi/v2/leverageBracket", 1),
        "dapiPrivateGetAccount": ("/dapi/v1/account", 5),
        "dapiPrivateGetPositionRisk": ("/dapi/v1/positionRisk", 1),
        "dapiPrivateGetAdlQuantile": ("/dapi/v1/adlQuantile", 5),
        "dapiPrivateGetOpenAlgoOrders": ("/dapi/v1/openAlgoOrders", 40),
        "dapiPrivateGetOpenOrders": ("/dapi/v1/openOrders", 40),
        "dapiPrivateGetForceOrders": ("/dapi/v1/forceOrders", 50),
        "dapiPrivateGetIncome": ("/dapi/v1/income", 20),
    },
    modes={
        CLASSIC: AccountMode(
            account=("dapiPrivateGetAccount", "dapiPrivateGetPositionRisk", "dapiPrivateGetAdlQuantile"),
            parse=parse,
            stops=("dapiPrivateGetOpenAlgoOrders", "dapiPrivateGetOpenOrders"),
            ends=("dapiPrivateGetForceOrders",),
            income=("dapiPrivateGetIncome",),
        )
    },
    setup=_setup,
    instead="configure it as venue binanceusdm, which reads a portfolio whole",
    figures=COINM_FIGURES,
    coverage=COINM_COVERAGE,
)
