"""What the fuzzing found in whole reads: each is read, or fails, as it should."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor.config.loader import load
from monitor.config.problems import ConfigError
from monitor.domain.account import AccountSnapshot, FailureKind, Observation, PollFailure, StopOrder
from monitor.domain.ledger import Ledger
from monitor.exchange.failures import ReadError
from monitor.exchange.modes import mode_error
from monitor.exchange.registry import is_venue
from tests.builders import needs_shared
from tests.fuzz.junk import places
from tests.fuzz.reading import Figures, Reader, figures_of
from tests.fuzz.worlds import worlds

POSITIONS = "/v5/position/list"
BYBIT, USDM = "Bybit, generic", "binanceusdm, hedged"


WORLDS = {world.name: world for world in worlds()}


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    with asyncio.Runner() as runner:
        yield Reader(runner)


def read(reader: Reader, name: str, **texts: str) -> tuple[Observation, Figures]:
    """The read with those texts in the place of the world's own."""
    heard = reader.read(WORLDS[name], texts)
    return heard.observation, figures_of(heard)


def reply_of(reader: Reader, name: str, question: str) -> Any:
    """The world's own answer to what begins so."""
    return next(
        json.loads(text) for asked, text in reader.known(WORLDS[name]).texts.items() if asked.startswith(question)
    )


def spoilt(reader: Reader, name: str, question: str, member: str, junk: Any) -> dict[str, str]:
    """The first of the replies to what begins so that has such a member, with junk in all of them."""
    for asked, text in reader.known(WORLDS[name]).texts.items():
        reply = json.loads(text)
        found = [container for container, key in places([reply]) if key == member]
        if asked.startswith(question) and found:
            for container in found:
                container[member] = junk
            return {question: json.dumps(reply)}
    raise AssertionError(f"no reply to {question} holds {member}")


def bybit_position(reader: Reader, **changes: Any) -> str:
    reply = reply_of(reader, BYBIT, POSITIONS)
    reply["result"]["list"][0] |= changes
    return json.dumps(reply)


@needs_shared
def test_a_hyperliquid_account_is_read_by_its_address_alone(reader: Reader) -> None:
    observation, figures = read(reader, "Hyperliquid, isolated")
    assert isinstance(observation, AccountSnapshot), observation
    assert figures["HYPE/USDC:USDC short contracts"] == 4
    assert figures["HYPE/USDC:USDC short mark_price"] == 48.145
    assert figures["HYPE/USDC:USDC short liquidation_price"] == 50.2724802381


@needs_shared
def test_a_mark_that_is_junk_is_not_replaced_by_one_worked_out_of_the_entry(reader: Reader) -> None:
    observation, _ = read(reader, BYBIT, **{POSITIONS: bybit_position(reader, markPrice=" ")})
    assert isinstance(observation, PollFailure), observation
    assert (observation.kind, "no mark price" in observation.detail) == (FailureKind.UNSUPPORTED, True)


@needs_shared
@pytest.mark.parametrize("entry", ["１２", " 7 ", "7\n", "1_0", "nan"])
def test_what_only_a_lenient_parser_takes_for_a_number_is_none(reader: Reader, entry: str) -> None:
    _, figures = read(reader, BYBIT, **{POSITIONS: bybit_position(reader, avgPrice=entry)})
    assert figures["LTC/USDT:USDT long contracts"] == 1.2
    assert figures["LTC/USDT:USDT long entry_price"] is None


@needs_shared
def test_a_row_as_deep_as_the_parser_goes_is_read(reader: Reader) -> None:
    deep = bybit_position(reader, more="DEEP").replace('"DEEP"', "[" * 985 + "]" * 985)
    observation, _ = read(reader, BYBIT, **{POSITIONS: deep})
    assert isinstance(observation, AccountSnapshot), observation


@pytest.mark.parametrize("hours", [1e12, "1e300", -8, 0])
def test_an_interval_that_no_venue_has_leaves_the_account_readable(reader: Reader, hours: Any) -> None:
    info = json.dumps([{"symbol": "BTCUSDT", "fundingIntervalHours": hours}])
    observation, figures = read(reader, USDM, **{"/fapi/v1/fundingInfo": info})
    assert isinstance(observation, AccountSnapshot), observation
    assert figures["market BTC/USDT:USDT interval"] is None


@pytest.mark.parametrize("change", [{}, {"maintMarginRatio": -0.5}, {"cum": -10_000}])
def test_brackets_that_cannot_be_are_unknown(reader: Reader, change: dict[str, Any]) -> None:
    path = "/fapi/v1/leverageBracket"
    reply = reply_of(reader, USDM, path)
    for row in reply:
        row["brackets"].append({**row["brackets"][0], **change})
    observation, figures = read(reader, USDM, **{path: json.dumps(reply)})
    assert isinstance(observation, AccountSnapshot), observation
    assert "market BTC/USDT:USDT tier 0 rate" not in figures


@needs_shared
@pytest.mark.parametrize("place", ["avgPrice", "createdTime"])
def test_a_number_that_would_be_written_out_for_minutes_is_refused_at_once(reader: Reader, place: str) -> None:
    observation, _ = read(reader, BYBIT, **{POSITIONS: bybit_position(reader, **{place: "1e999999999"})})
    assert isinstance(observation, PollFailure), observation
    assert (observation.kind, "is no number that a venue has" in observation.detail) == (FailureKind.MALFORMED, True)


@pytest.mark.parametrize("decimals", [10**9, -(10**9), "1000000000", "many"])
def test_a_precision_that_no_contract_has_is_left_out(reader: Reader, decimals: Any) -> None:
    path = "/fapi/v1/exchangeInfo"
    reply = reply_of(reader, USDM, path)
    for contract in reply["symbols"]:
        contract["pricePrecision"] = decimals
    observation, figures = read(reader, USDM, **{path: json.dumps(reply)})
    assert isinstance(observation, AccountSnapshot), observation
    assert figures == read(reader, USDM)[1]


@needs_shared
def test_a_margin_below_zero_is_a_malformed_reply(reader: Reader) -> None:
    observation, _ = read(reader, BYBIT, **{POSITIONS: bybit_position(reader, positionMM="-1")})
    assert isinstance(observation, PollFailure), observation
    assert (observation.kind, "maintenanceMargin is -1" in observation.detail) == (FailureKind.MALFORMED, True)


ALGOS, BILLS = "/api/v5/trade/orders-algo-pending", "/api/v5/account/bills"
PLANS, STRATEGIES = "/api/v2/mix/order/orders-plan-pending", "/api/v3/trade/unfilled-strategy-orders"


@pytest.mark.parametrize(
    ("name", "question", "member", "junk", "kind"),
    [
        ("binanceusdm, mixed", "/fapi/v1/openAlgoOrders", "orderType", None, "stops"),
        ("binanceusdm, mixed", "/fapi/v1/openAlgoOrders", "orderType", ["STOP"], "stops"),
        ("binanceusdm, mixed", "/fapi/v1/openAlgoOrders", "quantity", "-0", "stops"),
        ("binanceusdm, mixed", "/fapi/v1/openAlgoOrders", "closePosition", "yes", "stops"),
        ("binanceusdm, mixed", "/sapi/v1/account/apiRestrictions", "enableInternalTransfer", "yes", "key"),
        ("binancecoinm, coin", "/dapi/v1/openAlgoOrders", "quantity", 5e-324, "stops"),
        ("bingx, mixed", "/openApi/swap/v2/trade/openOrders", "closePosition", "1", "stops"),
        ("bingx, mixed", "/openApi/swap/v2/trade/openOrders", "positionSide", {}, "stops"),
        ("bingx, mixed", "/openApi/v1/account/apiPermissions", "permissions", [[2]], "key"),
        ("bingx, mixed", "/openApi/v1/account/apiPermissions", "ipAddresses", [None], "key"),
        ("bitget, mixed", PLANS, "posSide", 7, "stops"),
        ("bitget, unified-mixed", STRATEGIES, "stopLoss", "", "stops"),
        ("bitget, unified-mixed", f"{STRATEGIES} USDT-FUTURES?category=USDT-FUTURES&type=trigger", "qty", "", "stops"),
        ("bitget, unified-mixed", "/api/v3/trade/history-orders", "execType", ["liquidation"], "ends"),
        ("bybit, mixed cross", "/v5/order/realtime", "stopOrderType", None, "stops"),
        ("bybit, mixed cross", "/v5/order/realtime", "qty", "", "stops"),
        ("bybit, mixed cross", "/v5/order/realtime", "qty", 5e-324, "stops"),
        ("bybit, mixed cross", "/v5/user/query-api", "ips", [None], "key"),
        ("deribit, coin segregated_sm", "/api/v2/private/get_open_orders", "is_secondary_oto", "1_0", "stops"),
        ("gate, classic-mixed", "/api/v4/account/detail", "ip_whitelist", [None], "key"),
        ("gate, classic-mixed", "/api/v4/futures/usdt/price_orders", "is_reduce_only", [], "stops"),
        ("gate, classic-mixed", "/api/v4/futures/usdt/autoorder/v1/trail/list", "price_offset", "0%", "stops"),
        ("gate, classic-mixed", "/api/v4/futures/usdt/liquidates", "size", "0", "ends"),
        ("gate, classic-mixed", "/api/v4/futures/usdt/price_orders", "size", 5e-324, "stops"),
        ("hyperliquid, portfolio-two", "frontendOpenOrders cash", "sz", None, "stops"),
        ("krakenfutures, mixed", "/derivatives/api/v3/openorders", "reduceOnly", [1], "stops"),
        ("krakenfutures, mixed", "/api/auth/v1/api-keys/v3/check", "allowedCidrBlocks", "nan", "key"),
        ("kucoinfutures, mixed", "/api/v1/stopOrders", "reduceOnly", "1e999", "stops"),
        ("mexc, mixed", "/api/v3/apiKeyInfo", "remainingValidity", "1e15", "key"),
        ("mexc, mixed", "/api/v1/private/stoporder/open_orders", "stopLossPrice", None, "stops"),
        ("mexc, mixed", "/api/v1/private/stoporder/open_orders", "positionType", [1], "stops"),
        ("mexc, mixed", "/api/v1/private/stoporder/open_orders", "positionId", None, "stops"),
        ("okx, mixed futures mode", ALGOS, "reduceOnly", [], "stops"),
        ("okx, mixed futures mode", ALGOS, "slTriggerPx", "", "stops"),
        ("okx, mixed futures mode", BILLS, "subType", "1,000", "ends"),
    ],
)
def test_junk_beside_an_account_is_a_malformed_reply(
    reader: Reader, name: str, question: str, member: str, junk: Any, kind: str
) -> None:
    """Not a stop order less, not another one, and no crash."""
    found = reader.read(WORLDS[name], spoilt(reader, name, question, member, junk)).records[kind]
    assert isinstance(found, ReadError), found
    assert found.kind is FailureKind.MALFORMED


@pytest.mark.parametrize(
    ("name", "question", "member", "junk"),
    [
        ("mexc, mixed", "/api/v1/private/position/open_positions", "positionType", [1]),
        ("bingx, mixed", "/openApi/swap/v2/user/positions", "positionSide", ["LONG"]),
        ("gate, classic-mixed", "/api/v4/futures/usdt/accounts", "position_mode", [1]),
        ("okx, mixed futures mode", "/api/v5/account/balance", "mmr", -1),
    ],
)
def test_words_and_amounts_that_are_none_are_a_malformed_account(
    reader: Reader, name: str, question: str, member: str, junk: Any
) -> None:
    observation = reader.read(WORLDS[name], spoilt(reader, name, question, member, junk)).observation
    assert isinstance(observation, PollFailure), observation
    assert observation.kind is FailureKind.MALFORMED


@pytest.mark.parametrize(
    ("name", "question", "member", "junk"),
    [
        ("bingx, mixed", "/openApi/swap/v1/maintMarginRatio", "maintAmount", 10**9),
        ("bitget, mixed", "/api/v3/market/position-tier", "mmr", "2"),
        ("hyperliquid, unified-mixed", "allPerpMetas", "lowerBound", "0.0"),
        ("mexc, mixed", "/api/v1/contract/detail", "riskLimitMode", {}),
    ],
)
def test_a_venues_brackets_that_cannot_be_are_unknown(
    reader: Reader, name: str, question: str, member: str, junk: Any
) -> None:
    known = reader.known(WORLDS[name])
    read = reader.read(known.world, spoilt(reader, name, question, member, junk))
    assert isinstance(read.observation, AccountSnapshot), read.observation
    assert any(" tier 0 rate" in figure for figure in known.figures)
    assert not any(" tier 0 rate" in figure for figure in figures_of(read))


def test_a_venue_left_empty_beside_a_mode_is_a_problem_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "perpwatch.yaml"
    file.write_text("accounts:\n  main: {venue: , mode: testnet}\n")
    with pytest.raises(ConfigError) as refused:
        load(file, is_venue=is_venue, channel_error=lambda _: None, mode_error=mode_error, env={})
    assert [(problem.line, problem.path) for problem in refused.value.errors] == [(2, "accounts.main.venue")]


def test_a_position_of_a_kind_not_read_in_a_coin_that_is_none_is_malformed(reader: Reader) -> None:
    reply = reply_of(reader, "okx, mixed futures mode", "/api/v5/account/positions")
    reply["data"].append({"instId": "BTC-USD-261225-90000-P", "instType": "OPTION", "pos": "-5", "ccy": ["USDT"]})
    observation, _ = read(reader, "okx, mixed futures mode", **{"/api/v5/account/positions": json.dumps(reply)})
    assert isinstance(observation, PollFailure), observation
    assert observation.kind is FailureKind.MALFORMED


def test_a_callback_of_nothing_is_unknown(reader: Reader) -> None:
    orders = "/openApi/swap/v2/trade/openOrders"
    found = reader.read(WORLDS["bingx, mixed"], spoilt(reader, "bingx, mixed", orders, "priceRate", "0")).records[
        "stops"
    ]
    assert not isinstance(found, ReadError | Ledger), found
    assert {order.callback_rate for order in found if isinstance(order, StopOrder)} == {None}


def test_a_contract_in_coin_whose_size_is_junk_is_not_taken_for_one_dollar(reader: Reader) -> None:
    name = "binanceusdm, mixed portfolio"
    found = reader.read(WORLDS[name], spoilt(reader, name, "/dapi/v1/exchangeInfo", "contractSize", "")).records[
        "stops"
    ]
    assert isinstance(found, ReadError), found


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("gate, classic-coin", "/api/v4/futures/btc/account_book"),
        ("hyperliquid, standard-two", "userNonFundingLedgerUpdates"),
    ],
)
def test_a_booking_without_its_time_is_a_failure(reader: Reader, name: str, path: str) -> None:
    reply = reply_of(reader, name, path)
    del reply[0]["time"]
    found = reader.read(WORLDS[name], {path: json.dumps(reply)}).records["bookings"]
    assert isinstance(found, ReadError), found
    assert found.kind is FailureKind.MALFORMED


@pytest.mark.parametrize(
    ("name", "path", "member", "junk"),
    [
        ("binanceusdm, mixed portfolio", "/papi/v1/um/income", "asset", None),
        ("hyperliquid, unified-mixed", "userNonFundingLedgerUpdates", "token", ""),
        ("hyperliquid, standard-two", "userNonFundingLedgerUpdates", "sourceDex", None),
    ],
)
def test_a_booking_whose_coin_or_side_is_junk_is_a_failure_and_no_crash(
    reader: Reader, name: str, path: str, member: str, junk: Any
) -> None:
    """Made up in dollars it would hide a loss; left out it would look like one."""
    found = reader.read(WORLDS[name], spoilt(reader, name, path, member, junk)).records["bookings"]
    assert isinstance(found, ReadError), found
    assert found.kind is FailureKind.MALFORMED


def test_a_bill_without_its_amount_is_a_failure_and_no_bill_of_nothing(reader: Reader) -> None:
    name = "okx, two portfolio"
    without = spoilt(reader, name, "/api/v5/account/bills", "balChg", None)
    found = reader.read(WORLDS[name], without).records["bookings"]
    assert isinstance(found, ReadError), found


def test_a_booking_that_lacks_its_coin_is_a_failure_and_no_crash(reader: Reader) -> None:
    name, path = "binanceusdm, mixed portfolio", "/papi/v1/um/income"
    reply = reply_of(reader, name, path)
    del reply[0]["asset"]
    found = reader.read(WORLDS[name], {path: json.dumps(reply)}).records["bookings"]
    assert isinstance(found, ReadError), found


MALFORMED, IMPLAUSIBLE = FailureKind.MALFORMED, FailureKind.IMPLAUSIBLE


@pytest.mark.parametrize(
    ("others", "kind"),
    [([{}], MALFORMED), ([{"name": ""}], MALFORMED), ([[]], MALFORMED), ([None], IMPLAUSIBLE), ([], IMPLAUSIBLE)],
)
def test_a_dex_that_is_not_named_hides_neither_its_positions_nor_its_stops(
    reader: Reader, others: list[Any], kind: FailureKind
) -> None:
    name = "hyperliquid, portfolio-two"
    reader.known(WORLDS[name])
    observation = reader.read(WORLDS[name], {"perpDexs": json.dumps([None, *others])}).observation
    assert isinstance(observation, PollFailure), observation
    assert observation.kind is kind


@pytest.mark.parametrize("told", ["retCode", "retMsg"])
def test_what_a_venue_says_nested_too_deep_to_be_written_out_is_a_failure_and_no_crash(
    reader: Reader, told: str
) -> None:
    name, path = "bybit, coin portfolio", "/v5/account/info"
    reply = json.dumps({**reply_of(reader, name, path), "retCode": 10001, "retMsg": "no", told: "HERE"})
    nested = "[" * 985 + "]" * 985
    observation = reader.read(WORLDS[name], {path: reply.replace('"HERE"', nested)}).observation
    assert isinstance(observation, PollFailure), observation


@pytest.mark.parametrize("untold", [None, ""])
def test_a_position_whose_amount_is_not_told_is_not_taken_for_an_empty_one(reader: Reader, untold: str | None) -> None:
    name, path = "okx, hedged futures mode", "/api/v5/account/positions"
    reply = reply_of(reader, name, path)
    for row in reply["data"]:
        told = {**reply, "data": [{**of, "pos": untold} if of is row else of for of in reply["data"]]}
        observation = reader.read(WORLDS[name], {path: json.dumps(told)}).observation
        assert isinstance(observation, PollFailure), observation
        assert observation.kind is FailureKind.MALFORMED


def test_a_row_that_is_no_order_is_no_order_without_a_trigger(reader: Reader) -> None:
    name, path = "kucoinfutures, unified-mixed", "/api/ua/v1/unified/order/open-list"
    reply = reply_of(reader, name, path)
    items = next(value for value in reply["data"].values() if isinstance(value, list))
    items[0] = {"a": 1}
    found = reader.read(WORLDS[name], {path: json.dumps(reply)}).records["stops"]
    assert isinstance(found, ReadError), found


def test_a_dex_that_is_no_more_leaves_an_empty_place_in_both_lists(reader: Reader) -> None:
    name = "hyperliquid, portfolio-two"
    told = {question: [*reply_of(reader, name, question), None] for question in ("perpDexs", "allPerpMetas")}
    heard = reader.read(WORLDS[name], {question: json.dumps(reply) for question, reply in told.items()})
    assert isinstance(heard.observation, AccountSnapshot), heard.observation
    assert figures_of(heard) == reader.known(WORLDS[name]).figures


@pytest.mark.parametrize("lost", ["contract_size", "settlement_currency"])
def test_what_was_booked_in_a_currency_whose_futures_are_listed_as_junk_is_told(reader: Reader, lost: str) -> None:
    name, path = "deribit, coin segregated_pm", "/api/v2/public/get_instruments"
    reply = reply_of(reader, name, path)
    for future in reply["result"]:
        if future["settlement_currency"] == "ETH":
            del future[lost]
    found = reader.read(WORLDS[name], {path: json.dumps(reply)}).records["bookings"]
    assert found == reader.known(WORLDS[name]).read.records["bookings"]
    assert isinstance(found, Ledger)
    assert "ETH" in {entry.currency for entry in found.entries}


def test_a_page_of_bookings_at_mexc_without_its_list_is_not_a_page_without_bookings(reader: Reader) -> None:
    name, path = "mexc, mixed", "/api/v1/private/account/transfer_record"
    reply = {**reply_of(reader, name, path), "data": []}
    found = reader.read(WORLDS[name], {path: json.dumps(reply)}).records["bookings"]
    assert isinstance(found, ReadError), found


@pytest.mark.parametrize(
    ("name", "path", "listed"),
    [
        ("bybit, coin cross", "/v5/user/query-api", "ips"),
        ("deribit, coin segregated_pm", "/api/v2/private/list_api_keys", "ip_whitelist"),
        ("gate, classic-mixed", "/api/v4/account/detail", "ip_whitelist"),
    ],
)
def test_a_key_bound_to_an_empty_address_is_not_called_bound(reader: Reader, name: str, path: str, listed: str) -> None:
    found = reader.read(WORLDS[name], spoilt(reader, name, path, listed, [""])).records["key"]
    assert isinstance(found, tuple), found
    assert [getattr(key, "ip_restricted", None) for key in found] == [False]
