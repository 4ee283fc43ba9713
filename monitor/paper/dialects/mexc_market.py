"""What MEXC's contract API tells of its markets to all: contracts, prices, funding terms, candles, order books."""

from typing import Any

from monitor.domain.study import Frame
from monitor.paper.contract import Contract
from monitor.paper.dialect import ApiError, Call, Json
from monitor.paper.formats import milliseconds
from monitor.paper.tape import SIDES

LIQUIDATION_FEE = 0.0004
FRAMES = {"Min60": Frame.HOUR, "Day1": Frame.DAY}


def symbol_of(contract: Contract) -> str:
    return f"{contract.base}_{contract.quote}"


def asked_for(call: Call) -> Contract:
    found = [contract for contract in call.contracts if symbol_of(contract) == call.params["symbol"]]
    if not found:
        raise ApiError(200, 1001, "Contract does not exist")
    return found[0]


def mark_of(call: Call, contract: Contract) -> float:
    mark = call.engine.mark(contract.symbol)
    assert mark is not None, "contracts without a mark are not told"
    return mark


def good(data: Any) -> Json:
    return {"success": True, "code": 0, "data": data}


def ping(call: Call) -> Json:
    return good(call.now_ms)


def detail(call: Call) -> Json:
    return good([_detail_row(contract, mark_of(call, contract)) for contract in call.contracts])


def _detail_row(contract: Contract, mark: float) -> Json:
    worth = contract.notional(1, mark)
    levels = [
        {
            "level": level,
            "maxVol": bracket.cap / worth,
            "mmr": bracket.rate - LIQUIDATION_FEE,
            "imr": 1 / bracket.max_leverage,
            "maxLeverage": int(bracket.max_leverage),
        }
        for level, bracket in enumerate(contract.brackets, start=1)
    ]
    return {
        "symbol": symbol_of(contract),
        "displayNameEn": f"{symbol_of(contract)} PERPETUAL",
        "positionOpenType": 3,
        "baseCoin": contract.base,
        "quoteCoin": contract.quote,
        "settleCoin": contract.settle,
        "futureType": 1,
        "contractSize": contract.contract_size,
        "minLeverage": 1,
        "maxLeverage": int(contract.brackets[0].max_leverage),
        "priceUnit": contract.tick,
        "volUnit": 1,
        "minVol": 1,
        "maxVol": levels[-1]["maxVol"],
        "takerFeeRate": 0.0004,
        "makerFeeRate": 0.0001,
        "maintenanceMarginRate": levels[0]["mmr"],
        "initialMarginRate": levels[0]["imr"],
        "riskBaseVol": levels[-1]["maxVol"],
        "riskIncrVol": 0,
        "riskIncrMmr": 0,
        "riskIncrImr": 0,
        "riskLongShortSwitch": 0,
        "riskLevelLimit": 1,
        "riskLimitType": "BY_VOLUME",
        "riskLimitMode": "CUSTOM",
        "riskLimitCustom": levels,
        "liquidationFeeRate": LIQUIDATION_FEE,
        "state": 0,
        "apiAllowed": True,
        "type": 1,
    }


def ticker(call: Call) -> Json:
    return good(
        [
            {
                "symbol": symbol_of(contract),
                "lastPrice": mark_of(call, contract),
                "indexPrice": mark_of(call, contract),
                "fairPrice": mark_of(call, contract),
                "fundingRate": call.engine.market(contract.symbol).funding_rate,
                "timestamp": call.now_ms,
            }
            for contract in call.contracts
        ]
    )


def fair_price(call: Call) -> Json:
    contract = asked_for(call)
    return good({"symbol": symbol_of(contract), "fairPrice": mark_of(call, contract), "timestamp": call.now_ms})


def funding_rate(call: Call) -> Json:
    contract = asked_for(call)
    market = call.engine.market(contract.symbol)
    return good(
        {
            "symbol": symbol_of(contract),
            "fundingRate": market.funding_rate,
            "maxFundingRate": 0.0018,
            "minFundingRate": -0.0018,
            "collectCycle": int(market.funding_interval.total_seconds() // 3600),
            "nextSettleTime": milliseconds(market.next_funding_at),
            "timestamp": call.now_ms,
        }
    )


def kline(call: Call) -> Json:
    """A list of each figure, times in seconds."""
    bars = call.bars_since(asked_for(call), FRAMES[call.params["interval"]], 1000 * int(call.params["start"]))
    names = ("open", "high", "low", "close")
    columns = {name: [bar[place] for bar in bars] for place, name in enumerate(names, start=1)}
    further = {"vol": [1740.0 for _ in bars], "amount": [60793.623 for _ in bars]}
    return good({"time": [bar.at_ms // 1000 for bar in bars], **columns, **further})


def depth(call: Call) -> Json:
    """Price, contracts, and the number of orders."""
    contract = asked_for(call)
    sides = {side: [[*level, 1] for level in call.engine.resting(contract.symbol, side, 1000)] for side in SIDES}
    return good({**sides, "version": 2827730444, "timestamp": call.now_ms})
