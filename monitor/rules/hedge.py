"""hedge: whether what offsets each other over accounts, venues and kinds of contracts still does."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from monitor.domain.hedges import Hedges, HedgeTrack, Leg, folded, sides
from monitor.domain.reading import Level, Need, Reading, Severity, Verdict
from monitor.risk.underlying import delta_of, underlying_of
from monitor.rules import baskets
from monitor.rules.base import STANDING_REPEAT_S, Portfolio, ThresholdRule
from monitor.rules.quantities import Coins, Threshold
from monitor.rules.together import UnknownSumError, dollars_per_coin

# Who unwinds a hedge closes its sides one after the other, and is given so long for the last of them.
UNWOUND_WITHIN = timedelta(minutes=2)
# The venue's records of what it took may be older than the read that missed it.
_RECORDED_BEFORE = timedelta(minutes=10)
_MAX_NAMED = 3

Name = Annotated[str, Field(pattern=r"^[A-Z0-9]{1,20}$")]


class Hedge(ThresholdRule):
    """The share of a hedge that is missing, per underlying: 1 - the smaller of ratio / ratio wanted and its inverse,
    where ratio is coins short / coins long over all accounts.

    Inverse contracts count at their entry price: what they gained or lost since is held in coins as well.

    Opposite positions of which the smaller is half of the larger or more are a hedge without being declared; its ratio
    wanted is the best balance that it has had. A side that is gone (closed, liquidated, auto-deleveraged) is critical.
    Both sides may shrink together, or go: that is no drift, and who closes them has two minutes for both. What was seen
    to begin and stood for less than an hour may have been a trade: it is a warning, where there is one, unless the
    venue's records tell of a liquidation. What has been off for a day is taken as wanted. Holdings that no read shows
    (spot, coins as collateral, another venue) are declared: offset: {BTC: 1.5, ETH: -10}.

    Coins that hedge each other are declared too: basket: [BTC, ETH, SOL]. They are one hedge, of dollars by beta: the
    net coins of each * its price * its beta to bitcoin, as measured when the hedge was recognised. While it stands, no
    coin of it is told by itself.
    """

    kind: Literal["hedge"] = "hedge"
    warning: Threshold | None = None
    critical: Threshold | None = None
    offset: Mapping[Name, Coins] = Field(
        default_factory=dict, description="coins held elsewhere, by underlying; below 0 where they are owed"
    )
    basket: tuple[Name, ...] = Field(
        default=(), min_length=2, max_length=20, description="coins that hedge each other, by beta: [BTC, ETH, SOL]"
    )

    why: ClassVar[str] = "half a hedge is a position that nobody meant to hold"
    subjects_by: ClassVar[tuple[str, ...]] = ("basket",)
    formula: ClassVar[str] = "1 - min(short / long / wanted ratio, its inverse)"
    min_repeat_s: ClassVar[float] = STANDING_REPEAT_S

    @field_validator("basket")
    @classmethod
    def _each_once(cls, basket: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(basket)) < len(basket):
            raise ValueError("expected each coin once")
        return basket

    @property
    def needs(self) -> frozenset[Need]:
        return frozenset({Need.CANDLES} if self.basket else ())

    def remembered(self, before: Hedges | None, portfolio: Portfolio) -> Hedges:
        """What is known of hedges after this look at all accounts."""
        accounts = portfolio.narrowed(self.where)
        venues = {name: of.snapshot.venue for name, of in accounts.seen.items()}
        venues |= {name: of.venue for name, of in accounts.unseen.items()}
        # Of a rule without a basket it is as it was before there were any: what is remembered by it goes on.
        asked = {"where", "offset", "basket"} if self.basket else {"where", "offset"}
        watched = Hedges(basis=json.dumps(self.model_dump(mode="json", include=asked)), venues=venues)
        legs, unknown = self._weighed(before if before and before.basis == watched.basis else None, accounts)
        hedges = folded(before, watched, legs, accounts.unseen.keys(), self.clear_at, portfolio.now, unknown)
        return self._without_chances(hedges, portfolio.now)

    def _without_chances(self, hedges: Hedges, now: datetime) -> Hedges:
        """What is left when one coin's own hedge has lost a leg is no basket, though its sides may match by chance."""
        own = [track for track in hedges.tracks if track.underlying in self.basket and not track.let_go]
        if all(track.off_since is None for track in own):
            return hedges
        name = baskets.name_of(self.basket)
        kept = (track for track in hedges.tracks if track.underlying != name or track.since < now)
        return replace(hedges, tracks=tuple(kept))

    def evaluate_portfolio(self, name: str, portfolio: Portfolio) -> tuple[Reading, ...]:
        hedges, accounts = portfolio.hedges.get(name), portfolio.narrowed(self.where)
        if hedges is None:
            return ()
        legs, unknown = self._weighed(hedges, accounts)
        rates = dollars_per_coin(accounts, {track.underlying for track in hedges.tracks})
        readings = {
            subject: self.of_portfolio(name, subject, None, inputs)
            for subject, inputs in unknown.items()
            if baskets.is_crossed(self.basket, legs)
        }
        for track in hedges.tracks:
            subject = track.underlying
            if subject not in unknown:
                readings[subject] = self._judge(name, track, legs.get(subject, ()), rates.get(subject), accounts)
            elif not track.let_go:
                readings[subject] = self.of_portfolio(name, subject, None, unknown[subject])
        return tuple(self._told_once(readings).values())

    def _told_once(self, readings: Mapping[str, Reading]) -> dict[str, Reading]:
        """A basket that is judged speaks for its coins."""
        basket = readings.get(baskets.name_of(self.basket))
        if basket is None or basket.value is None:
            return dict(readings)
        told_by = basket.key.subject
        return {
            subject: self.of_portfolio(of.key.rule, subject, None, {"told_by": told_by}, self.all_clear())
            if subject in self.basket
            else of
            for subject, of in readings.items()
        }

    def _weighed(
        self, hedges: Hedges | None, accounts: Portfolio
    ) -> tuple[dict[str, tuple[Leg, ...]], dict[str, Mapping[str, str | bool]]]:
        """The legs by what they hedge, and why those of the basket are not known, where that is so."""
        legs = self._legs(accounts)
        if not self.basket:
            return legs, {}
        name = baskets.name_of(self.basket)
        known = next((track for track in hedges.tracks if track.underlying == name), None) if hedges else None
        try:
            return legs | {name: baskets.weighed(self.basket, legs, known, accounts)}, {}
        except UnknownSumError as unknown:
            return legs, {name: unknown.inputs}

    def _legs(self, accounts: Portfolio) -> dict[str, tuple[Leg, ...]]:
        found: dict[str, list[Leg]] = {}
        for account, context in accounts.seen.items():
            for position in context.snapshot.positions:
                if self.where.matches_position(position):
                    leg = Leg(account=account, subject=position.subject, coins=delta_of(position))
                    found.setdefault(underlying_of(position.instrument).name, []).append(leg)
        for name, coins in self.offset.items():
            found.setdefault(name, []).append(Leg(account=None, subject="declared offset", coins=coins))
        return {name: tuple(legs) for name, legs in found.items()}

    def _judge(
        self, name: str, track: HedgeTrack, legs: tuple[Leg, ...], dollars: float | None, accounts: Portfolio
    ) -> Reading:
        subject, long_short = track.underlying, sides(legs)
        if not track.accounts.isdisjoint(accounts.unseen):
            return self.of_portfolio(name, subject, None, accounts.unseen_inputs())
        if track.let_go:
            return self.of_portfolio(name, subject, None, {"base": subject}, self.all_clear())
        drift = track.drift(*long_short)
        if accounts.unseen and self.is_clear(drift):
            return self.of_portfolio(name, subject, None, accounts.unseen_inputs())
        # A trade against a position offsets it while it lasts: that its owner ended it is worth no page.
        may_page = self.warning is None or not track.is_brief or _is_taken(track, accounts)
        levels = self._levels(drift, is_gone=not all(long_short), may_page=may_page)
        if track.gone_since is not None or not _is_confirmed(track, legs, accounts):
            levels = tuple(Level(level.severity, Verdict.HOLD, level.threshold) for level in levels)
        inputs = _inputs(track, legs, dollars, accounts)
        reading = self.of_portfolio(name, subject, drift, inputs, levels)
        if subject != baskets.name_of(self.basket):
            return self.with_remedy(reading, lambda: _remedy(track.ratio, *long_short))
        reading = replace(reading, inputs={**inputs, **baskets.figures(legs)})
        return self.with_remedy(reading, lambda: baskets.remedy(track, legs, accounts))

    def _levels(self, drift: float, *, is_gone: bool, may_page: bool) -> tuple[Level, ...]:
        levels = self.levels(drift)
        if may_page and not is_gone:
            return levels
        kept = tuple(level for level in levels if level.severity is not Severity.CRITICAL)
        # A side that is gone is critical whatever the thresholds are.
        return (*kept, Level(Severity.CRITICAL, Verdict.BREACH, self.critical)) if may_page else kept


def _inputs(track: HedgeTrack, legs: tuple[Leg, ...], dollars: float | None, accounts: Portfolio) -> dict[str, Any]:
    """`dollars` are those of a coin."""
    long, short = sides(legs)
    return {
        "base": track.underlying,
        "long": long,
        "short": short,
        "net": long - short,
        "net_notional": None if dollars is None else (long - short) * dollars,
        "wanted_ratio": track.ratio,
        "lost_side": None if long and short else "short" if long else "long",
        "gone": "; ".join(_gone(track, legs, accounts)) or None,
        "legs": ", ".join(_named(leg) for leg in legs[:_MAX_NAMED]),
    }


def _is_confirmed(track: HedgeTrack, legs: tuple[Leg, ...], accounts: Portfolio) -> bool:
    """Nobody is in the middle of closing both sides. What the venue took nobody closes, and an account that was read
    since tells whether it took the others as well."""
    off_since = track.off_since
    if off_since is None or accounts.now - off_since >= UNWOUND_WITHIN:
        return True
    if not _is_taken(track, accounts):
        return False
    names = track.accounts | {leg.account for leg in legs if leg.account is not None}
    return all(accounts.seen[name].snapshot.observed_at > off_since for name in names if name in accounts.seen)


def _remedy(wanted: float, long: float, short: float) -> dict[str, Any]:
    """What restores it exactly: more of the side that is short of it, or less of the other."""
    lacks_short = short < wanted * long
    if lacks_short:
        restore, cut = wanted * long - short, long - short / wanted
    else:
        restore, cut = short / wanted - long, short - wanted * long
    return {
        "action": "sell" if lacks_short else "buy",
        "restored_side": "short" if lacks_short else "long",
        "restore_size": restore,
        "cut_side": "long" if lacks_short else "short",
        "cut_other_size": cut,
    }


def _gone(track: HedgeTrack, legs: tuple[Leg, ...], accounts: Portfolio) -> Iterator[str]:
    """The legs that stood when the hedge did, and do not now; what became of them where the venue tells it."""
    held = {(leg.account, leg.subject) for leg in legs}
    for leg in [leg for leg in track.legs if (leg.account, leg.subject) not in held][:_MAX_NAMED]:
        taken = _taken(leg, track.off_since, accounts)
        yield f"{_named(leg)}{f', {taken}' if taken else ''}"


def _is_taken(track: HedgeTrack, accounts: Portfolio) -> bool:
    return any(_taken(leg, track.off_since, accounts) for leg in track.legs)


def _taken(leg: Leg, off_since: datetime | None, accounts: Portfolio) -> str | None:
    context = accounts.seen.get(leg.account or "")
    if context is None or off_since is None:
        return None
    ends = [of for of in context.snapshot.ends if of.subject == leg.subject and of.at >= off_since - _RECORDED_BEFORE]
    return str(max(ends, key=lambda of: of.at).kind) if ends else None


def _named(leg: Leg) -> str:
    return f"{leg.subject} of {leg.account}" if leg.account is not None else leg.subject
