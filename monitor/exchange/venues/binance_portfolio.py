"""Binance portfolio margin (papi): USDS-M and COIN-M positions, spot and loans stand in one pool, counted in dollars.

Eight calls a cycle: account (weight 20) tells the pool, um/account and cm/account (5 each) what positions bind,
um/positionRisk (5) and cm/positionRisk (1) their prices, um/adlQuantile and cm/adlQuantile (5 each) their ranks, fapi's
assetIndex (10) what coins are worth. Nothing is isolated. Field meanings are the documents': no recorded reply of such
an account's pool was at hand.

uniMMR is adjusted equity / maintenance, and liquidation begins where it falls to 105 %: our ratio is 1.05 / uniMMR.
Maintenance holds that of margin loans as well; equity is after haircuts on collateral.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from monitor.domain.account import MarginBalance
from monitor.exchange.values import Row, mapping, not_negative, number, optional_number, optional_positive, rows
from monitor.exchange.venues.binance_account import (
    DOLLARS,
    Leg,
    adl_ranks,
    asset_index,
    bare_position,
    check_owed,
    check_same_moment,
    collateral_at_index,
    dollars_a_unit,
    held,
    margin_in_use,
    matched,
    rank_in,
)
from monitor.exchange.venues.contracts import instrument_of
from monitor.exchange.venues.venue import AccountReading, AccountSettings, Instruments

READS = {
    "papiGetAccount": ("/papi/v1/account", 20),
    "papiGetUmAccount": ("/papi/v1/um/account", 5),
    "papiGetUmPositionRisk": ("/papi/v1/um/positionRisk", 5),
    "papiGetUmAdlQuantile": ("/papi/v1/um/adlQuantile", 5),
    "papiGetCmAccount": ("/papi/v1/cm/account", 5),
    "papiGetCmPositionRisk": ("/papi/v1/cm/positionRisk", 1),
    "papiGetCmAdlQuantile": ("/papi/v1/cm/adlQuantile", 5),
    "papiGetUmLeverageBracket": ("/papi/v1/um/leverageBracket", 1),
    "papiGetCmLeverageBracket": ("/papi/v1/cm/leverageBracket", 1),
    "papiGetUmAlgoOpenAlgoOrders": ("/papi/v1/um/algo/openAlgoOrders", 40),
    "papiGetCmConditionalOpenOrders": ("/papi/v1/cm/conditional/openOrders", 40),
    "papiGetUmForceOrders": ("/papi/v1/um/forceOrders", 50),
    "papiGetCmForceOrders": ("/papi/v1/cm/forceOrders", 50),
    "papiGetUmIncome": ("/papi/v1/um/income", 30),
    "papiGetCmIncome": ("/papi/v1/cm/income", 30),
}
ACCOUNT = (
    "papiGetAccount",
    "papiGetUmAccount",
    "papiGetUmPositionRisk",
    "papiGetUmAdlQuantile",
    "papiGetCmAccount",
    "papiGetCmPositionRisk",
    "papiGetCmAdlQuantile",
    "fapiPublicGetAssetIndex",
)
STOPS = ("papiGetUmAlgoOpenAlgoOrders", "papiGetCmConditionalOpenOrders")
ENDS = ("papiGetUmForceOrders", "papiGetCmForceOrders")
INCOME = ("papiGetUmIncome", "papiGetCmIncome")
LIQUIDATED_AT = 1.05
HEALTHY = "NORMAL"


def parse(raw: Sequence[Any], instruments: Instruments, settings: AccountSettings) -> AccountReading:
    """The replies in ACCOUNT's order to one pool and its positions. Raises ReadError (malformed, implausible)."""
    account = mapping(raw[0], "account")
    index = asset_index(raw[7])
    linear, owed_linear = _part(raw[1], raw[2], raw[3], "notional", instruments, index)
    inverse, owed_inverse = _part(raw[4], raw[5], raw[6], "notionalValue", instruments, index)
    legs = [*linear, *inverse]
    check_owed(number(account, "accountMaintMargin"), legs)
    return AccountReading(
        margins=(_pool(account),),
        positions=tuple(position for position, _ in legs),
        margin_in_use=owed_linear + owed_inverse,
        collateral=collateral_at_index(index, {position.instrument.settle: None for position, _ in legs}),
        caveats=(*settings.caveats, *_status(account)),
    )


def _part(
    account: Any, risk: Any, ranked: Any, notional_key: str, instruments: Instruments, index: Mapping[str, Row]
) -> tuple[list[Leg], float]:
    """The positions of one API, and what its assets owe in any currency."""
    told, ranks = mapping(account, "account"), adl_ranks(ranked)
    by_account = held(rows(told.get("positions"), "account.positions"))
    legs = []
    for (_, side), own, row in matched(by_account, held(rows(risk, "positionRisk"))):
        position = bare_position(side, row, instrument_of(own, instruments), notional_key)
        legs.append(
            (
                replace(
                    position,
                    pool=DOLLARS,
                    leverage=optional_positive(row, "leverage"),
                    initial_margin=not_negative(own, "positionInitialMargin"),
                    maintenance_margin=not_negative(own, "maintMargin"),
                    adl_rank=rank_in(ranks, own),
                    pool_rate=dollars_a_unit(index, position.instrument.settle, "index"),
                ),
                own,
            )
        )
    check_same_moment(legs)
    return legs, margin_in_use(rows(told.get("assets"), "account.assets"), legs)


def _pool(account: Row) -> MarginBalance:
    owed = not_negative(account, "accountMaintMargin")
    return MarginBalance(
        pool=DOLLARS,
        currency="USD",
        equity=number(account, "accountEquity"),
        maintenance_margin=owed,
        initial_margin=optional_number(account, "accountInitialMargin"),
        available=optional_number(account, "totalAvailableBalance"),
        venue_margin_ratio=_ratio(number(account, "uniMMR"), owed),
    )


def _ratio(uni_mmr: float, owed: float) -> float | None:
    """Where nothing is owed uniMMR stands for more than any number; below 0 it describes no risk."""
    if owed == 0:
        return 0.0
    return LIQUIDATED_AT / uni_mmr if uni_mmr > 0 else None


def _status(account: Row) -> tuple[str, ...]:
    status = account.get("accountStatus")
    return () if status == HEALTHY else (f"Binance says that this account's status is {status!s:.40}",)
