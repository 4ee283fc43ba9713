"""What venues answer to one read of an account that holds something: recorded replies, and the paper exchange's."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from monitor.clock import SystemClock
from monitor.exchange.venues import binancecoinm, binanceusdm
from monitor.paper.dialect import ApiError, Call, Dialect
from monitor.paper.dialects.binance import BINANCE
from monitor.paper.dialects.bybit import BYBIT
from monitor.paper.dialects.deribit import DERIBIT
from monitor.paper.dialects.deribit_account import CROSS_PM
from tests import bybit
from tests.builders import SHARED
from tests.fuzz.junk import places
from tests.paper import a_venue
from tests.venues.books import a_book

NOW = datetime(2025, 10, 10, 20, 50, tzinfo=UTC)
NOW_MS = round(NOW.timestamp() * 1000)
# Parameters that make one path several questions.
KINDS = ("category", "settleCoin", "symbol", "currency")
CREDENTIALS = {"apiKey": "key", "secret": "secret", "walletAddress": "0x" + "1" * 40}


class StandingClock(SystemClock):
    """Stands still, but for deadlines, which are real."""

    def now(self) -> datetime:
        return NOW


@dataclass(frozen=True, slots=True)
class World:
    """`replies` by path, or by path and kind where one path answers several questions: what of KINDS is asked for."""

    name: str
    venue: str
    replies: Mapping[str, Any] = field(repr=False)


def _recorded(venue: str, description: str) -> Any:
    cases = json.loads((SHARED / "fixtures" / f"{venue}.json").read_text())["methods"]["fetchPositions"]
    return next(case["httpResponse"] for case in cases if case["description"] == description)


def _paper(venue: Any, account: str, **profile: Any) -> dict[str, Any]:
    """Without what an account of that kind is refused."""
    engine = a_venue(NOW)
    call = Call(engine, NOW_MS, {}, engine.account(account), replace(BINANCE.profile, **profile))
    replies = dict[str, Any]()
    for path in venue.rules.weights:
        with suppress(ApiError):
            replies[path] = BINANCE.endpoints[f"GET {path}"].render(call)
    return replies


def _bybit() -> dict[str, Any]:
    path = "/v5/market/instruments-info"
    listed = {f"{path} linear": bybit.replies()[path]}
    return {**bybit.replies(None), **listed, "/v5/position/list": bybit.recorded_positions()}


def _bybit_unified() -> dict[str, Any]:
    """Both sides of a contract, which no price liquidates: an empty liquidation price says so."""
    return _told(
        BYBIT,
        "hedged",
        "/v5/account/info",
        "/v5/account/wallet-balance accountType=UNIFIED",
        "/v5/position/list category=linear settleCoin=USDT",
        "/v5/position/list category=linear settleCoin=USDC",
        "/v5/position/list category=inverse",
        "/v5/position/list category=option",
        "/v5/market/instruments-info category=linear",
        "/v5/market/instruments-info category=inverse",
        "/v5/market/tickers category=linear",
        "/v5/market/tickers category=inverse",
        "/v5/market/risk-limit category=linear symbol=BTCUSDT",
    )


def _deribit(account: str) -> dict[str, Any]:
    """Cross portfolio margin, of which no liquidation price is told."""
    return _told(
        DERIBIT,
        account,
        "/api/v2/private/get_account_summaries",
        "/api/v2/private/get_positions currency=any",
        "/api/v2/public/get_instruments kind=future",
        *(
            f"/api/v2/public/get_book_summary_by_currency currency={currency} kind=future"
            for currency in ("BTC", "ETH", "USDC", "USDT")
        ),
        model=CROSS_PM,
    )


def _told(dialect: Dialect, account: str, *asked: str, **profile: Any) -> dict[str, Any]:
    """What that venue tells of an account of the books to each question: a path, and parameters behind it."""
    engine = a_book(NOW, {("BTC", "BTC"): 1.0, ("ETH", "ETH"): 1.0})
    replies = {}
    for question in asked:
        path, *words = question.split()
        params = dict(word.split("=") for word in words)
        call = Call(engine, NOW_MS, params, engine.account(account), replace(dialect.profile, **profile))
        kinds = [params[name] for name in KINDS if name in params]
        replies[" ".join([path, *kinds])] = dialect.endpoints[f"GET {path}"].render(call)
    return replies


def _hyperliquid(description: str) -> dict[str, Any]:
    """The recorded account beside the least that a market list may be."""
    account = _recorded("hyperliquid", description)
    held = [entry["position"] for entry in account["assetPositions"]]
    universe = [{"name": p["coin"], "szDecimals": 2, "marginTableId": int(p["maxLeverage"])} for p in held]
    marks = [str(float(p["positionValue"]) / abs(float(p["szi"]))) for p in held]
    contexts = [{"markPx": mark, "midPx": mark, "funding": "0.0000125", "openInterest": "1.0"} for mark in marks]
    return {
        "/info clearinghouseState": {**account, "time": NOW_MS},
        "/info spotClearinghouseState": {"balances": []},
        "/info metaAndAssetCtxs": [{"universe": universe}, contexts],
        "/info allPerpMetas": [{"universe": universe, "marginTables": [], "collateralToken": 0}],
        "/info spotMeta": {"tokens": [{"name": "USDC", "index": 0}], "universe": []},
        "/info perpDexs": [None],
        "/info userAbstraction": "default",
        "/info userRole": {"role": "user"},
    }


def worlds() -> tuple[World, ...]:
    """Needs the folder of recorded replies."""
    usdm, coinm = _paper(binanceusdm.VENUE, "hedger"), _paper(binancecoinm.VENUE, "hedger")
    recorded = {
        "/fapi/v3/positionRisk": _recorded("binance", "Fetch linear positions with symbols (positionRisk v3)"),
        "/fapi/v3/account": _recorded("binance", "account endpoint (v3 account), multi-assets"),
    }
    recorded_coin = {"/dapi/v1/positionRisk": _recorded("binance", "inverse positions")}
    return (
        World("USDS-M, hedged", "binanceusdm", usdm),
        World("USDS-M, one-way", "binanceusdm", _paper(binanceusdm.VENUE, "single")),
        World("USDS-M, recorded", "binanceusdm", {**usdm, **recorded}),
        World("USDS-M, multi-assets", "binanceusdm", _paper(binanceusdm.VENUE, "hedger", multi_assets=True)),
        World("portfolio", "binanceusdm", _paper(binanceusdm.VENUE, "hedger", portfolio_margin=True)),
        World("COIN-M, hedged", "binancecoinm", coinm),
        World("COIN-M, one-way", "binancecoinm", _paper(binancecoinm.VENUE, "single")),
        World("COIN-M, recorded", "binancecoinm", {**coinm, **recorded_coin, "/dapi/v1/account": _coin_account()}),
        World("Bybit", "bybitid", _bybit()),
        World("Bybit, unified", "bybit", _bybit_unified()),
        World("Deribit, inverse", "deribit", _deribit("coin")),
        World("Deribit, linear", "deribit", _deribit("two")),
        World("Hyperliquid, cross", "hyperliquid", _hyperliquid("cross short, liquidationPx far away")),
        World("Hyperliquid, isolated", "hyperliquid", _hyperliquid("isolated short losing (percentage sign wrong)")),
    )


def _coin_account() -> dict[str, Any]:
    """The account beside the recorded list of COIN-M positions, of which no reply was recorded."""
    margins = {"initialMargin": "0.00021983", "positionInitialMargin": "0.00021983", "maintMargin": "0.00001758"}
    position = {"symbol": "BTCUSD_PERP", "positionSide": "BOTH", "positionAmt": "-3", "isolated": False}
    asset = {"asset": "BTC", "crossWalletBalance": "0.00018838", "crossUnPnl": "0.00004318", "availableBalance": "0"}
    return {
        "assets": [{**asset, **margins}],
        "positions": [{**position, **margins, "unrealizedProfit": "0.00004318", "isolatedWallet": "0"}],
    }


class Wire:
    """Stands for aiohttp's session: answers each request with the text of its path; 404 where there is none."""

    def __init__(self) -> None:
        self.texts: Mapping[str, str] = {}
        self.headers: dict[str, str] = {}

    def get(self, url: Any, **_: Any) -> "_Answer":
        kinds = [url.query[name] for name in KINDS if name in url.query]
        return self._answer(url.path, *(" ".join(kinds[:count]) for count in range(len(kinds), 0, -1)))

    def post(self, url: Any, data: bytes = b"{}", **_: Any) -> "_Answer":
        return self._answer(url.path, json.loads(data).get("type"))

    async def close(self) -> None:
        """Nothing is open."""

    def _answer(self, path: str, *kinds: str | None) -> "_Answer":
        """Of the most exact question that there is an answer to."""
        names = [*(f"{path} {kind}" for kind in kinds), path]
        said = next((self.texts[name] for name in names if name in self.texts), None)
        return _Answer("{}", 404) if said is None else _Answer(said, 200)


@dataclass(slots=True)
class _Answer:
    said: str
    status: int
    reason: str = ""
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    content: bytes = b""

    async def __aenter__(self) -> "_Answer":
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is open."""

    async def text(self, **_: Any) -> str:
        return self.said


def numbers_in(tree: Any) -> Iterator[float]:
    """Every number in a tree of JSON, sent as one or as text."""
    for container, key in places([tree]):
        value = container[key]
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            with suppress(ValueError, OverflowError):
                yield float(value)


def texts_of(replies: Mapping[str, Any]) -> dict[str, str]:
    return {path: json.dumps(reply) for path, reply in replies.items()}
