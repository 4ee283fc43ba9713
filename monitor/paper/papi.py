"""Binance portfolio margin: its REST replies, in which USDS-M and COIN-M positions stand in one pool.

The collateral has no haircut here, and there are no margin loans.
"""

from monitor.paper.binance import (
    Row,
    account_margins,
    adl_rows,
    asset_row,
    bracket_rows,
    contracts_of,
    forced_orders,
    largest_allowed,
    leverage_of,
    listed,
    nothing,
    of_kind,
    pool_sum,
    position_rows,
    price_or_none,
    profile_of,
    signed,
    worth,
)
from monitor.paper.dialect import Call, Endpoint, Json
from monitor.paper.formats import ZERO, amount, milliseconds, quantity
from monitor.paper.income import income

RISK_SIDES = ("BOTH", "LONG", "SHORT")
ACCOUNT_SIDES = ("LONG", "SHORT")
# What uniMMR is told as where nothing is owed.
NOTHING_OWED = 999.0
OF_ASSETS = (
    "asset",
    "crossWalletBalance",
    "crossUnPnl",
    "maintMargin",
    "initialMargin",
    "positionInitialMargin",
    "openOrderInitialMargin",
    "updateTime",
)


def _account(call: Call) -> Json:
    rates = worth(call.engine)
    equity, owed, initial = (
        pool_sum(call, rates, figure) for figure in ("equity", "maintenance_margin", "initial_margin")
    )
    return {
        "uniMMR": amount(equity / owed if owed else NOTHING_OWED),
        "accountEquity": amount(equity),
        "actualEquity": amount(equity),
        "accountInitialMargin": amount(initial),
        "accountMaintMargin": amount(owed),
        "accountStatus": profile_of(call).portfolio_status,
        "virtualMaxWithdrawAmount": amount(max(0.0, equity - initial)),
        "totalAvailableBalance": amount(max(0.0, equity - initial)),
        "totalMarginOpenLoss": ZERO,
        "updateTime": milliseconds(call.engine.now),
    }


def _common(call: Call, row: Row) -> Json:
    contract, side, p = row
    return {
        "symbol": contract.symbol,
        "positionSide": side,
        "positionAmt": quantity(contract, signed(p, p.contracts) if p else 0.0),
        "entryPrice": amount(p.entry_price) if p else "0.0",
        "leverage": f"{leverage_of(call, contract):g}",
        "updateTime": milliseconds(p.updated_at) if p else 0,
    }


def _part_account(call: Call, inverse: bool) -> Json:
    """One API's assets and positions, held or not."""
    rates = worth(call.engine)
    assets = sorted({c.settle for c in call.engine.contracts if c.inverse is inverse})
    rows = position_rows(call, contracts_of(call, inverse), ACCOUNT_SIDES, with_liquidation_prices=False, pooled=rates)
    return {
        "assets": [{name: asset_row(call, asset, rates)[name] for name in OF_ASSETS} for asset in assets],
        "positions": [
            {
                **_common(call, row),
                **account_margins(row[2]),
            }
            for row in rows
        ],
    }


def _position_risk(call: Call, inverse: bool) -> list[Json]:
    """Its notional has another name in each API."""
    notional, largest = ("notionalValue", "maxQty") if inverse else ("notional", "maxNotionalValue")
    rows = position_rows(
        call, contracts_of(call, inverse), RISK_SIDES, with_liquidation_prices=True, pooled=worth(call.engine)
    )
    return [
        {
            **_common(call, row),
            "markPrice": amount(row[2].mark_price) if row[2] else ZERO,
            "unRealizedProfit": amount(row[2].unrealized_pnl) if row[2] else ZERO,
            "liquidationPrice": price_or_none(row[2].liquidation_price) if row[2] else "0",
            notional: amount(signed(row[2], row[2].notional)) if row[2] else "0",
            largest: f"{largest_allowed(row[0], leverage_of(call, row[0])):.0f}",
        }
        for row in rows
    ]


def _endpoints(api: str, inverse: bool, risk_weight: int) -> dict[str, Endpoint]:
    measure = "qty" if inverse else "notional"

    def account(call: Call) -> Json:
        return _part_account(call, inverse)

    def position_risk(call: Call) -> list[Json]:
        return _position_risk(call, inverse)

    def adl_quantile(call: Call) -> list[Json]:
        return adl_rows(call, contracts_of(call, inverse), worth(call.engine))

    def leverage_bracket(call: Call) -> list[Json]:
        return [bracket_rows(contract, measure) for contract in contracts_of(call, inverse)]

    path = f"/papi/v1/{api}"
    forced = forced_orders(f"{path}/forceOrders", inverse=inverse)
    return {
        f"GET {path}/account": Endpoint(account, weight=5, signed=True),
        f"GET {path}/positionRisk": Endpoint(position_risk, weight=risk_weight, signed=True),
        f"GET {path}/adlQuantile": Endpoint(adl_quantile, weight=5, signed=True),
        f"GET {path}/leverageBracket": Endpoint(leverage_bracket, signed=True),
        f"GET {path}/forceOrders": Endpoint(forced, weight=20, weight_of_all=50, signed=True),
        f"GET {path}/income": Endpoint(income(f"{path}/income", inverse=inverse), weight=30, signed=True),
    }


_PORTFOLIO = {
    "GET /papi/v1/ping": Endpoint(nothing),
    "GET /papi/v1/account": Endpoint(_account, weight=20, signed=True),
    **_endpoints("um", inverse=False, risk_weight=5),
    **_endpoints("cm", inverse=True, risk_weight=1),
    "GET /papi/v1/um/algo/openAlgoOrders": Endpoint(
        listed("/papi/v1/um/algo/openAlgoOrders"), weight_of_all=40, signed=True
    ),
    "GET /papi/v1/cm/conditional/openOrders": Endpoint(
        listed("/papi/v1/cm/conditional/openOrders"), weight_of_all=40, signed=True
    ),
}
ENDPOINTS = of_kind(_PORTFOLIO, portfolio=True)
