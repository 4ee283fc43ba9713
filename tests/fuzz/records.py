"""What accounts hold beside positions, as their venues write it: resting stops, and ends by the venue's own records."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from monitor.paper.dialect import Json
from monitor.paper.dialects.krakenfutures import iso
from tests.venues import test_binance_orders as binance
from tests.venues import test_bingx as bingx
from tests.venues import test_bitget_orders as bitget
from tests.venues import test_bybit as bybit
from tests.venues import test_deribit_records as deribit
from tests.venues import test_gate as gate
from tests.venues import test_hyperliquid as hyperliquid
from tests.venues import test_krakenfutures_records as kraken
from tests.venues import test_kucoinfutures as kucoinfutures
from tests.venues import test_mexc_orders as mexc
from tests.venues import test_okx_records as okx

Records = Mapping[str, Any]


def records_at(at: datetime) -> Mapping[str, Records]:
    """By venue, changes of the dialect's profile: everything ended at that time."""
    at_ms = round(at.timestamp() * 1000)
    return {
        "binanceusdm": _of_binance(at_ms),
        "binancecoinm": _of_binance(at_ms),
        "bybit": {
            "stops": tuple(row for row, _ in bybit.STOPS),
            "executions": (bybit.an_execution("BustTrade", at), bybit.an_execution("AdlTrade", at, "BTCUSD_PERP")),
        },
        "okx": {
            "algos": tuple({**row, "algoId": str(number)} for number, (row, _) in enumerate(okx.ORDERS)),
            "bills": (okx.a_bill(at, "5", "100"), okx.a_bill(at, "9", "126", 2)),
        },
        "bitget": _of_bitget(at_ms),
        "deribit": {
            "orders": tuple({**row, "order_id": str(number)} for number, (row, _) in enumerate(deribit.ORDERS)),
            "trades": (deribit.a_trade(at), deribit.a_trade(at, 2, liquidation="MT")),
        },
        "krakenfutures": {
            "orders": (
                kraken.an_order(),
                kraken.an_order(orderType="take_profit", side="buy"),
                kraken.an_order(orderType="lmt", stopPrice=None),
            ),
            "fills": (kraken.a_fill("liquidation", fillTime=iso(at)), kraken.a_fill("fill", fillTime=iso(at))),
        },
        "gate": _of_gate(round(at.timestamp())),
        "kucoinfutures": _of_kucoin(at_ms),
        "hyperliquid": {
            "orders": (
                hyperliquid.an_order(),
                hyperliquid.an_order(coin="cash:BTC", orderType="Take Profit Limit", sz="0.1", isPositionTpsl=False),
            ),
            "fills": (
                hyperliquid.a_fill(1, time=at_ms, dir="Liquidated Cross Long"),
                hyperliquid.a_fill(2, time=at_ms, coin="cash:BTC", dir="Auto-Deleveraging", startPosition="-0.3"),
            ),
        },
        "mexc": {
            "stops": (mexc.a_stop(stopLossPrice=100_000), mexc.a_stop(takeProfitPrice=130_000, id=2)),
            "triggers": (mexc.a_trigger(),),
            "trailing": (mexc.a_trail(),),
            "history": tuple(
                {"symbol": "BTC_USDT", "dealVol": 50, "dealAvgPrice": 99_000.5, "updateTime": at_ms, **row}
                for row in ({"category": 2, "side": 4}, {"category": 4, "side": 2})
            ),
        },
        "bingx": {
            "orders": (bingx.an_order(), bingx.an_order(type="TRAILING_STOP_MARKET", priceRate="0.02", stopPrice="")),
            "ends": (
                bingx.a_forced_close("LIQUIDATION", at),
                bingx.a_forced_close("ADL", at, side="BUY", positionSide="SHORT"),
            ),
        },
    }


def _of_binance(at_ms: int) -> Records:
    stop, trail = binance.an_algo_order(), binance.an_algo_order(**binance.TRAILING)
    coin = binance.a_forced_order(at_ms, symbol="BTCUSD_PERP")
    forced = (binance.a_forced_order(at_ms), binance.a_forced_order(at_ms, 2, clientOrderId="adl_autoclose"))
    listed: dict[str, tuple[Json, ...]] = {
        "/fapi/v1/openAlgoOrders": (stop, trail),
        "/fapi/v1/openOrders": (binance.a_book_order(symbol="BTCUSDT"),),
        "/fapi/v1/forceOrders": forced,
        "/dapi/v1/openAlgoOrders": (binance.an_algo_order(symbol="ETHUSD_PERP", quantity="40"),),
        "/dapi/v1/openOrders": (binance.a_book_order(),),
        "/dapi/v1/forceOrders": (coin,),
        "/papi/v1/um/algo/openAlgoOrders": (stop, trail),
        "/papi/v1/cm/conditional/openOrders": (binance.a_strategy(),),
        "/papi/v1/um/forceOrders": forced,
        "/papi/v1/cm/forceOrders": (coin,),
    }
    return {"listed": listed}


def _of_bitget(at_ms: int) -> Records:
    dated = {"cTime": str(at_ms), "updatedTime": str(at_ms)}
    order = {"orderId": "1", "symbol": "BTCUSDT", "side": "sell", "posSide": "long", "execType": "liquidation"}
    return {
        "plans": (bitget.a_plan(), bitget.a_plan(planType="moving_plan", callbackRatio="2.5", orderId="8")),
        "strategies": (
            bitget.a_strategy(stopLoss="100000", tpslMode="partial"),
            bitget.a_strategy(takeProfit="130000", tpslMode="partial"),
            bitget.a_strategy(type="trigger", side="sell", posSide="", triggerPrice="100000"),
        ),
        "fills": (bitget.a_fill(1, "burst_close_long", 0) | dated,),
        "orders": ({**order, "cumExecQty": "0.5", "avgPrice": "99000.5", **dated},),
    }


def _of_gate(seconds: int) -> Records:
    sized = {"size": -1000, "is_reduce_only": True}
    trail = {"contract": "BTC_USDT", "amount": "-1000", "price_offset": "0.5%", "reduce_only": True}
    coin = {"contract": "BTC_USD", "fill_price": "2790.8082", "position_size": 1, "trade_size": -10}
    taken = {"contract": "BTC_USDT", "size": 600, "order_price": "3405", "fill_price": "3424", "left": 0}
    return {
        "stops": {
            "usdt": (gate.price_order(gate.BELOW, sized), gate.price_order(gate.ABOVE, sized)),
            "btc": (gate.price_order(gate.BELOW, {"contract": "BTC_USD", **sized}),),
        },
        "trails": {"usdt": ({**trail, "trigger_price": ""},)},
        "liquidates": {"usdt": ({**taken, "time": seconds},)},
        "deleverages": {"btc": ({**coin, "time": seconds},)},
        "keys": [gate.perms(futures=True, account=True)],
    }


def _of_kucoin(at_ms: int) -> Records:
    """A row tells a stop in the words of classic and of unified accounts."""
    unified = {"sizeUnit": "UNIT", "triggerDirection": "DOWN", "triggerPrice": "110000"}
    fill = {"symbol": "XBTUSDTM", "side": "sell", "size": 500, "price": "99000.5", "createdAt": at_ms}
    return {
        "stops": (kucoinfutures.a_stop(**unified),),
        "fills": ({**fill, "tradeType": "liquid"}, {**fill, "tradeType": "adl"}),
    }
