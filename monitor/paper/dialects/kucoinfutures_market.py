"""What KuCoin Futures tells of its markets to all: contracts, candles, order books; figures are numbers."""

from typing import Any

from monitor.domain.study import Frame
from monitor.paper.contract import Contract
from monitor.paper.dialect import ApiError, Call, Json
from monitor.paper.formats import milliseconds
from monitor.paper.tape import SIDES

LISTED_MS = 1585555200000
NANOSECONDS = 1_000_000
FRAMES = {"60": Frame.HOUR, "1440": Frame.DAY}
CANDLES_A_CALL = 500


def coin_of(currency: str) -> str:
    return "XBT" if currency == "BTC" else currency


def symbol_of(contract: Contract) -> str:
    return f"{coin_of(contract.base)}{contract.quote}M"


def good(data: Any) -> Json:
    return {"code": "200000", "data": data}


def timestamp(call: Call) -> Json:
    return good(call.now_ms)


def contracts(call: Call) -> Json:
    return good([_contract(call, contract) for contract in call.contracts])


def _contract(call: Call, contract: Contract) -> Json:
    market, mark = call.engine.market(contract.symbol), call.engine.mark(contract.symbol)
    return {
        "symbol": symbol_of(contract),
        "rootSymbol": coin_of(contract.settle),
        "type": "FFWCSX",
        "firstOpenDate": LISTED_MS,
        "expireDate": None,
        "settleDate": None,
        "baseCurrency": coin_of(contract.base),
        "quoteCurrency": contract.quote,
        "settleCurrency": coin_of(contract.settle),
        "maxOrderQty": 1000000,
        "maxPrice": 1000000.0,
        "lotSize": 1,
        "tickSize": contract.tick,
        "multiplier": -contract.contract_size if contract.inverse else contract.contract_size,
        "initialMargin": 0.008,
        "maintainMargin": contract.brackets[0].rate,
        "makerFeeRate": 0.0002,
        "takerFeeRate": contract.fee_rate,
        "isDeleverage": True,
        "isQuanto": False,
        "isInverse": contract.inverse,
        "markMethod": "FairPrice",
        "status": "Open",
        "fundingFeeRate": market.funding_rate,
        "predictedFundingFeeRate": market.funding_rate,
        "fundingRateGranularity": round(market.funding_interval.total_seconds() * 1000),
        "openInterest": "5191275",
        "markPrice": mark,
        "indexPrice": mark,
        "lastTradePrice": mark,
        "nextFundingRateTime": milliseconds(market.next_funding_at) - call.now_ms,
        "nextFundingRateDateTime": milliseconds(market.next_funding_at),
        "maxLeverage": 125,
        "supportCross": True,
    }


def _asked_for(call: Call) -> Contract:
    found = [contract for contract in call.contracts if symbol_of(contract) == call.params.get("symbol")]
    if not found:
        raise ApiError(200, "100001", "The parameter symbol is invalid.")
    return found[0]


def klines(call: Call) -> Json:
    """Ascending, the first of those between `from` and `to`."""
    start, end = (int(call.params[name]) for name in ("from", "to"))
    bars = call.bars_since(_asked_for(call), FRAMES[call.params["granularity"]], start)
    rows = [[bar.at_ms, bar.open, bar.high, bar.low, bar.close, 78051, 372000.5] for bar in bars if bar.at_ms <= end]
    return good(rows[:CANDLES_A_CALL])


def snapshot(call: Call) -> Json:
    """The whole order book, in contracts."""
    contract = _asked_for(call)
    sides = {side: [list(level) for level in call.engine.resting(contract.symbol, side, 10_000)] for side in SIDES}
    return good({"sequence": 100, "symbol": symbol_of(contract), **sides, "ts": call.now_ms * NANOSECONDS})
