"""What Hyperliquid tells of its markets to all: contracts by dex, marks, candles, order books in steps."""

import json
import math
from collections.abc import Sequence
from typing import Any

from monitor.domain.study import Frame
from monitor.paper.contract import Contract
from monitor.paper.dialect import ApiError, Call, Json
from monitor.paper.engine import Engine
from monitor.paper.tape import LENGTH_MS, SIDES, Level

MAIN, CASH = "", "cash"
# Collateral tokens by name, as spotMeta numbers them.
TOKENS = {"USDC": 0, "USDT": 268}
UNREADABLE = ApiError(422, "", "Failed to deserialize the JSON body into the target type")
# Of each side of a book.
LEVELS = 20


def dex_of(contract: Contract) -> str:
    if ":" in contract.symbol:
        return contract.symbol.partition(":")[0]
    return MAIN if contract.settle == "USDC" else CASH


def coin_of(contract: Contract) -> str:
    dex = dex_of(contract)
    return f"{dex}:{contract.base}" if dex else contract.base


def decimal(value: float) -> str:
    """Without noughts at the end, but for one."""
    whole, _, rest = f"{value:.10f}".partition(".")
    return f"{whole}.{rest.rstrip('0') or '0'}"


def _listed(engine: Engine) -> dict[str, list[Contract]]:
    """By dex, the main one first."""
    dexes: dict[str, list[Contract]] = {MAIN: []}
    for contract in engine.contracts:
        if not contract.inverse:
            dexes.setdefault(dex_of(contract), []).append(contract)
    return dexes


def _meta(contracts: list[Contract]) -> Json:
    """Contracts of the same brackets share a table."""
    tables = list(dict.fromkeys(contract.brackets for contract in contracts))
    return {
        "universe": [
            {
                "name": coin_of(contract),
                "szDecimals": 3,
                "maxLeverage": int(contract.brackets[0].max_leverage),
                "marginTableId": 50 + tables.index(contract.brackets),
            }
            for contract in contracts
        ],
        "marginTables": [
            [
                50 + number,
                {
                    "description": "tiered",
                    "marginTiers": [
                        {"lowerBound": decimal(bracket.floor), "maxLeverage": int(bracket.max_leverage)}
                        for bracket in brackets
                    ],
                },
            ]
            for number, brackets in enumerate(tables)
        ],
        "collateralToken": TOKENS[contracts[0].settle] if contracts else 0,
    }


def _context(call: Call, contract: Contract) -> Json:
    mark = decimal(call.engine.mark(contract.symbol) or 0.0)
    return {
        "funding": decimal(call.engine.market(contract.symbol).funding_rate),
        "openInterest": "688.11",
        "prevDayPx": mark,
        "dayNtlVlm": "1169046.29406",
        "premium": "0.00031774",
        "oraclePx": mark,
        "markPx": mark,
        "midPx": mark,
        "impactPxs": [mark, mark],
        "dayBaseVlm": "21.3",
    }


def _meta_and_contexts(call: Call, dex: str) -> Any:
    contracts = _listed(call.engine).get(dex)
    if contracts is None:
        raise UNREADABLE
    return [_meta(contracts), [_context(call, contract) for contract in contracts]]


def _all_metas(call: Call, _dex: str) -> Any:
    return [_meta(contracts) for contracts in _listed(call.engine).values()]


def _dexes(call: Call, _dex: str) -> Any:
    return [None if dex == MAIN else {"name": dex, "fullName": f"{dex} dex"} for dex in _listed(call.engine)]


def _spot_meta(_call: Call, _dex: str) -> Any:
    tokens = [{"name": name, "szDecimals": 8, "weiDecimals": 8, "index": index} for name, index in TOKENS.items()]
    return {"tokens": tokens, "universe": []}


def _status(call: Call, _dex: str) -> Any:
    return {"time": call.now_ms, "specialStatuses": None}


def _asked_for(call: Call, coin: object) -> Contract:
    found = [contract for listed in _listed(call.engine).values() for contract in listed if coin_of(contract) == coin]
    if not found:
        raise ApiError(500, "", "null")
    return found[0]


def _candles(call: Call, _dex: str) -> Any:
    asked = json.loads(call.body)["req"]
    frame = Frame(asked["interval"])
    return [
        {
            "t": bar.at_ms,
            "T": bar.at_ms + LENGTH_MS[frame] - 1,
            "s": asked["coin"],
            "i": frame,
            "o": decimal(bar.open),
            "c": decimal(bar.close),
            "h": decimal(bar.high),
            "l": decimal(bar.low),
            "v": "591.6427",
            "n": 46,
        }
        for bar in call.bars_since(_asked_for(call, asked["coin"]), frame, asked["startTime"])
    ]


def _book(call: Call, _dex: str) -> Any:
    """Bids, then asks; in steps of so many significant figures where any are asked for."""
    asked = json.loads(call.body)
    contract = _asked_for(call, asked["coin"])
    sides = [_in_steps(call.engine.resting(contract.symbol, side, 10_000), side, asked["nSigFigs"]) for side in SIDES]
    told = [[{"px": decimal(price), "sz": decimal(size), "n": 2} for price, size in side[:LEVELS]] for side in sides]
    return {"coin": asked["coin"], "time": call.now_ms, "levels": told}


def _in_steps(levels: Sequence[Level], side: str, figures: int | None) -> Sequence[Level]:
    """Bids are rounded down, asks up."""
    if figures is None:
        return levels
    rounded, found = math.floor if side == "bids" else math.ceil, dict[float, float]()
    for price, size in levels:
        step = 10.0 ** (math.floor(math.log10(price)) + 1 - figures) if price > 0 else 1.0
        stepped = round(rounded(price / step) * step, 10)
        found[stepped] = found.get(stepped, 0.0) + size
    return [Level(price, size) for price, size in found.items()]


PUBLIC = {
    "metaAndAssetCtxs": _meta_and_contexts,
    "allPerpMetas": _all_metas,
    "perpDexs": _dexes,
    "spotMeta": _spot_meta,
    "exchangeStatus": _status,
    "candleSnapshot": _candles,
    "l2Book": _book,
}
