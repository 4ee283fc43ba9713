"""A venue of 600 contracts in a process of its own, so that its CPU is not counted and its latency is honest.

`python -m benchmarks.venue --latency-ms 50` prints its base URL and serves until it is terminated: Binance USDS-M
replies rendered beforehand, nine for each path with marks that differ, and nothing computed while it serves. Accounts
are told apart by API key: one that starts with `near` is a few percent from liquidation, all others are quiet. It takes
messages at /sink and tells how many account reads it has served at /reads.
"""

import argparse
import asyncio
import json
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from monitor.domain.account import Side
from monitor.paper.contract import Contract, brackets_of
from monitor.paper.dialect import ApiError, Call
from monitor.paper.dialects.binance import BINANCE
from monitor.paper.engine import Engine

SYMBOLS = 600
POSITIONS = 10
ACCOUNT_PATH, SINK_PATH, READS_PATH = "/fapi/v3/account", "/sink", "/reads"
# How far the marks of each set of replies are from the first: some way off, and back.
MOVES = (0.0, 0.0004, 0.0008, 0.0004, 0.0, -0.0004, -0.0008, -0.0004, 0.0002)
MOVE_EVERY_S = 0.5
# Rendered once and served to clocks that run faster than life: a date to come never looks stale.
AHEAD_MS = 86_400_000
STEPS = brackets_of([(0, 50_000, 0.004, 125, 0), (50_000, 600_000, 0.005, 100, 50), (600_000, 1e9, 0.0065, 75, 950)])
ENTRY_PRICE, MARK_PRICE, STOP_PRICE = 104.3, 100.0, 99.5
WALLETS = {"quiet": 6_600.0, "near": 2_620.0}


@dataclass(frozen=True, slots=True)
class Canned:
    """Bodies by path and account (None where the path is public)."""

    bodies: dict[tuple[str, str | None], bytes]


def an_engine() -> Engine:
    """600 linear contracts, and two accounts with ten cross positions of 5,000 USDT each, at a loss."""
    engine = Engine(datetime.now(UTC))
    for number in range(SYMBOLS):
        base = f"C{number:03}"
        contract = Contract(
            symbol=f"{base}USDT",
            base=base,
            quote="USDT",
            settle="USDT",
            brackets=STEPS,
            funding_rate=0.0001,
            step=0.001,
        )
        engine.add_contract(contract)
    engine.set_marks({contract.symbol: ENTRY_PRICE for contract in engine.contracts})
    for name, wallet in WALLETS.items():
        engine.add_account(name, api_key=name, secret=name, hedge_mode=False)
        engine.deposit(name, "USDT", wallet)
        for number in range(POSITIONS):
            engine.open(name, f"C{number:03}USDT", Side.LONG, 50.0, ENTRY_PRICE, 20)
    return engine


def _stops() -> list[dict[str, object]]:
    """One that closes all of each position, on this side of liquidation."""
    common = {"orderType": "STOP_MARKET", "side": "SELL", "positionSide": "BOTH", "closePosition": True}
    return [
        {"algoId": number, "symbol": f"C{number:03}USDT", "triggerPrice": str(STOP_PRICE), **common}
        for number in range(POSITIONS)
    ]


def rendered() -> Sequence[Canned]:
    """What is served, one set per move of the marks."""
    engine = an_engine()
    sets = []
    for move in MOVES:
        engine.set_marks({contract.symbol: MARK_PRICE * (1 + move) for contract in engine.contracts})
        sets.append(Canned(dict(_bodies(engine))))
    return sets


def _bodies(engine: Engine) -> list[tuple[tuple[str, str | None], bytes]]:
    now_ms = round(time.time() * 1000) + AHEAD_MS
    bodies, profile = [], replace(BINANCE.profile, listed={"/fapi/v1/openAlgoOrders": tuple(_stops())})
    for method_and_path, endpoint in BINANCE.endpoints.items():
        path = method_and_path.partition(" ")[2]
        for name in WALLETS if endpoint.signed else (None,):
            account = engine.account_of_key(name) if name else None
            # What portfolios are told alone is refused to these accounts.
            with suppress(ApiError):
                reply = endpoint.render(Call(engine, now_ms, {}, account, profile))
                bodies.append(((path, name), json.dumps(reply, separators=(",", ":")).encode()))
    return bodies


class Venue:
    """Serves canned replies, each after the latency."""

    def __init__(self, latency_s: float) -> None:
        self.latency_s = latency_s
        self._sets = rendered()
        self._signed = {path for path, name in self._sets[0].bodies if name is not None}
        self._served: Counter[str] = Counter()

    def reply(self, path: str, api_key: str) -> bytes:
        """The whole HTTP reply, its head included."""
        if path == READS_PATH:
            return _http(b"200 OK", str(self._served[ACCOUNT_PATH]).encode())
        self._served[path] += 1
        # By time, not by turn: what an account has and where its marks stand are of one moment, as at a venue.
        number = int(time.monotonic() / MOVE_EVERY_S)
        name = None
        if path in self._signed:
            name = "near" if api_key.startswith("near") else "quiet"
        body = self._sets[number % len(self._sets)].bodies.get((path, name))
        if body is not None:
            return _http(b"200 OK", body)
        return _http(b"200 OK", b"{}") if path == SINK_PATH else _http(b"404 Not Found", b"{}")


class Connection(asyncio.Protocol):
    """As much HTTP as the benchmarks speak, and no more: a web framework's millisecond per reply would be counted as
    the venue's latency, three times over where three calls arrive together."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, rest = self._received.partition(b"\r\n\r\n")
        request, *headers = head.decode().split("\r\n")
        values = {name.lower(): value for name, _, value in (line.partition(": ") for line in headers)}
        if not found or len(rest) < int(values.get("content-length", 0)):
            return
        self._received = b""
        path = request.split(" ")[1].partition("?")[0]
        reply = self._venue.reply(path, values.get("x-mbx-apikey", ""))
        latency_s = 0.0 if path == READS_PATH else self._venue.latency_s
        asyncio.get_running_loop().call_later(latency_s, self._transport.write, reply)


def _http(status: bytes, body: bytes) -> bytes:
    fields = b"Content-Type: application/json\r\nX-MBX-USED-WEIGHT-1M: 10\r\nContent-Length: %d" % len(body)
    return b"HTTP/1.1 %b\r\n%b\r\n\r\n%b" % (status, fields, body)


async def serve(latency_s: float) -> None:
    venue = Venue(latency_s)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(venue), "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--latency-ms", type=float, default=50.0)
    asyncio.run(serve(parser.parse_args().latency_ms / 1000))


if __name__ == "__main__":
    main()
