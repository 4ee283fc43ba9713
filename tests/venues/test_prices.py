"""Candles and order books of single venues: replies as they sent them, pages, pictures of one book, refusals."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from monitor.domain.account import FailureKind
from monitor.domain.market import Book, Resting
from monitor.domain.study import Frame
from monitor.exchange.failures import ReadError
from monitor.exchange.registry import venue_of
from monitor.exchange.venues.contracts import a_contract
from monitor.exchange.venues.hyperliquid_prices import MOST_CANDLES, deeper
from monitor.paper.tape import LENGTH_MS
from tests.venues import deribit, hyperliquid, kucoinfutures
from tests.venues.market import Told
from tests.venues.test_candles_and_books import asked

SECOND_MS = 1000

# Venue, contract (size, whether inverse), the call, its reply as the venue sent it, when that was, what it says:
# bids and asks as price and base units. Deribit's amounts are dollars, BingX tells its dearest ask first.
REPLIES: tuple[tuple[str, str, tuple[float, bool], str, Mapping[str, Any], int, list[Any], list[Any]], ...] = (
    (
        "kucoinfutures",
        "XBTUSDM",
        (1.0, True),
        "futuresPublicGetLevel2Snapshot",
        {
            "code": "200000",
            "data": {
                "symbol": "XBTUSDM",
                "sequence": 100,
                "asks": [["5000.0", 1000], ["6000.0", 1983]],
                "bids": [["3200.0", 800], ["3100.0", 100]],
                "ts": 1604643655040584408,
            },
        },
        1604643655040,
        [(3200.0, 0.25), (3100.0, 100 / 3100)],
        [(5000.0, 0.2), (6000.0, 0.3305)],
    ),
    (
        "krakenfutures",
        "PI_XBTUSD",
        (1.0, True),
        "publicGetOrderbook",
        {
            "result": "success",
            "serverTime": "2016-02-25T09:45:53.818Z",
            "orderBook": {"bids": [[4213, 2000], [4210, 4000]], "asks": [[4218, 4000], [4220, 5000]]},
        },
        1456393553818,
        [(4213.0, 2000 / 4213), (4210.0, 4000 / 4210)],
        [(4218.0, 4000 / 4218), (4220.0, 5000 / 4220)],
    ),
    (
        "deribit",
        "BTC-PERPETUAL",
        (10.0, True),
        "publicGetGetOrderBook",
        {
            "jsonrpc": "2.0",
            "result": {
                "timestamp": 1583781354740,
                "instrument_name": "BTC-PERPETUAL",
                "change_id": 17538025952,
                "bids": [[7814, 351820], [7813.5, 207490]],
                "asks": [[7814.5, 11880], [7815, 18100]],
            },
        },
        1583781354740,
        [(7814.0, 351820 / 7814), (7813.5, 207490 / 7813.5)],
        [(7814.5, 11880 / 7814.5), (7815.0, 18100 / 7815)],
    ),
    (
        "mexc",
        "ETH_USDT",
        (0.01, False),
        "contractPublicGetDepthSymbol",
        {
            "success": True,
            "code": 0,
            "data": {
                "asks": [[3445.72, 48379, 1], [3445.75, 34994, 1]],
                "bids": [[3445.55, 44081, 1], [3445.51, 24857, 1]],
                "version": 2827730444,
                "timestamp": 1634117846232,
            },
        },
        1634117846232,
        [(3445.55, 440.81), (3445.51, 248.57)],
        [(3445.72, 483.79), (3445.75, 349.94)],
    ),
    (
        "bingx",
        "BTC-USDT",
        (1.0, False),
        "swapV2PublicGetQuoteDepth",
        {
            "code": 0,
            "msg": "",
            "data": {
                "T": 1743240836255,
                "bids": [["83760.7", "7.0861"], ["83760.6", "0.0044"]],
                "asks": [["83784.3", "8.3531"], ["83782.8", "23.7289"]],
                "bidsCoin": [["83760.7", "0.0007"], ["83760.6", "0.0000"]],
                "asksCoin": [["83784.3", "0.0008"], ["83782.8", "0.0024"]],
            },
        },
        1743240836255,
        [(83760.7, 7.0861), (83760.6, 0.0044)],
        [(83782.8, 23.7289), (83784.3, 8.3531)],
    ),
    (
        "hyperliquid",
        "BTC",
        (1.0, False),
        "publicPostInfo",
        {
            "coin": "BTC",
            "time": 1754450974231,
            "levels": [
                [{"px": "113377.0", "sz": "7.6699", "n": 17}, {"px": "113376.0", "sz": "4.13714", "n": 8}],
                [{"px": "113397.0", "sz": "0.11543", "n": 3}],
            ],
        },
        1754450974231,
        [(113377.0, 7.6699), (113376.0, 4.13714)],
        [(113397.0, 0.11543)],
    ),
)
NAMES = [venue for venue, *_ in REPLIES]


def a_client(call: str, reply: Any, now_ms: int) -> Any:
    async def answer(_: Any) -> Any:
        return reply

    return SimpleNamespace(milliseconds=lambda: now_ms, **{call: answer})


async def read(venue: str, raw: str, terms: tuple[float, bool], client: Any) -> Book:
    size, inverse = terms
    about = a_contract(venue, ("BTC", "USD", "BTC" if inverse else "USD"), size, inverse=inverse)
    return await venue_of(venue).read_book(client, raw, about)


@pytest.mark.parametrize(("venue", "raw", "terms", "call", "reply", "at_ms", "bids", "asks"), REPLIES, ids=NAMES)
async def test_a_book_as_the_venue_sent_it(
    venue: str,
    raw: str,
    terms: tuple[float, bool],
    call: str,
    reply: Mapping[str, Any],
    at_ms: int,
    bids: list[Any],
    asks: list[Any],
) -> None:
    book = await read(venue, raw, terms, a_client(call, reply, at_ms + SECOND_MS))
    for told, due in ((book.bids, bids), (book.asks, asks)):
        assert [(level.price, level.size) for level in told] == [pytest.approx(level) for level in due]


@pytest.mark.parametrize(("venue", "raw", "terms", "call", "reply", "at_ms"), [row[:6] for row in REPLIES], ids=NAMES)
async def test_a_book_that_stands_still_is_refused(
    venue: str, raw: str, terms: tuple[float, bool], call: str, reply: Mapping[str, Any], at_ms: int
) -> None:
    with pytest.raises(ReadError, match="stands still") as refused:
        await read(venue, raw, terms, a_client(call, reply, at_ms + 600 * SECOND_MS))
    assert refused.value.kind is FailureKind.IMPLAUSIBLE


@pytest.mark.parametrize("venue", ["kucoinfutures", "deribit", "hyperliquid"])
async def test_the_book_of_another_contract_is_refused(venue: str) -> None:
    _, _, terms, call, reply, at_ms, *_ = REPLIES[NAMES.index(venue)]
    with pytest.raises(ReadError, match="asked for OTHER, told of") as refused:
        await read(venue, "OTHER", terms, a_client(call, reply, at_ms))
    assert refused.value.kind is FailureKind.MALFORMED


async def test_kucoin_tells_many_candles_in_stretches_of_which_the_first_may_be_before_trading_began() -> None:
    told = Told(case=kucoinfutures.CLASSIC, symbol="BTCUSDT", candles="/api/v1/kline/query", book="")
    for young, count in ((0, 450), (150, 150)):
        async with asked(told) as venue:
            if young:
                venue.set_tape(since_ms=venue.now_ms - (young - 1) * LENGTH_MS[Frame.HOUR])
            found = await venue.candles(count=450)
            assert venue.house.server.counts[told.candles] == 3
            due = venue.bars(count=450)
            assert len(found) == len(due) == count
            assert [candle.close for candle in found] == pytest.approx([bar.close for bar in due])


async def test_hyperliquid_tells_no_more_candles_than_its_weight_pays_for() -> None:
    told = Told(case=hyperliquid.HYPERLIQUID_CASE, symbol="BTCUSDC", candles="candleSnapshot", book="l2Book")
    async with asked(told) as venue:
        assert len(await venue.candles(count=2 * MOST_CANDLES)) == MOST_CANDLES


async def test_hyperliquids_book_is_one_of_three_pictures() -> None:
    """Of fifty levels a side within a percent: twenty as they are, then steps of 100, and of 1,000 at 116,000."""
    told = Told(case=hyperliquid.HYPERLIQUID_CASE, symbol="BTCUSDC", candles="candleSnapshot", book="l2Book")
    async with asked(told) as venue:
        book = await venue.book()
        for side, levels in (("bids", book.bids), ("asks", book.asks)):
            assert len(levels) > 20
            assert {level.price % 100 for level in levels[20:]} == {0.0}
            assert sum(level.size for level in levels) == pytest.approx(
                sum(level.contracts for level in venue.resting(side))
            )


def _levels(*pairs: tuple[float, float]) -> tuple[Resting, ...]:
    return tuple(Resting(price, size) for price, size in pairs)


FINE = _levels((99.9, 1.0), (99.8, 2.0), (99.5, 1.0))


@pytest.mark.parametrize(
    ("fine", "coarse", "due"),
    [
        # The step at 99 holds what rests from there to 100: 4 are told already.
        (FINE, _levels((99.0, 10.0), (98.0, 5.0)), (*FINE, *_levels((99.0, 6.0), (98.0, 5.0)))),
        # Nothing more within the step.
        (FINE, _levels((99.0, 4.0), (98.0, 5.0)), (*FINE, *_levels((98.0, 5.0)))),
        # Taken a moment later, when less rested: what is told of twice is not counted twice.
        (FINE, _levels((99.0, 3.0), (98.0, 5.0)), (*FINE, *_levels((98.0, 4.0)))),
        # A step that is told already.
        (FINE, _levels((99.5, 4.0), (99.0, 2.0)), (*FINE, *_levels((99.0, 2.0)))),
        (FINE, (), FINE),
        ((), _levels((99.0, 2.0)), _levels((99.0, 2.0))),
    ],
)
def test_a_coarser_picture_carries_a_book_on(
    fine: tuple[Resting, ...], coarse: tuple[Resting, ...], due: tuple[Resting, ...]
) -> None:
    mirrored = [tuple(Resting(200 - level.price, level.size) for level in side) for side in (fine, coarse, due)]
    found = deeper(Book(bids=fine, asks=mirrored[0]), Book(bids=coarse, asks=mirrored[1]))
    assert found.bids == due
    assert [(level.price, level.size) for level in found.asks] == [
        pytest.approx((level.price, level.size)) for level in mirrored[2]
    ]


async def test_deribit_says_that_it_lists_no_such_future() -> None:
    told = Told(case=deribit.DERIBIT_CASE, symbol="BTCUSD_PERP", candles="", book="")
    async with asked(told) as venue:
        market = venue.market
        for call in (
            market._venue.read_candles(market._client, "BTC-25DEC26", venue.instrument, Frame.DAY, 10),
            market._venue.read_book(market._client, "BTC-25DEC26", venue.instrument),
        ):
            with pytest.raises(ReadError, match="instrument_not_found") as refused:
                await call
            assert refused.value.kind is FailureKind.UNSUPPORTED
