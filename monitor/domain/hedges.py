"""What has to be remembered of hedges to judge them: how they were balanced, and who held their legs.

A pure fold over what all accounts hold, like a track over one account's reads. An account that is unseen changes
nothing: its legs stay as they were, and nothing is taken for a hedge while a part of the whole is not known.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

# The smaller side of a hedge is at least this share of the larger; less is a position with another beside it.
LEAST_BALANCE = 0.5
# What has been off for so long is as its owner wants it.
ACCEPTED_AFTER = timedelta(days=1)
# One odd read may show none of its legs: both sides are believed to be gone, and are forgotten, after this.
GONE_AFTER = timedelta(minutes=1)
# A trade against a position offsets it while it lasts: what stood for less than this may have been one, if it began
# since a look so long ago at most.
STOOD_FOR, LOOKED_WITHIN = timedelta(hours=1), timedelta(minutes=10)
# A crash may cost this share of a ratio or of a leg: less is not worth a write.
WORTH_WRITING = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One position, in coins of its underlying, below 0 of a short; of no account where its owner declared it.

    In a basket of several coins it counts in dollars of bitcoin: coins * the dollars of one * beta.
    """

    account: str | None
    subject: str
    coins: float
    # Of a basket's legs alone.
    coin: str | None = None
    dollars: float = 1.0
    beta: float = 1.0

    @property
    def counted(self) -> float:
        return self.coins * self.dollars * self.beta


Legs = Mapping[str, tuple[Leg, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class HedgeTrack:
    """One hedge since it was recognised. `ratio` is short / long at its best balance since, or as accepted later.

    `underlying` is a coin, or a basket's name. `legs` are those with which it last stood as it should; `off_since` is
    from when on it has not, `gone_since` from when on no leg of it is seen. One that was not seen to begin may be older
    than `since`. One that was `let_go` is none any more, and is remembered as long as a leg of it stands.
    """

    underlying: str
    since: datetime
    ratio: float
    legs: tuple[Leg, ...]
    off_since: datetime | None = None
    gone_since: datetime | None = None
    seen_to_begin: bool = False
    let_go: bool = False

    @property
    def accounts(self) -> frozenset[str]:
        return frozenset(leg.account for leg in self.legs if leg.account is not None)

    @property
    def is_brief(self) -> bool:
        """It did not stand for long."""
        return self.seen_to_begin and self.off_since is not None and self.off_since - self.since < STOOD_FOR

    def drift(self, long: float, short: float) -> float:
        """The share of it that is missing: 0 as it was, 1 where one side is gone."""
        if not (long and short):
            return 1.0
        change = short / long / self.ratio
        return 1 - min(change, 1 / change)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hedges:
    """The hedges that one rule watches. `basis` is what it was asked to watch: with another one all begins anew.

    `venues` are those of its accounts, by name, as they were when all of them were seen last, at `seen_at`.
    """

    basis: str
    venues: Mapping[str, str] = field(default_factory=dict)
    seen_at: datetime | None = None
    tracks: tuple[HedgeTrack, ...] = ()


def sides(legs: Collection[Leg]) -> tuple[float, float]:
    """What counts long and what counts short, both 0 or more: coins, or a basket's dollars, each of its coins net."""
    counted = [leg.counted for leg in legs if leg.coin is None] + list(nets(legs).values())
    return sum(max(one, 0.0) for one in counted), sum(max(-one, 0.0) for one in counted)


def nets(legs: Collection[Leg]) -> dict[str, float]:
    """What the coins of a basket count for: the opposite positions of one coin are no side of the basket."""
    found: dict[str, float] = {}
    for leg in legs:
        if leg.coin is not None:
            found[leg.coin] = found.get(leg.coin, 0.0) + leg.counted
    return found


def folded(
    before: Hedges | None,
    watched: Hedges,
    held: Legs,
    unseen: Collection[str],
    tolerance: float,
    now: datetime,
    unknown: Collection[str] = (),
) -> Hedges:
    """The hedges after this look; `watched` is what is to be watched, without tracks. A drift of less than `tolerance`
    is none. Those `unknown` now stay as they were."""
    if before is None or before.basis != watched.basis:
        before = watched
    known = {track.underlying: track for track in _kept(before, watched, unseen)}
    looked = before.venues == watched.venues and before.seen_at is not None and now - before.seen_at < LOOKED_WITHIN
    tracks = [
        known.get(name)
        if name in unknown
        else _after(known.get(name), name, held.get(name, ()), unseen, tolerance, now, looked)
        for name in sorted(known.keys() | held.keys())
    ]
    return replace(
        watched,
        venues=before.venues if unseen else watched.venues,
        seen_at=before.seen_at if unseen else now,
        tracks=tuple(track for track in tracks if track is not None),
    )


def _kept(before: Hedges, watched: Hedges, unseen: Collection[str]) -> Iterator[HedgeTrack]:
    """The tracks that outlive a change of accounts: those whose own accounts stay.

    Another account may hold a leg of what was balanced without it, which begins anew once all are seen; what was off
    goes on, for an edit brings no leg back.
    """
    stay = {name for name, venue in watched.venues.items() if before.venues.get(name) == venue}
    for track in before.tracks:
        if before.venues == watched.venues or (track.accounts <= stay and (unseen or track.off_since is not None)):
            yield track


def _after(
    track: HedgeTrack | None,
    name: str,
    legs: tuple[Leg, ...],
    unseen: Collection[str],
    tolerance: float,
    now: datetime,
    looked: bool,
) -> HedgeTrack | None:
    """`looked`: all accounts were seen a moment ago, so that what is new began since."""
    if track is not None and not track.accounts.isdisjoint(unseen):
        return track
    long, short = sides(legs)
    if track is None or track.let_go:
        if not unseen and balance(long, short) >= LEAST_BALANCE:
            return HedgeTrack(underlying=name, since=now, ratio=short / long, legs=legs, seen_to_begin=looked)
        return track if long or short else None
    if not (long or short):
        gone_since = track.gone_since or now
        return replace(track, gone_since=gone_since) if now - gone_since < GONE_AFTER else None
    track = replace(track, gone_since=None)
    if balance(long, short) >= balance(1.0, track.ratio):
        # One that is still being built up is not off.
        return replace(track, ratio=short / long, legs=legs, off_since=None)
    if track.drift(long, short) < tolerance:
        return replace(track, legs=legs, off_since=None)
    off_since = track.off_since or now
    if now - off_since < ACCEPTED_AFTER:
        return replace(track, off_since=off_since)
    if balance(long, short) >= LEAST_BALANCE:
        return replace(track, ratio=short / long, legs=legs, off_since=None)
    return replace(track, legs=legs, let_go=True)


def balance(long: float, short: float) -> float:
    """The smaller side / the larger: 1 is a full hedge, 0 none."""
    return min(long, short) / max(long, short) if long and short else 0.0


def is_worth_writing(written: Hedges, hedges: Hedges) -> bool:
    """Whether it differs from what stands on disk by more than a crash may cost."""
    if (written.basis, written.venues) != (hedges.basis, hedges.venues) or len(written.tracks) != len(hedges.tracks):
        return True
    return any(_moved_on(old, new) for old, new in zip(written.tracks, hedges.tracks, strict=True))


def _moved_on(old: HedgeTrack, new: HedgeTrack) -> bool:
    if replace(old, ratio=1.0, legs=()) != replace(new, ratio=1.0, legs=()):
        return True
    names = [[(leg.account, leg.subject) for leg in track.legs] for track in (old, new)]
    pairs = [(old.ratio, new.ratio), *((a.coins, b.coins) for a, b in zip(old.legs, new.legs, strict=False))]
    return names[0] != names[1] or any(abs(a - b) >= WORTH_WRITING * abs(a) for a, b in pairs)
