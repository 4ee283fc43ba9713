"""What ccxt knows of a venue before it is asked: its demo trading and testnets, and which keys a read needs."""

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
    client = _keyless(venue_id)
    modes = {Mode.LIVE}
    if venue_id in DEMO_BY_HEADER or {"demo", "demotrading"} & client.urls.keys():
        modes.add(Mode.DEMO)
    if client.urls.get("test") and venue_id not in DEMO_BY_HEADER | TESTNET_GONE:
        modes.add(Mode.TESTNET)
    return frozenset(modes)


def credentials_of(venue_id: str) -> frozenset[str]:
    """What no account there can be read without, by ccxt's names; a private key signs orders, which nobody places."""
    needed = _keyless(venue_id).requiredCredentials
    return frozenset(name for name, is_needed in needed.items() if is_needed) - {"privateKey"}


def _keyless(venue_id: str) -> Any:
    """For what its class says of the venue: nothing is asked through it."""
    return getattr(ccxt, venue_id)()
