"""What the replay came to: a verdict for every case, severity and rule, and the tables that print them. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from benchmarks.crash_cases import LEVELS, RULES
from benchmarks.crash_replay import Outcome, Watched, limits_of
from monitor.domain.reading import Severity

FOOTNOTES = (
    "A case is in time where the owner was told before the first liquidation, partial or full. Where not, it is excused"
    " if no value was past its threshold, without a break, for poll interval + read deadline + `for` + group wait.",
    "Leads are of the first message of that severity or a worse one in the episode that ended in liquidation."
    " Times are on the replay's clock: requests are made for real, and take none of it.",
    "Last price serves as mark; BTC's one-minute marks are interpolated.",
    "Linear contracts: real Binance brackets on the coin-margined perpetual's prices. Inverse contracts: declared"
    " synthetic coin brackets, the linear ones converted at the first price.",
    "Every case is an account and a channel of its own: one long position on its initial margin and no more, opened at"
    " the first price. `alone` counts the messages of one rule only.",
)


class Verdict(StrEnum):
    IN_TIME = "in time"
    EXCUSED = "excused"
    MISSED = "MISSED"
    NOT_DUE = "not due"  # never liquidated


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One severity of one case by some rules. `stay` is how long a value was past its threshold, of `needed`."""

    verdict: Verdict
    crossed_at: datetime | None
    told_at: datetime | None
    lead: timedelta | None
    stay: timedelta
    needed: timedelta


def judge(outcome: Outcome, one: Watched, severity: Severity, rules: Sequence[str] = RULES) -> Judged:
    """By the messages of these rules: the first that arrived, against the longest that any of them had to arrive."""
    thresholds = [(rule, severity) for rule in rules if (rule, severity) in outcome.needed]
    stays = [one.truth.stays[threshold] for threshold in thresholds]
    told_at = min((at for rule in rules if (at := one.told_at(rule, severity)) is not None), default=None)
    liquidation = one.truth.liquidation
    slack = max(one.truth.stays[threshold].longest - outcome.needed[threshold] for threshold in thresholds)
    longest, needed = max((one.truth.stays[t].longest, outcome.needed[t]) for t in thresholds)
    if liquidation is None:
        verdict = Verdict.NOT_DUE
    elif told_at is not None:
        verdict = Verdict.IN_TIME
    else:
        verdict = Verdict.MISSED if slack >= timedelta(0) else Verdict.EXCUSED
    return Judged(
        verdict=verdict,
        crossed_at=min((stay.first_at for stay in stays if stay.first_at is not None), default=None),
        told_at=told_at,
        lead=liquidation.time - told_at if liquidation is not None and told_at is not None else None,
        stay=longest,
        needed=needed,
    )


def missed(outcome: Outcome) -> list[str]:
    """Cases in which the owner should have been told, by all rules together or by one alone, and was not."""
    return [
        f"{one.case.name}: {severity} by {' or '.join(rules)}"
        for one in outcome.watched
        for severity in LEVELS
        for rules in (RULES, *((rule,) for rule in RULES))
        if judge(outcome, one, severity, rules).verdict is Verdict.MISSED
    ]


def report(outcome: Outcome) -> str:
    """Tables, summary and footnotes."""
    clean = [one for one in outcome.watched if not one.truth.breached_when_opened]
    breached = [one for one in outcome.watched if one.truth.breached_when_opened]
    parts = [_settings_line(outcome)]
    for title, group in (("Opened clear of every threshold", clean), ("In breach when opened", breached)):
        if group:
            parts += [f"{title}:", _table(outcome, group), _summary(outcome, group)]
    parts += list(_alone(outcome))
    failures = [failure for one in outcome.watched for failure in one.failures]
    reads = sum(one.reads for one in outcome.watched)
    parts.append(f"{reads:,} reads, {len(failures)} of them failed; {outcome.messages:,} messages arrived, each once.")
    parts += [f"failed read: {failure.account} {failure.kind} {failure.detail}" for failure in failures[:5]]
    parts += [f"MISSED {line}" for line in missed(outcome)]
    return "\n\n".join(parts) + "\n\n" + "\n".join(f"* {note}" for note in FOOTNOTES)


def _settings_line(outcome: Outcome) -> str:
    limits = limits_of(outcome.settings)
    thresholds = "; ".join(f"{rule} " + " / ".join(f"{limits[rule, s]:.0%}" for s in LEVELS) for rule in RULES)
    needed = ", ".join(f"{severity} {_clock(outcome.needed[RULES[0], severity])}" for severity in LEVELS)
    return f"Profile {outcome.settings.profile}: {thresholds}. Past a threshold for so long, telling is due: {needed}."


HEADINGS = (
    "case",
    "liquidated",
    "warning crossed",
    "told",
    "lead",
    "critical crossed",
    "told",
    "lead",
    "ratio alone W",
    "C",
    "distance alone W",
    "C",
    "warning",
    "critical",
)


def _table(outcome: Outcome, group: Iterable[Watched]) -> str:
    rows: list[tuple[str, ...]] = [HEADINGS]
    for one in group:
        by_severity = [judge(outcome, one, severity) for severity in LEVELS]
        alone = [judge(outcome, one, severity, (rule,)) for rule in RULES for severity in LEVELS]
        event = one.truth.liquidation
        cells = [one.case.name, f"{event.time:%H:%M:%S} {event.kind}" if event is not None else "survived"]
        for judged in by_severity:
            cells += [_time(judged.crossed_at), _time(judged.told_at), _lead(judged)]
        cells += [_lead(judged) for judged in alone]
        rows.append((*cells, *(str(judged.verdict) for judged in by_severity)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = ["| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |" for row in rows]
    return "\n".join((lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]))


def _summary(outcome: Outcome, group: Sequence[Watched]) -> str:
    liquidated = [one for one in group if one.truth.liquidation is not None]
    parts = [f"{len(group)} cases, {len(liquidated)} liquidated"]
    excused: list[str] = []
    for severity in LEVELS:
        judged = [(one, judge(outcome, one, severity)) for one in liquidated]
        in_time = [j.lead for _, j in judged if j.lead is not None]
        shortest = f" (shortest lead {_clock(min(in_time))})" if in_time else ""
        parts.append(f"{severity} in time in {len(in_time)}{shortest}")
        excused += [
            f"{one.case.name} {severity}: {_clock(j.stay)} past the threshold of {_clock(j.needed)}"
            for one, j in judged
            if j.verdict is Verdict.EXCUSED
        ]
    parts.append(f"excused {len(excused)}" + (f" ({'; '.join(excused)})" if excused else ""))
    return ", ".join(parts) + "."


def _alone(outcome: Outcome) -> Iterator[str]:
    """What each rule would have been worth without the other."""
    liquidated = [one for one in outcome.watched if one.truth.liquidation is not None]
    for rule in RULES:
        parts = []
        for severity in LEVELS:
            judged = [judge(outcome, one, severity, (rule,)) for one in liquidated]
            in_time = sorted(j.lead for j in judged if j.lead is not None)
            excused = [j.stay for j in judged if j.verdict is Verdict.EXCUSED]
            leads = f", median lead {_clock(in_time[len(in_time) // 2])}" if in_time else ""
            short = f" (at most {_clock(max(excused))} past the threshold)" if excused else ""
            parts.append(f"{severity} in time in {len(in_time)} of {len(judged)}{leads}, excused {len(excused)}{short}")
        yield f"{rule} alone: {'; '.join(parts)}."


def _lead(judged: Judged) -> str:
    if judged.lead is not None:
        return _clock(judged.lead)
    if judged.verdict is Verdict.NOT_DUE:
        return "told" if judged.told_at is not None else "-"
    return f"none ({_clock(judged.stay)})"


def _time(at: datetime | None) -> str:
    return f"{at:%H:%M:%S}" if at is not None else "-"


def _clock(span: timedelta) -> str:
    """`4:05`, minutes and seconds."""
    minutes, seconds = divmod(round(span.total_seconds()), 60)
    return f"{minutes}:{seconds:02d}"
