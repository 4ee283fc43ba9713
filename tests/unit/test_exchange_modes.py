"""Demo trading and testnets: where each venue's requests go, and what is said where it has none."""

from urllib.parse import urlsplit

import ccxt.async_support as ccxt
import pytest

from monitor.exchange.modes import Mode, mode_error, turn_to


@pytest.mark.parametrize(
    ("venue", "mode", "api", "host"),
    [
        ("binanceusdm", Mode.LIVE, "fapiPrivateV3", "fapi.binance.com"),
        ("binanceusdm", Mode.DEMO, "fapiPrivateV3", "demo-fapi.binance.com"),
        ("binancecoinm", Mode.DEMO, "dapiPrivate", "demo-dapi.binance.com"),
        ("bybit", Mode.DEMO, "private", "api-demo.{hostname}"),
        ("bybit", Mode.TESTNET, "private", "api-testnet.{hostname}"),
    ],
)
def test_requests_go_to_the_play_money(venue: str, mode: Mode, api: str, host: str) -> None:
    client = getattr(ccxt, venue)()
    turn_to(client, mode)
    assert urlsplit(client.urls["api"][api]).netloc == host


@pytest.mark.parametrize(("venue", "header"), [("okx", "x-simulated-trading"), ("bitget", "PAPTRADING")])
def test_where_a_header_asks_for_play_money_it_is_sent(venue: str, header: str) -> None:
    client = getattr(ccxt, venue)({"apiKey": "key", "secret": "secret", "password": "word"})
    turn_to(client, Mode.DEMO)
    path = "account/balance" if venue == "okx" else "v2/mix/account/accounts"
    signed = client.sign(path, "private" if venue == "okx" else ["private", "mix"], "GET", {})
    assert {**client.headers, **(signed["headers"] or {})}[header] == "1"


@pytest.mark.parametrize(
    ("venue", "mode", "told"),
    [
        ("okx", "testnet", "ccxt knows no testnet of okx, only its demo"),
        ("binanceusdm", "testnet", "ccxt knows no testnet of binanceusdm, only its demo"),
        ("binancecoinm", "testnet", "ccxt knows no testnet of binancecoinm, only its demo"),
        ("kucoinfutures", "demo", "ccxt knows no demo of kucoinfutures"),
        ("deribit", "demo", "ccxt knows no demo of deribit, only its testnet"),
    ],
)
def test_a_mode_that_the_venue_has_not_is_said_to_be_none(venue: str, mode: str, told: str) -> None:
    assert mode_error(venue, mode) == told
    with pytest.raises(ValueError, match=told):
        turn_to(getattr(ccxt, venue)(), Mode(mode))
