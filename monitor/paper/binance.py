"""What Binance's USDS-M and COIN-M dialects share: the call, the figures' formats, and rows of account and market."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from monitor.domain.account import MarginMode, Side
from monitor.domain.study import Frame
from monitor.paper.book import Account, Event, EventKind, PoolTruth, PositionTruth
from monitor.paper.contract import Contract
from monitor.paper.dialect import ApiError, Call, Endpoint, Json
from monitor.paper.engine import Engine
from monitor.paper.formats import ZERO, amount, decimals, levels, milliseconds, quantity
from monitor.paper.pooled import pooled_liquidation_price
from monitor.paper.tape import LENGTH_MS, SIDES

PERPETUAL_DELIVERY_MS = 4133404800000
LISTED_MS = 1569398400000
DEFAULT_LEVERAGE = 20.0
# Candles, and levels a side of a book, where none is asked for.
DEFAULT_LIMIT = 500
# Dollars a stablecoin, where several assets stand in one pool.
STABLECOINS = {"USDT": 0.9998, "USDC": 0.9999}
# What a unit of each asset in a pool counts; None in its place where every asset is a pool of its own.
Worth = Mapping[str, float]
FORCED = (EventKind.PARTIAL, EventKind.FULL, EventKind.ADL)
INVALID_KEY = "Invalid API-key, IP, or permissions for action, request ip: 127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What the venue tells of an account beside its books.

    `portfolio_kind` is the accountType of a portfolio; `restrictions` override the key's read-only permissions;
    `listed` are the rows of open and of forced orders, by path.
    """

    multi_assets: bool = False
    portfolio_margin: bool = False
    portfolio_kind: str = "PM_2"
    portfolio_status: str = "NORMAL"
    restrictions: Mapping[str, bool] = field(default_factory=dict)
    listed: Mapping[str, tuple[Json, ...]] = field(default_factory=dict)


def profile_of(call: Call) -> Profile:
    assert isinstance(call.profile, Profile)
    return call.profile


def contracts_of(call: Call, inverse: bool) -> tuple[Contract, ...]:
    """Those of one venue with a mark; only the symbol asked for where there is one."""
    listed = tuple(contract for contract in call.contracts if contract.inverse is inverse)
    symbol = call.params.get("symbol")
    if symbol is None:
        return listed
    chosen = tuple(contract for contract in listed if contract.symbol == symbol)
    if not chosen:
        raise ApiError(400, -1121, "Invalid symbol.")
    return chosen


def price_or_none(value: float | None) -> str:
    return "0" if value is None else amount(value)


def position_side(owner: Account, position: PositionTruth) -> str:
    return position.side.upper() if owner.hedge_mode else "BOTH"


Row = tuple[Contract, str, PositionTruth | None]


def worth(engine: Engine) -> Worth:
    """Dollars a unit, of the assets that contracts are settled in."""
    coins = {c.settle: engine.mark(c.symbol) for c in engine.contracts if c.inverse}
    return STABLECOINS | {coin: mark for coin, mark in coins.items() if mark is not None}


def multi_assets_worth(call: Call) -> Worth | None:
    """Of the assets in a USDS-M account's one pool."""
    return STABLECOINS if profile_of(call).multi_assets else None


def _positions(call: Call, pooled: Worth | None, with_liquidation_prices: bool) -> list[PositionTruth]:
    """In a pool over several assets nothing is isolated."""
    alone = with_liquidation_prices and pooled is None
    held = list(call.engine.positions(call.owner.name, with_liquidation_prices=alone))
    if pooled is None:
        return held
    crossed = [p for p in held if not isolated(p) and call.engine.market(p.symbol).contract.settle in pooled]
    if not with_liquidation_prices:
        return crossed
    return [
        replace(p, liquidation_price=pooled_liquidation_price(call.engine, call.owner, p.symbol, pooled))
        for p in crossed
    ]


def position_rows(
    call: Call,
    contracts: tuple[Contract, ...],
    hedge_sides: tuple[str, ...],
    *,
    with_liquidation_prices: bool,
    pooled: Worth | None = None,
) -> list[Row]:
    """Every row the older endpoints list, held or not: BOTH in one-way mode, `hedge_sides` in hedge mode."""
    held = {(p.symbol, position_side(call.owner, p)): p for p in _positions(call, pooled, with_liquidation_prices)}
    sides = hedge_sides if call.owner.hedge_mode else ("BOTH",)
    return [(contract, side, held.get((contract.symbol, side))) for contract in contracts for side in sides]


def held_rows(
    call: Call, contracts: tuple[Contract, ...], *, with_liquidation_prices: bool, pooled: Worth | None = None
) -> list[Row]:
    """The rows the newer endpoints list: open positions alone."""
    rows = position_rows(
        call, contracts, ("LONG", "SHORT"), with_liquidation_prices=with_liquidation_prices, pooled=pooled
    )
    return [row for row in rows if row[2] is not None]


def signed(position: PositionTruth | None, value: float) -> float:
    return -value if position is not None and position.side is Side.SHORT else value


def isolated(position: PositionTruth | None) -> bool:
    return position is not None and position.margin_mode is MarginMode.ISOLATED


def leverage_of(call: Call, contract: Contract) -> float:
    """The leverage set on a symbol; Binance's default where nothing was ever opened."""
    legs = (leg for (symbol, _), leg in call.owner.legs.items() if symbol == contract.symbol)
    return next((leg.leverage for leg in legs), DEFAULT_LEVERAGE)


def largest_allowed(contract: Contract, leverage: float) -> float:
    """The notional up to which that leverage may be used."""
    return max((b.cap for b in contract.brackets if b.max_leverage >= leverage), default=contract.brackets[0].cap)


def pools_of(call: Call, asset: str) -> tuple[list[PoolTruth], list[PoolTruth]]:
    """(the cross pool, in a list that is empty where there is none; the isolated pools) of an asset."""
    pools = [pool for pool in call.engine.pools(call.owner.name) if pool.asset == asset]
    cross = [pool for pool in pools if pool.pool.startswith("cross:")]
    return cross, [pool for pool in pools if pool not in cross]


def asset_row(call: Call, asset: str, pooled: Worth | None = None) -> Json:
    """One wallet as both account endpoints tell it: cross and isolated together, then the cross part."""
    cross, isolated_pools = pools_of(call, asset)
    every = cross + isolated_pools if pooled is None else cross
    cross_wallet, cross_gain = sum(p.wallet for p in cross), sum(p.unrealized_pnl for p in cross)
    available = max(0.0, cross_wallet + cross_gain - sum(p.initial_margin for p in cross))
    if pooled is not None:
        available = (
            max(0.0, pool_sum(call, pooled, "equity") - pool_sum(call, pooled, "initial_margin")) / pooled[asset]
        )
    initial = amount(sum(p.initial_margin for p in every))
    return {
        "asset": asset,
        "walletBalance": amount(sum(p.wallet for p in every)),
        "unrealizedProfit": amount(sum(p.unrealized_pnl for p in every)),
        "marginBalance": amount(sum(p.equity for p in every)),
        "maintMargin": amount(sum(p.maintenance_margin for p in every)),
        "initialMargin": initial,
        "positionInitialMargin": initial,
        "openOrderInitialMargin": ZERO,
        "crossWalletBalance": amount(cross_wallet),
        "crossUnPnl": amount(cross_gain),
        "availableBalance": amount(available),
        "maxWithdrawAmount": amount(max(0.0, min(cross_wallet, available))),
        "updateTime": milliseconds(call.engine.now),
    }


def pool_sum(call: Call, pooled: Worth, figure: str) -> float:
    """A figure of the cross pools of all assets, in dollars."""
    return float(sum(getattr(p, figure) * rate for asset, rate in pooled.items() for p in pools_of(call, asset)[0]))


def adl_rows(call: Call, contracts: tuple[Contract, ...], pooled: Worth | None = None) -> list[Json]:
    """adlQuantile, of contracts that are held; HEDGE stands for BOTH where both sides are margined across."""
    ranks: dict[str, Json] = {}
    for contract, side, p in held_rows(call, contracts, with_liquidation_prices=False, pooled=pooled):
        crossed = call.owner.hedge_mode and not isolated(p)
        of = ranks.setdefault(contract.symbol, {"LONG": 0, "SHORT": 0, "HEDGE" if crossed else "BOTH": 0})
        of[side] = p.adl_quantile if p else 0
    return [{"symbol": symbol, "adlQuantile": of} for symbol, of in ranks.items()]


def listed(path: str) -> Callable[[Call], list[Json]]:
    """What the account's profile lists there."""
    return lambda call: list(profile_of(call).listed.get(path, ()))


def forced_orders(path: str, *, inverse: bool) -> Callable[[Call], list[Json]]:
    """What the venue closed since startTime, oldest first, `limit` at most; and what the profile lists."""

    def render(call: Call) -> list[Json]:
        contracts = {contract.symbol for contract in call.contracts if contract.inverse is inverse}
        forced = [
            _forced_order(event)
            for event in call.engine.events
            if event.account == call.owner.name and event.kind in FORCED and event.symbol in contracts
        ]
        rows = [*profile_of(call).listed.get(path, ()), *forced]
        since = [row for row in rows if row["time"] >= int(call.params.get("startTime", 0))]
        return sorted(since, key=lambda row: int(row["time"]))[: int(call.params.get("limit", 50))]

    return render


def _forced_order(event: Event) -> Json:
    number = 90_000_000_000 + event.sequence
    return {
        "orderId": number,
        "symbol": event.symbol,
        "status": "FILLED",
        "clientOrderId": "adl_autoclose" if event.kind is EventKind.ADL else f"autoclose-{number}",
        "avgPrice": amount(event.price or 0.0),
        "executedQty": amount(event.contracts or 0.0),
        "side": "SELL" if event.side is Side.LONG else "BUY",
        "positionSide": "BOTH",
        "time": milliseconds(event.time),
    }


def of_kind(endpoints: Mapping[str, Endpoint], *, portfolio: bool) -> Mapping[str, Endpoint]:
    """Each kind of account has APIs of its own, and the keys of the other are refused there."""
    return {
        name: replace(endpoint, render=_only(endpoint.render, portfolio)) if endpoint.signed else endpoint
        for name, endpoint in endpoints.items()
    }


def _only(render: Callable[[Call], object], portfolio: bool) -> Callable[[Call], object]:
    def guarded(call: Call) -> object:
        if profile_of(call).portfolio_margin is not portfolio:
            raise ApiError(401, -2015, INVALID_KEY)
        return render(call)

    return guarded


def account_margins(p: PositionTruth | None) -> Json:
    """What the older account endpoints tell of each row, held or not."""
    return {
        "initialMargin": amount(p.initial_margin) if p else "0",
        "maintMargin": amount(p.maintenance_margin) if p else "0",
        "unrealizedProfit": amount(p.unrealized_pnl) if p else ZERO,
        "positionInitialMargin": amount(p.initial_margin) if p else "0",
        "openOrderInitialMargin": "0",
    }


def mark_row(call: Call, contract: Contract) -> Json:
    """One contract of premiumIndex; the paper exchange's index is its mark."""
    market = call.engine.market(contract.symbol)
    mark = amount(call.engine.mark(contract.symbol) or 0.0)
    return {
        "symbol": contract.symbol,
        "markPrice": mark,
        "indexPrice": mark,
        "estimatedSettlePrice": mark,
        "lastFundingRate": amount(market.funding_rate),
        "interestRate": "0.00010000",
        "nextFundingTime": milliseconds(market.next_funding_at),
        "time": call.now_ms,
    }


def _refuse_without(call: Call, *names: str) -> None:
    for name in names:
        if name not in call.params:
            raise ApiError(400, -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def candles(inverse: bool) -> Callable[[Call], list[list[Any]]]:
    """klines, ascending: what is told behind the prices is made up."""

    def told(call: Call) -> list[list[Any]]:
        _refuse_without(call, "symbol", "interval")
        (contract,) = contracts_of(call, inverse)
        frame, count = Frame(call.params["interval"]), int(call.params.get("limit", DEFAULT_LIMIT))
        length = LENGTH_MS[frame]
        return [
            [bar.at_ms, *map(amount, bar[1:]), "1.000", bar.at_ms + length - 1, "1.00", 1, "1.000", "1.00", "0"]
            for bar in call.engine.bars(contract.symbol, frame, count, call.now_ms)
        ]

    return told


def depth(inverse: bool) -> Callable[[Call], Json]:
    def told(call: Call) -> Json:
        _refuse_without(call, "symbol")
        (contract,) = contracts_of(call, inverse)
        count = int(call.params.get("limit", DEFAULT_LIMIT))
        sides = {side: call.engine.resting(contract.symbol, side, count) for side in SIDES}
        book = {side: levels(contract, resting) for side, resting in sides.items()}
        return {"lastUpdateId": call.now_ms, "E": call.now_ms, "T": call.now_ms, **book}

    return told


def funding_info(call: Call, inverse: bool) -> list[Json]:
    return [
        {
            "symbol": contract.symbol,
            "adjustedFundingRateCap": "0.03000000",
            "adjustedFundingRateFloor": "-0.03000000",
            "fundingIntervalHours": int(call.engine.market(contract.symbol).funding_interval.total_seconds() // 3600),
            "disclaimer": False,
        }
        for contract in contracts_of(call, inverse)
    ]


def contract_row(contract: Contract) -> Json:
    """One contract of exchangeInfo, without what only one of the venues tells."""
    step, tick = quantity(contract, contract.step or 1e-8), amount(contract.tick)
    lot = {"minQty": step, "maxQty": "10000000", "stepSize": step}
    return {
        "symbol": contract.symbol,
        "pair": contract.symbol.removesuffix("_PERP"),
        "contractType": "PERPETUAL",
        "deliveryDate": PERPETUAL_DELIVERY_MS,
        "onboardDate": LISTED_MS,
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": contract.base,
        "quoteAsset": contract.quote,
        "marginAsset": contract.settle,
        "pricePrecision": decimals(contract.tick),
        "quantityPrecision": decimals(contract.step),
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "triggerProtect": "0.0500",
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "10000000", "tickSize": tick},
            {"filterType": "LOT_SIZE", **lot},
            {"filterType": "MARKET_LOT_SIZE", **lot},
        ],
        "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    }


def exchange_info(call: Call, rows: list[Json]) -> Json:
    return {
        "timezone": "UTC",
        "serverTime": call.now_ms,
        "rateLimits": [
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400},
            {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1200},
        ],
        "exchangeFilters": [],
        "assets": [
            {"asset": asset, "marginAvailable": True, "autoAssetExchange": "-10000"}
            for asset in sorted({row["marginAsset"] for row in rows})
        ],
        "symbols": rows,
    }


def bracket_rows(contract: Contract, measure: str) -> Json:
    """Maintenance brackets; `measure` is what floor and cap count: notional (USDS-M) or qty (COIN-M, in coin)."""
    return {
        "symbol": contract.symbol,
        "notionalCoef": 1.0,
        "brackets": [
            {
                "bracket": number,
                "initialLeverage": int(bracket.max_leverage),
                f"{measure}Cap": bracket.cap,
                f"{measure}Floor": bracket.floor,
                "maintMarginRatio": bracket.rate,
                "cum": bracket.amount,
            }
            for number, bracket in enumerate(contract.brackets, start=1)
        ],
    }


def server_time(call: Call) -> Json:
    return {"serverTime": call.now_ms}


def nothing(_: Call) -> Json:
    return {}


def hedge_mode(call: Call) -> Json:
    return {"dualSidePosition": call.owner.hedge_mode}
