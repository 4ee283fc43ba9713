"""Public data of one venue, read once for all its accounts: instruments, marks, funding, maintenance brackets.

Marks are read as often as the quickest account asks; terms (intervals, brackets, instruments) every hour. A failure of
public data fails no account's read: the figures stay, with the time they were received, and age.
"""

import asyncio
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from monitor.clock import Clock
from monitor.domain.account import FailureKind, Instrument
from monitor.domain.market import Book, FundingRate, Markets, MarketState, NoBook, Observed, Tiers, are_sound
from monitor.domain.reading import Need
from monitor.domain.study import Candle, Frame, NoStudy, Study
from monitor.exchange.failures import ReadError, UnknownSymbolError, clean
from monitor.exchange.gathered import Gathered
from monitor.exchange.studies import EVERY_S, Studies
from monitor.exchange.together import Lazy, SharedRead
from monitor.exchange.venues.venue import Held, Instruments, Mark, Venue
from monitor.risk.shock import BITCOIN
from monitor.risk.worth import perpetuals_of

TERMS_MAX_AGE_S = 3600.0
# How soon after a failed read of public data the venue is asked again.
PAUSE_S = 5.0
# What an account's read may wait for public data once its own calls have come back.
GRACE_S = 1.0
# Books are for what leaving a position would cost, which nobody does by the second.
BOOKS_MAX_AGE_S = 60.0
# So many of an account's deadlines: two requests of one read may wait for leisure first, and each has its own time-out.
GATHER_DEADLINES = 4
# What is not watched where a venue does not tell it.
UNWATCHED = {Need.CANDLES: "volatility", Need.BOOKS: "what leaving a position costs"}


class MarketData:
    """One venue's market, at one base URL."""

    def __init__(self, venue: Venue, public_client: Any, clock: Clock, *, deadline_s: float) -> None:
        self._venue = venue
        self._client = public_client
        self._clock = clock
        self._instruments: SharedRead[Instruments] = self._shared(clock, deadline_s)
        self._marks: SharedRead[Mapping[str, Mark | None]] = self._shared(clock, deadline_s)
        self._intervals: SharedRead[Mapping[str, timedelta]] = self._shared(clock, deadline_s)
        self._tiers: SharedRead[Mapping[str, Tiers]] = self._shared(clock, deadline_s)
        gather_s = GATHER_DEADLINES * deadline_s
        self._books = Gathered("order book", clock, self._read_book, max_age_s=BOOKS_MAX_AGE_S, deadline_s=gather_s)
        studies = Studies(clock, self._read_candles)
        self._studies = Gathered("candles", clock, studies.read, max_age_s=EVERY_S, deadline_s=gather_s)
        self._held: dict[str, Held] = {}
        self._tiers_asked_for: frozenset[str] = frozenset()
        self._composed_of: tuple[object, ...] = ()
        self._composed: Markets = {}

    @staticmethod
    def _shared(clock: Clock, deadline_s: float) -> SharedRead[Any]:
        return SharedRead(clock, deadline_s=deadline_s, pause_s=PAUSE_S)

    def markets(self) -> Markets:
        """What is known now, by symbol; without waiting."""
        known = (
            self._instruments.latest,
            self._marks.latest,
            self._intervals.latest,
            self._tiers.latest,
            self._books.latest,
            self._books.missing,
            self._studies.latest,
            self._studies.missing,
        )
        if len(self._composed_of) != len(known) or any(
            a is not b for a, b in zip(self._composed_of, known, strict=True)
        ):
            self._composed_of, self._composed = known, self._compose()
        return self._composed

    def hold(self, account: str, instruments: Iterable[Instrument], needs: Set[Need] = frozenset()) -> Set[str]:
        """Note what that account was last seen to hold; the symbols that it did not hold before.

        What its rules need of them is asked for, without waiting.
        """
        before = self._held.get(account, {})
        held = self._held[account] = {instrument.symbol: instrument for instrument in instruments}
        if Need.BOOKS in needs:
            self._books.want(held)
        if Need.CANDLES in needs and held:
            self._studies.want(self._bitcoin() | held)
        return held.keys() - before.keys()

    def caveats(self, account: str, needs: Set[Need]) -> tuple[str, ...]:
        """What its rules need and this venue never tells, or not for days: no owner could end an alert about that."""
        held = self._held.get(account, {})
        latest: Mapping[Need, Mapping[str, Observed[Any]]] = {
            Need.CANDLES: self._studies.latest,
            Need.BOOKS: self._books.latest,
        }
        caveats = []
        for need, what in UNWATCHED.items():
            told = [latest[need][symbol].value for symbol in held if symbol in latest[need]] if need in needs else []
            untold = [one.why for one in told if isinstance(one, NoStudy | NoBook) and one.is_untold]
            caveats += [f"{what} is not watched: {why}" for why in dict.fromkeys(untold)]
        return tuple(caveats)

    async def gathered(self) -> None:
        """Until all that is asked for of single instruments has come, or failed."""
        await self._books.settled()
        await self._studies.settled()

    def lacks(self, symbols: Iterable[str]) -> bool:
        """Whether mark, funding or brackets of one of these are not known."""
        markets = self.markets()
        return any(
            (state := markets.get(symbol)) is None
            or state.mark_price is None
            or state.funding is None
            or state.funding.value.interval is None
            or state.tiers is None
            for symbol in symbols
        )

    def forget(self, account: str) -> None:
        self._held.pop(account, None)

    async def instruments(self) -> Instruments:
        """Raw symbol -> instrument, as last read; raises ReadError only where that never succeeded yet."""
        latest = self._instruments.latest
        return latest.value if latest else await self.instruments_within(TERMS_MAX_AGE_S)

    async def instruments_within(self, max_age_s: float) -> Instruments:
        """The same, read anew where older than that. Raises ReadError."""
        return await self._instruments.get(max_age_s, lambda: self._venue.read_instruments(self._client))

    async def refresh(self, signed_client: Any, marks_max_age_s: float) -> None:
        """Bring everything up to date that is older than it may be; failures are left to age and the next try."""
        venue, client = self._venue, self._client
        try:
            listed = await self.instruments()
        except ReadError:
            return
        held = {symbol: instrument for of in self._held.values() for symbol, instrument in of.items()}
        results = await asyncio.gather(
            self.instruments_within(TERMS_MAX_AGE_S),
            self._marks.get(marks_max_age_s, lambda: venue.read_marks(client, listed, held)),
            self._intervals.get(TERMS_MAX_AGE_S, lambda: venue.read_funding_intervals(client, listed)),
            self._tiers.get(self._tiers_max_age_s(held), lambda: self._read_tiers(signed_client, listed, held)),
            return_exceptions=True,
        )
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, ReadError):
                raise result

    def _tiers_max_age_s(self, held: Held) -> float:
        """What has just come to be held is asked for at once, where terms are told one by one."""
        known = self._tiers.latest.value.keys() if self._tiers.latest else frozenset[str]()
        return TERMS_MAX_AGE_S if held.keys() <= self._tiers_asked_for | known else 0.0

    async def _read_tiers(self, client: Any, listed: Instruments, held: Held) -> Mapping[str, Tiers]:
        tiers = await self._venue.read_tiers(client, listed, held)
        self._tiers_asked_for = frozenset(held)
        return tiers

    async def _read_book(self, about: Instrument) -> Book | NoBook:
        """Raises ReadError, but where the venue never told one."""
        try:
            return await self._venue.read_book(self._client, await self._raw(about), about)
        except ReadError as failed:
            before = self._books.latest.get(about.symbol)
            if failed.kind is not FailureKind.UNSUPPORTED or (before is not None and isinstance(before.value, Book)):
                raise
            return NoBook(clean(failed.detail), is_untold=True)

    async def _read_candles(self, about: Instrument, frame: Frame, count: int) -> list[Candle]:
        return await self._venue.read_candles(self._client, await self._raw(about), about, frame, count)

    def _bitcoin(self) -> dict[str, Instrument]:
        """Its most common perpetual here, which other coins' betas are of."""
        markets = self.markets()
        listed = [symbol for symbol in perpetuals_of(BITCOIN) if symbol in markets]
        return {symbol: markets[symbol].instrument for symbol in listed[:1]}

    async def _raw(self, about: Instrument) -> str:
        """The venue's own symbol."""
        for raw, instrument in (await self.instruments()).items():
            if instrument.symbol == about.symbol:
                return raw
        raise UnknownSymbolError(about.symbol)

    async def settle(self, refreshing: "asyncio.Task[None]") -> None:
        """Wait a little for a refresh, so that an account is judged beside marks of the same moment."""
        try:
            async with self._clock.deadline(GRACE_S):
                await refreshing
        except TimeoutError:
            pass

    async def close(self) -> None:
        for shared in (self._instruments, self._marks, self._intervals, self._tiers, self._books, self._studies):
            await shared.close()

    def _compose(self) -> Markets:
        listed = self._instruments.latest
        if listed is None:
            return {}
        by_symbol = {instrument.symbol: instrument for instrument in listed.value.values()}
        return Lazy(
            by_symbol,
            _MarketStates(
                self._marks.latest,
                self._intervals.latest,
                self._tiers.latest,
                self._books.latest,
                self._books.missing,
                self._studies.latest,
                self._studies.missing,
                self._venue.marks_origin,
            ),
        )


@dataclass(frozen=True, slots=True)
class _MarketStates:
    """Makes market states of one moment's reads; any of them may be missing still."""

    marks: Observed[Mapping[str, Mark | None]] | None
    intervals: Observed[Mapping[str, timedelta]] | None
    tiers: Observed[Mapping[str, Tiers]] | None
    books: Mapping[str, Observed[Book | NoBook]]
    missing_books: Mapping[str, str | None]
    studies: Mapping[str, Observed[Study | NoStudy]]
    missing_studies: Mapping[str, str | None]
    origin: str

    def __call__(self, instrument: Instrument) -> MarketState:
        mark = _of(self.marks, instrument)
        study, no_study = self._study(instrument.symbol)
        book, no_book = self._book(instrument.symbol)
        return MarketState(
            instrument=instrument,
            mark_price=Observed(mark.value.price, mark.observed_at) if mark else None,
            funding=self._funding(instrument, mark) if mark else None,
            tiers=self._tiers(instrument),
            book=book,
            no_book=no_book,
            study=study,
            no_study=no_study,
        )

    def _study(self, symbol: str) -> tuple[Observed[Study] | None, NoStudy | None]:
        """One of the two, or neither where nobody asked."""
        read = self.studies.get(symbol)
        if read is not None:
            value = read.value
            return (None, value) if isinstance(value, NoStudy) else (Observed(value, read.observed_at), None)
        if symbol not in self.missing_studies:
            return None, None
        why = self.missing_studies[symbol]
        if why is None:
            return None, NoStudy("its candles are being read", is_pending=True)
        return None, NoStudy(f"its candles could not be read: {why}")

    def _book(self, symbol: str) -> tuple[Observed[Book] | None, NoBook | None]:
        """The same of its order book."""
        read = self.books.get(symbol)
        if read is not None:
            value = read.value
            return (None, value) if isinstance(value, NoBook) else (Observed(value, read.observed_at), None)
        if symbol not in self.missing_books:
            return None, None
        why = self.missing_books[symbol]
        if why is None:
            return None, NoBook("its order book is being read", is_pending=True)
        return None, NoBook(f"its order book could not be read: {why}")

    def _tiers(self, instrument: Instrument) -> Observed[Tiers] | None:
        """Brackets that cannot be are unknown."""
        tiers = _of(self.tiers, instrument)
        return tiers if tiers is not None and are_sound(tiers.value) else None

    def _funding(self, instrument: Instrument, mark: Observed[Mark]) -> Observed[FundingRate] | None:
        if mark.value.funding_rate is None:
            return None
        interval = _of(self.intervals, instrument)
        rate = FundingRate(
            instrument=instrument,
            rate=mark.value.funding_rate,
            interval=mark.value.funding_interval or (interval.value if interval else None),
            next_at=mark.value.next_funding_at,
            origin=self.origin,
        )
        return Observed(rate, mark.observed_at)


def _of(read: Observed[Any] | None, about: Instrument) -> Observed[Any] | None:
    """One instrument's part of what was read of all."""
    value = read.value.get(about.symbol) if read else None
    return Observed(value, read.observed_at) if read and value is not None else None
