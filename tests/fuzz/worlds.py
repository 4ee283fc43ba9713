"""What venues answer to the reads of an account that holds something: the paper exchange, and recorded replies.

Every account of every venue in `tests.venues.cases` is a world, asked in its venue's dialect without a network.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, urlencode

from monitor.clock import SystemClock
from monitor.paper.dialect import ApiError, Asked, Call
from monitor.paper.engine import Engine
from monitor.paper.faults import Reply
from tests import bybit as recorded_bybit
from tests.builders import SHARED
from tests.fuzz.junk import places
from tests.fuzz.records import records_at
from tests.venues import binance, bybit, hyperliquid
from tests.venues.cases import CASES
from tests.venues.kit import AccountCase, VenueCase, book_of, crowd_of

NOW = datetime(2025, 10, 10, 20, 50, tzinfo=UTC)
NOW_MS = round(NOW.timestamp() * 1000)
RECORDS = records_at(NOW)
# A busy machine is no hang: a deadline is this many times as long.
PATIENCE = 10.0


class StandingClock(SystemClock):
    """Stands still, but for deadlines, which are real; nobody is kept waiting."""

    def now(self) -> datetime:
        return NOW

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)

    def deadline(self, seconds: float) -> asyncio.Timeout:
        return asyncio.timeout(PATIENCE * seconds)


@dataclass(frozen=True, kw_only=True)
class World:
    """One account. `recorded` are replies in the place of the paper exchange's, by the beginning of the question."""

    name: str
    venue: str
    case: VenueCase = field(repr=False)
    account: AccountCase = field(repr=False)
    recorded: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @cached_property
    def engine(self) -> Engine:
        return crowd_of(self.case, NOW) if self.account is self.case.crowd else book_of(self.case, NOW)

    @property
    def credentials(self) -> Mapping[str, str]:
        return self.case.credentials(self.engine.account(self.account.account))

    def question(self, asked: Asked) -> str:
        """What is asked for: the dialect's name of it, and everything but signatures."""
        kept = sorted(item for item in asked.params.items() if item[0] not in self.case.dialect.volatile)
        return f"{self.case.dialect.name_of(asked)}?{urlencode(kept)}{asked.body} {asked.path}"

    def answer(self, asked: Asked) -> Reply:
        """The recorded reply, or the paper exchange's."""
        recorded = told(self.recorded, self.question(asked))
        return self._paper(asked) if recorded is None else Reply(200, json.dumps(recorded))

    def _paper(self, asked: Asked) -> Reply:
        dialect = self.case.dialect
        try:
            found = dialect.find(asked.method, asked.path)
            if found is None:
                raise ApiError(404, -5000, "Path is invalid")
            endpoint, in_path = found
            owner = dialect.authorise(self.engine, asked, NOW_MS) if endpoint.signed else None
            call = Call(self.engine, NOW_MS, {**asked.params, **in_path}, owner, self._profile, asked.body)
            return Reply(200, json.dumps(endpoint.render(call)))
        except ApiError as refusal:
            return dialect.error(refusal)
        except (ArithmeticError, LookupError, ValueError):  # as a server that does not understand a strange question
            return Reply(500, "{}")

    @cached_property
    def _profile(self) -> Any:
        """The crowd's contracts are not those of the records."""
        records = {} if self.account is self.case.crowd else RECORDS.get(self.venue, {})
        return replace(self.case.dialect.profile, **{**records, **self.account.profile})


def told(replies: Mapping[str, Any], question: str) -> Any:
    """The reply to what that question begins with, the longest such beginning; None where there is none."""
    beginnings = [beginning for beginning in replies if question.startswith(beginning)]
    return replies[max(beginnings, key=len)] if beginnings else None


def worlds() -> tuple[World, ...]:
    """With recorded replies where their folder is beside the checkout."""
    of_cases: dict[str, World] = {}
    for case in CASES:
        for account in (*case.accounts, *([case.crowd] if case.crowd else [])):
            name = f"{case.venue}, {account.name}"
            of_cases.setdefault(name, World(name=name, venue=case.venue, case=case, account=account))
    return (*of_cases.values(), *(_recorded_worlds() if SHARED.exists() else ()))


def _recorded_worlds() -> Iterator[World]:
    hedged = binance.USDM.accounts[1]
    linear = {
        "/fapi/v3/positionRisk": _recorded("binance", "Fetch linear positions with symbols (positionRisk v3)"),
        "/fapi/v3/account": _recorded("binance", "account endpoint (v3 account), multi-assets"),
    }
    yield World(name="USDS-M, recorded", venue="binanceusdm", case=binance.USDM, account=hedged, recorded=linear)
    coin = {"/dapi/v1/positionRisk": _recorded("binance", "inverse positions"), "/dapi/v1/account": _coin_account()}
    yield World(
        name="COIN-M, recorded",
        venue="binancecoinm",
        case=binance.COINM,
        account=binance.COINM.accounts[0],
        recorded=coin,
    )
    listed = "/v5/market/instruments-info"
    generic = {
        **recorded_bybit.replies(None),
        f"{listed}?category=linear": recorded_bybit.replies()[listed],
        "/v5/position/list": recorded_bybit.recorded_positions(),
    }
    yield World(
        name="Bybit, generic", venue="bybitid", case=bybit.LINEAR, account=bybit.LINEAR.accounts[0], recorded=generic
    )
    case, account = hyperliquid.HYPERLIQUID_CASE, hyperliquid.STANDARD[0]
    for name, description in (
        ("Hyperliquid, cross", "cross short, liquidationPx far away"),
        ("Hyperliquid, isolated", "isolated short losing (percentage sign wrong)"),
    ):
        yield World(name=name, venue="hyperliquid", case=case, account=account, recorded=_hyperliquid(description))


def _recorded(venue: str, description: str) -> Any:
    cases = json.loads((SHARED / "fixtures" / f"{venue}.json").read_text())["methods"]["fetchPositions"]
    return next(case["httpResponse"] for case in cases if case["description"] == description)


def _hyperliquid(description: str) -> dict[str, Any]:
    """The recorded account beside the least that a market list may be."""
    account = _recorded("hyperliquid", description)
    held = [entry["position"] for entry in account["assetPositions"]]
    universe = [{"name": p["coin"], "szDecimals": 2, "marginTableId": int(p["maxLeverage"])} for p in held]
    marks = [str(float(p["positionValue"]) / abs(float(p["szi"]))) for p in held]
    contexts = [{"markPx": mark, "midPx": mark, "funding": "0.0000125", "openInterest": "1.0"} for mark in marks]
    return {
        "clearinghouseState": {**account, "time": NOW_MS},
        "spotClearinghouseState": {"balances": []},
        "metaAndAssetCtxs": [{"universe": universe}, contexts],
        "allPerpMetas": [{"universe": universe, "marginTables": [], "collateralToken": 0}],
        "spotMeta": {"tokens": [{"name": "USDC", "index": 0}], "universe": []},
        "perpDexs": [None],
        "userAbstraction": "default",
        "userRole": {"role": "user"},
        "frontendOpenOrders": [],
        "userFillsByTime": [],
    }


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
    """Stands for aiohttp's session: asks a world, but for the questions that `spoilt` has a text for.

    `heard` are the good replies by question, kept from the first read on.
    """

    def __init__(self, world: World) -> None:
        self.headers: dict[str, str] = {}
        self.spoilt: Mapping[str, str] = {}
        self.heard: dict[str, Reply] = {}
        self._world = world

    def get(self, url: Any, **sent: Any) -> "_Answer":
        return self._answer("GET", url, **sent)

    def post(self, url: Any, **sent: Any) -> "_Answer":
        return self._answer("POST", url, **sent)

    async def close(self) -> None:
        """Nothing is open."""

    def _answer(self, method: str, url: Any, *, data: bytes | None = None, headers: Any = None, **_: Any) -> "_Answer":
        query = url.raw_query_string
        asked = Asked(
            method=method,
            path=url.path,
            query=query,
            headers={name.lower(): value for name, value in (headers or {}).items()},
            body=(data or b"").decode(),
            params=dict(parse_qsl(query, keep_blank_values=True)),
        )
        question = self._world.question(asked)
        if (spoilt := told(self.spoilt, question)) is not None:
            return _Answer(spoilt, 200)
        reply = self.heard.get(question) or self._world.answer(asked)
        if not self.spoilt:
            self.heard[question] = reply
        return _Answer(reply.body, reply.status)


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
