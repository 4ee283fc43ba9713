"""Play money: demo trading with real prices, and testnets, by the addresses and headers that ccxt knows."""

from enum import StrEnum
from functools import cache
from typing import Any

import ccxt.async_support as ccxt

# Their demo trading lives at the real address and is asked for by a header, which `set_sandbox_mode` adds.
DEMO_BY_HEADER = frozenset({"okx", "bitget"})
# Their testnets have become their demo trading; ccxt still knows the addresses, and refuses to sign for them.
TESTNET_GONE = frozenset({"binanceusdm", "binancecoinm"})


class Mode(StrEnum):
    LIVE = "live"
    DEMO = "demo"
    TESTNET = "testnet"


def turn_to(client: Any, mode: Mode) -> None:
    """Turn a ccxt client to the venue's play money; ValueError where it has none of that kind."""
    if mode is Mode.LIVE:
        return
    if (error := mode_error(client.id, mode)) is not None:
        raise ValueError(error)
    if mode is Mode.DEMO and client.id not in DEMO_BY_HEADER:
        client.enable_demo_trading(True)
    else:
        client.set_sandbox_mode(True)


def mode_error(venue_id: str, mode: str) -> str | None:
    """Why accounts of that venue cannot have that mode, in a few words; None where they can."""
    supported = modes_of(venue_id)
    if mode in supported:
        return None
    others = " and ".join(sorted(m for m in supported if m is not Mode.LIVE))
    return f"ccxt knows no {mode} of {venue_id}" + (f", only its {others}" if others else "")


@cache
def modes_of(venue_id: str) -> frozenset[Mode]:
    client = getattr(ccxt, venue_id)()
    modes = {Mode.LIVE}
    if venue_id in DEMO_BY_HEADER or {"demo", "demotrading"} & client.urls.keys():
        modes.add(Mode.DEMO)
    if client.urls.get("test") and venue_id not in DEMO_BY_HEADER | TESTNET_GONE:
        modes.add(Mode.TESTNET)
    return frozenset(modes)
