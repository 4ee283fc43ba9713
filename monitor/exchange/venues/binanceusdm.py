"""Binance USDS-M futures (fapi): classic accounts in single-asset and multi-assets mode, and portfolio margin (papi).

Two signed calls a cycle: account v3 holds the pools and each position's margins, positionRisk v3 prices and ADL.
In single-asset mode every margin asset is a cross pool of its own: crossWalletBalance + crossUnPnl against the
maintenance of the positions margined in it. Each isolated position is a pool: its wallet + its unrealised PnL.

In multi-assets mode all assets are one cross pool, and nothing is isolated; the account's totals are in dollars, and
all goes where maintenance reaches equity. An asset counts at its bid rate, what is owed at its ask rate (assetIndex,
weight 10, with every cycle). Portfolio margin is read next door, the COIN-M positions of the portfolio with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from monitor.domain.account import FailureKind, MarginBalance, Position, Side
from monitor.exchange.failures import ReadError
from monitor.exchange.together import together
from monitor.exchange.values import Row, boolean, mapping, not_negative, number, positive, rows, text
from monitor.exchange.venues import binance_portfolio
from monitor.exchange.venues.binance import PORTFOLIO_MARGIN, AccountMode, BinanceVenue
from monitor.exchange.venues.binance_account import (
    DOLLARS,
    Leg,
    adl_rank,
    asset_index,
    bare_position,
    check_owed,
    check_same_moment,
    collateral_at_index,
    dollars_a_unit,
    held,
    isolated,
    margin_in_use,
    matched,
    pools,
)
from monitor.exchange.venues.binance_figures import USDM_COVERAGE, USDM_FIGURES
from monitor.exchange.venues.binance_market import COINM, USDM
from monitor.exchange.venues.contracts import instrument_of
from monitor.exchange.venues.venue import AccountReading, AccountSettings, Instruments

SINGLE, MULTI = "single-asset mode", "multi-assets mode"
# What the assets owe, each at its ask rate, is the account's total but for what marks moved in between.
MAX_TOTAL_GAP = 0.1


async def _setup(client: Any) -> tuple[str, Mapping[str, float]]:
    """The mode of a classic account, and leverages by raw symbol."""
    told, symbols = await together(client.fapiPrivateGetAccountConfig(), client.fapiPrivateGetSymbolConfig())
    config = mapping(told, "accountConfig")
    mode = MULTI if boolean(config, "multiAssetsMargin") else SINGLE
    sides = "hedge mode" if boolean(config, "dualSidePosition") else "one-way"
    return f"{mode}, {sides}", {text(row, "symbol"): positive(row, "leverage") for row in rows(symbols, "symbolConfig")}


def parse(raw: Sequence[Any], instruments: Instruments, settings: AccountSettings) -> AccountReading:
    """(account v3, positionRisk v3) to pools and positions. Raises ReadError (malformed, implausible)."""
    account = mapping(raw[0], "account")
    assets, legs = _assets(account), _legs(account, raw[1], instruments, settings)
    return AccountReading(
        margins=pools(assets, legs, [_isolated_equity(own) for _, own in legs]),
        positions=tuple(position for position, _ in legs),
        margin_in_use=margin_in_use(assets, legs),
        caveats=settings.caveats,
    )


def parse_multi_assets(raw: Sequence[Any], instruments: Instruments, settings: AccountSettings) -> AccountReading:
    """(account v3, positionRisk v3, assetIndex) to one pool and its positions. Raises ReadError."""
    account, index = mapping(raw[0], "account"), asset_index(raw[2])
    assets, legs = _assets(account), _legs(account, raw[1], instruments, settings)
    if any(_is_isolated(own) for _, own in legs):
        raise ReadError(FailureKind.IMPLAUSIBLE, "an isolated position in multi-assets mode")
    owed = not_negative(account, "totalMaintMargin")
    check_owed(owed, legs)
    _check_total(owed, assets, index)
    sides = {text(asset, "asset"): _rate_key(asset) for asset in assets}
    positions = tuple(_in_dollars(position, index, sides) for position, _ in legs)
    pool = MarginBalance(
        pool=DOLLARS,
        currency="USD",
        equity=number(account, "totalMarginBalance"),
        available=number(account, "availableBalance"),
        initial_margin=not_negative(account, "totalInitialMargin"),
        maintenance_margin=owed,
    )
    return AccountReading(
        margins=(pool,),
        positions=positions,
        margin_in_use=margin_in_use(assets, legs),
        collateral=collateral_at_index(index, _held_coins(assets)),
        caveats=settings.caveats,
    )


def _held_coins(assets: Sequence[Row]) -> dict[str, float | None]:
    amounts = {
        text(asset, "asset"): number(asset, "crossWalletBalance") + number(asset, "crossUnPnl") for asset in assets
    }
    return {coin: amount for coin, amount in amounts.items() if amount != 0}


def _rate_key(asset: Row) -> str:
    """Collateral counts at the bid, debt at the ask."""
    return "bidRate" if number(asset, "crossWalletBalance") + number(asset, "crossUnPnl") >= 0 else "askRate"


def _in_dollars(position: Position, index: Mapping[str, Row], sides: Mapping[str, str]) -> Position:
    settle = position.instrument.settle
    return replace(position, pool=DOLLARS, pool_rate=dollars_a_unit(index, settle, sides.get(settle, "askRate")))


def _check_total(owed: float, assets: Sequence[Row], index: Mapping[str, Row]) -> None:
    """Totals of single-asset mode are those of USDT alone: the mode has changed, or a list is short."""
    parts = {text(asset, "asset"): not_negative(asset, "maintMargin") for asset in assets}
    due = sum(part * dollars_a_unit(index, name, "askRate") for name, part in parts.items() if part > 0)
    if abs(owed - due) > MAX_TOTAL_GAP * due + 1e-6:
        raise ReadError(
            FailureKind.IMPLAUSIBLE, f"the account owes {owed:g} USD of maintenance margin, its assets {due:g}"
        )


def _assets(account: Row) -> list[Row]:
    return rows(account.get("assets"), "account.assets")


def _legs(account: Row, risk: Any, instruments: Instruments, settings: AccountSettings) -> list[Leg]:
    by_account = held(rows(account.get("positions"), "account.positions"))
    pairs = matched(by_account, held(rows(risk, "positionRisk")))
    legs = [(_position(side, own, row, instruments, settings), own) for (_, side), own, row in pairs]
    check_same_moment(legs)
    return legs


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
    position = replace(
        bare_position(side, risk, instrument, "notional"),
        leverage=settings.leverages.get(text(own, "symbol")),
        initial_margin=not_negative(risk, "positionInitialMargin"),
        maintenance_margin=not_negative(risk, "maintMargin"),
        adl_rank=adl_rank(risk),
    )
    return isolated(position) if _is_isolated(own) else position


_CLASSIC = ("fapiPrivateV3GetAccount", "fapiPrivateV3GetPositionRisk")
_STOPS = ("fapiPrivateGetOpenAlgoOrders", "fapiPrivateGetOpenOrders")
_ENDS = ("fapiPrivateGetForceOrders",)
_INCOME = ("fapiPrivateGetIncome",)
_MODES = {
    SINGLE: AccountMode(account=_CLASSIC, parse=parse, stops=_STOPS, ends=_ENDS, income=_INCOME),
    MULTI: AccountMode(
        account=(*_CLASSIC, "fapiPublicGetAssetIndex"),
        parse=parse_multi_assets,
        stops=_STOPS,
        ends=_ENDS,
        income=_INCOME,
    ),
}

VENUE = BinanceVenue(
    id="binanceusdm",
    families=(USDM, COINM),
    reads={
        "fapiPublicGetTime": ("/fapi/v1/time", 1),
        "fapiPublicGetExchangeInfo": ("/fapi/v1/exchangeInfo", 1),
        "fapiPublicGetPremiumIndex": ("/fapi/v1/premiumIndex", 10),
        "fapiPublicGetFundingInfo": ("/fapi/v1/fundingInfo", 0),
        "fapiPublicGetKlines": ("/fapi/v1/klines", 2),
        "fapiPublicGetDepth": ("/fapi/v1/depth", 10),
        "fapiPublicGetAssetIndex": ("/fapi/v1/assetIndex", 10),
        "fapiPrivateGetLeverageBracket": ("/fapi/v1/leverageBracket", 1),
        "fapiPrivateGetAccountConfig": ("/fapi/v1/accountConfig", 5),
        "fapiPrivateGetSymbolConfig": ("/fapi/v1/symbolConfig", 5),
        "fapiPrivateV3GetAccount": ("/fapi/v3/account", 5),
        "fapiPrivateV3GetPositionRisk": ("/fapi/v3/positionRisk", 5),
        "fapiPrivateGetOpenAlgoOrders": ("/fapi/v1/openAlgoOrders", 40),
        "fapiPrivateGetOpenOrders": ("/fapi/v1/openOrders", 40),
        "fapiPrivateGetForceOrders": ("/fapi/v1/forceOrders", 50),
        "fapiPrivateGetIncome": ("/fapi/v1/income", 30),
        "dapiPublicGetExchangeInfo": ("/dapi/v1/exchangeInfo", 1),
        "dapiPublicGetPremiumIndex": ("/dapi/v1/premiumIndex", 10),
        "dapiPublicGetFundingInfo": ("/dapi/v1/fundingInfo", 0),
        "dapiPublicGetKlines": ("/dapi/v1/klines", 2),
        "dapiPublicGetDepth": ("/dapi/v1/depth", 10),
        "dapiPrivateV2GetLeverageBracket": ("/dapi/v2/leverageBracket", 1),
        **binance_portfolio.READS,
    },
    modes={
        **{f"{name}, {sides}": mode for name, mode in _MODES.items() for sides in ("one-way", "hedge mode")},
        PORTFOLIO_MARGIN: AccountMode(
            account=binance_portfolio.ACCOUNT,
            parse=binance_portfolio.parse,
            stops=binance_portfolio.STOPS,
            ends=binance_portfolio.ENDS,
            income=binance_portfolio.INCOME,
        ),
    },
    setup=_setup,
    figures=USDM_FIGURES,
    coverage=USDM_COVERAGE,
)
