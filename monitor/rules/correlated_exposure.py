"""correlated_exposure: how much of all equity is staked on coins that move together."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from monitor.domain.reading import PORTFOLIO, Need, Reading
from monitor.domain.study import NoStudy, Study
from monitor.risk.clusters import CORRELATED_FROM, clusters
from monitor.risk.margin import initial_margin_of
from monitor.risk.shock import ALT_BETA, BITCOIN
from monitor.risk.underlying import Held, underlying_of
from monitor.risk.volatility import beta, correlation
from monitor.rules.base import CHOSEN_REPEAT_S, Portfolio, ThresholdRule
from monitor.rules.quantities import Threshold
from monitor.rules.together import UnknownSumError, counting, equity_of, gross_by, held_by, studies_of

_MAX_NAMED = 6


@dataclass(frozen=True, slots=True)
class Stake:
    """One position with its initial margin, both in dollars."""

    held: Held
    margin: float


class CorrelatedExposure(ThresholdRule):
    """Initial margin staked on one group of correlated coins / equity, over all accounts and venues, in dollars.

    Coins belong to one group where their daily returns of the last hundred days are correlated by 0.7 or more, directly
    or through others; two of which that is not known are taken to be. Shorts offset longs of their group: what counts
    is the margin of the side that outweighs, by as much of it as outweighs. A group has two coins or more of 5 % of it
    each: of one coin position_size speaks. Positions of which neither margin nor leverage is told are left out.
    """

    kind: Literal["correlated_exposure"] = "correlated_exposure"
    warning: Threshold | None = None
    critical: Threshold | None = None

    why: ClassVar[str] = "ten trades in coins that fall together are one trade of ten times the size"
    formula: ClassVar[str] = "staked margin / equity, of the group that stakes most"
    min_repeat_s: ClassVar[float] = CHOSEN_REPEAT_S

    @property
    def needs(self) -> frozenset[Need]:
        return frozenset({Need.CANDLES})

    def evaluate_portfolio(self, name: str, portfolio: Portfolio) -> tuple[Reading, ...]:
        accounts = portfolio.narrowed(self.where)
        if not accounts.size:
            return ()
        try:
            held, equity = held_by(accounts, self.where), equity_of(accounts)
        except UnknownSumError as unknown:
            return (self.of_portfolio(name, PORTFOLIO, None, unknown.inputs),)
        stakes, studies = tuple(_stakes(held)), studies_of(accounts)
        if pending := _pending(accounts, studies):
            return (self.of_portfolio(name, PORTFOLIO, None, pending.inputs),)
        groups = sorted(_groups(stakes, studies), key=_staked, reverse=True)
        if not groups:
            return (self.of_portfolio(name, PORTFOLIO, None, {"equity": equity, "currency": "USD"}, self.all_clear()),)
        worst = groups[0]
        staked, left_out = _staked(worst), len(held) - len(stakes)
        # Equity that is gone is past any share.
        value = 0.0 if staked == 0 else staked / equity if equity > 0 else None
        inputs = {"staked_margin": staked, "equity": equity, "currency": "USD", "left_out": left_out or None}
        inputs |= _figures(worst, studies)
        levels = self.all_breached() if value is None else None
        reading = self.of_portfolio(name, PORTFOLIO, value, inputs, levels)
        return (self.with_remedy(reading, lambda: self._remedy(groups, equity)),)

    def _remedy(self, groups: Sequence[Sequence[Stake]], equity: float) -> dict[str, Any]:
        """A cut is of all positions of a group alike; groups that stake too much besides are cut as well."""
        found: dict[str, Any] = {**self.remedy_of_equity(_staked(groups[0]), equity), "cut_positions": len(groups[0])}
        cuts = [
            (_coins(group), self.remedy_of_equity(_staked(group), equity).get("cut_share", 0.0)) for group in groups
        ]
        # Rounded up, since less would not do.
        besides = [f"{_named(coins)} by {math.ceil(share * 100)}%" for coins, share in cuts[1:] if share > 0]
        return found | ({"cut_besides": "; ".join(besides)} if besides else {})


def _stakes(held: Sequence[Held]) -> Iterator[Stake]:
    for one in held:
        margin = initial_margin_of(one.position)
        if margin is not None and one.position.notional:
            yield Stake(one, margin.amount * abs(one.notional) / one.position.notional)


def _pending(accounts: Portfolio, studies: Mapping[str, Study]) -> NoStudy | None:
    """What is on its way is waited for: taking it to move with all others would page at every start."""
    for context in accounts.seen.values():
        for position in context.snapshot.positions:
            if underlying_of(position.instrument).name not in studies:
                study = context.study_of(position.instrument)
                if isinstance(study, NoStudy) and study.is_pending:
                    return study
    return None


def _groups(stakes: Sequence[Stake], studies: Mapping[str, Study]) -> Iterator[tuple[Stake, ...]]:
    worths = gross_by(lambda one: one.underlying, [stake.held for stake in stakes])

    def are_related(one: str, other: str) -> bool:
        measured = _correlation(one, other, studies)
        return measured is None or measured >= CORRELATED_FROM

    for coins in clusters(worths, are_related):
        if counting({coin: worths[coin] for coin in coins}) > 1:
            yield tuple(stake for stake in stakes if stake.held.underlying in coins)


def _correlation(one: str, other: str, studies: Mapping[str, Study]) -> float | None:
    if one not in studies or other not in studies:
        return None
    return correlation(studies[one], studies[other])


def _staked(group: Sequence[Stake]) -> float:
    """The margin of the side that outweighs, by the share of its notional that nothing offsets."""
    net = sum(stake.held.notional for stake in group)
    side = [stake for stake in group if stake.held.notional * net > 0]
    notional = sum(abs(stake.held.notional) for stake in side)
    return sum(stake.margin for stake in side) * abs(net) / notional if notional else 0.0


def _coins(group: Sequence[Stake]) -> list[str]:
    """Largest first."""
    return list(gross_by(lambda one: one.underlying, [stake.held for stake in group]))


def _named(coins: Sequence[str]) -> str:
    more = len(coins) - _MAX_NAMED
    return ", ".join(coins[:_MAX_NAMED]) + (f" and {more} more" if more > 0 else "")


def _figures(group: Sequence[Stake], studies: Mapping[str, Study]) -> dict[str, Any]:
    coins = _coins(group)
    assumed = [coin for coin in coins if all(_correlation(coin, o, studies) is None for o in coins if o != coin)]
    return {
        "coins": _named(coins),
        "coin_count": len(coins),
        "net_notional": sum(stake.held.notional for stake in group),
        "bitcoin_notional": sum(stake.held.notional * _beta(stake.held.underlying, studies) for stake in group),
        "assumed": ", ".join(assumed[:_MAX_NAMED]) or None,
    }


def _beta(coin: str, studies: Mapping[str, Study]) -> float:
    """To bitcoin; that of a crash where it is not known."""
    if coin == BITCOIN:
        return 1.0
    known = beta(studies[coin], studies[BITCOIN]) if coin in studies and BITCOIN in studies else None
    return ALT_BETA if known is None else known
