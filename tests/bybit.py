"""What Bybit answers to the requests of one read: one linear contract, a wallet, and a recorded position."""

import json
from typing import Any

from tests.builders import SHARED

CONTRACT = {
    "symbol": "LTCUSDT",
    "contractType": "LinearPerpetual",
    "status": "Trading",
    "baseCoin": "LTC",
    "quoteCoin": "USDT",
    "settleCoin": "USDT",
    "launchTime": "1585526400000",
    "deliveryTime": "0",
    "priceScale": "2",
    "leverageFilter": {"minLeverage": "1", "maxLeverage": "50", "leverageStep": "0.01"},
    "priceFilter": {"minPrice": "0.01", "maxPrice": "1999.98", "tickSize": "0.01"},
    "lotSizeFilter": {"maxOrderQty": "10000", "minOrderQty": "0.1", "qtyStep": "0.1"},
    "fundingInterval": 480,
}
WALLET = {
    "list": [
        {
            "accountType": "UNIFIED",
            "totalEquity": "100",
            "coin": [
                {"coin": "USDT", "equity": "100", "walletBalance": "100", "locked": "0", "totalPositionIM": "12.9"}
            ],
        }
    ]
}
USER = {"unified": 0, "uta": 1, "readOnly": 1}


def recorded_positions() -> Any:
    fixture = json.loads((SHARED / "fixtures" / "bybit.json").read_text())
    return fixture["methods"]["fetchPositions"][0]["httpResponse"]


def replies(category: str | None = "linear") -> dict[str, Any]:
    """By path, all but the positions; `category` is that of the query."""
    results: dict[str, Any] = {
        "/v5/market/instruments-info": {"category": category, "list": [CONTRACT] if category == "linear" else []},
        "/v5/account/wallet-balance": WALLET,
        "/v5/user/query-api": USER,
        "/v5/account/info": {"unifiedMarginStatus": 4},
        "/v5/market/tickers": {"category": "linear", "list": []},
    }
    return {path: {"retCode": 0, "retMsg": "OK", "result": result, "time": 1} for path, result in results.items()}
