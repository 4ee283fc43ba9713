"""From outbox rows to the text on a phone: short, worst first, with what to do. Pure, and plain text throughout.

Rows of one episode waiting for the same target are one story: its latest row speaks for all of them. One story makes
a full message, several a digest of one line each. What does not fit is not named and so stays owed.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from monitor.domain.alert import Reason, Resolution
from monitor.domain.notification import AlertFacts, NoticeFacts, Notification, is_bad_end
from monitor.domain.reading import AlertKey, Severity, Unit
from monitor.notify.text import TO_DO, clip, duration, foreign, moment, quantity, size
from monitor.notify.words.case import Case, account_of, lasted, what_to_do
from monitor.notify.words.kinds import phrases_of

# Figures older than this are said to be.
STALE_AFTER = timedelta(seconds=60)
MAX_LINE_CHARS = 300
MAX_NOTICE_LINES = 20
BLIND_ACCOUNTS_PER_LINE = 8
_FOREIGN_LINE_CHARS = 240

Urgency = tuple[int, int, str, float]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message and the rows it stands for; rows that were handed in and are not named here were not told.

    `severity` is the worst of what is not over.
    """

    title: str
    body: str
    named: tuple[Notification, ...]
    severity: Severity


@dataclass(frozen=True, slots=True)
class Story:
    """The rows of one episode, in order. `reason` is the strongest of what the reader has not been told yet."""

    rows: tuple[Notification, ...]

    @property
    def speaker(self) -> Notification:
        return self.rows[-1]

    @property
    def reason(self) -> Reason:
        reasons = {row.reason for row in self.rows}
        order = (Reason.RESOLVED, Reason.NOTICE, Reason.FIRST, Reason.WORSE)
        return next((reason for reason in order if reason in reasons), Reason.REPEAT)

    @property
    def is_late(self) -> bool:
        """The episode was over before its beginning, or its worsening, could be told."""
        news = any(row.reason in (Reason.FIRST, Reason.WORSE) for row in self.rows)
        return self.reason is Reason.RESOLVED and news

    @property
    def is_over(self) -> bool:
        """Ended well: there is nothing left to do."""
        return self.reason is Reason.RESOLVED and not is_bad_end(self.speaker)

    @property
    def is_possible_repeat(self) -> bool:
        return any(row.possible_repeat for row in self.rows)

    @property
    def urgency(self) -> Urgency:
        """Sorts worst first: severity, then what is new, then what has waited longest; what is over comes last.

        The blind of one venue stand beside each other behind what is as urgent.
        """
        row, group = self.speaker, _blind_group(self)
        order = {Reason.FIRST: 0, Reason.WORSE: 0, Reason.NOTICE: 1, Reason.REPEAT: 2, Reason.RESOLVED: 3}
        if is_bad_end(row):
            return -int(row.severity), order[Reason.FIRST], "", row.created_at.timestamp()
        severity = 1 if self.is_over else -int(row.severity)
        return severity, order[self.reason], group[0] if group else "", row.created_at.timestamp()


def stories(rows: Iterable[Notification]) -> tuple[Story, ...]:
    """The rows by episode, worst first; each notice is a story of its own.

    An earlier episode of an alert is as urgent as a later one and stands before it: its end behind the news of the
    next would be taken for the end of that.
    """
    by_episode: dict[tuple[AlertKey, int, int], list[Notification]] = {}
    for row in rows:
        alone = row.sequence + 1 if row.reason is Reason.NOTICE else 0
        by_episode.setdefault((row.key, row.episode, alone), []).append(row)
    order = {Reason.RESOLVED: 1}
    found = [
        Story(tuple(sorted(group, key=lambda row: (order.get(row.reason, 0), row.sequence))))
        for group in by_episode.values()
    ]
    ranks: dict[AlertKey, Urgency] = {}
    ranked: list[tuple[Urgency, int, int, Story]] = []
    for story in sorted(found, key=lambda story: -story.speaker.episode):
        row = story.speaker
        ranks[row.key] = min(story.urgency, ranks.get(row.key, story.urgency))
        ranked.append((ranks[row.key], row.episode, row.sequence, story))
    return tuple(story for *_, story in sorted(ranked, key=lambda entry: entry[:3]))


def render(notifications: Sequence[Notification], now: datetime, limit: int, prefix: str = "") -> Rendered:
    """The message for these rows, in at most `limit` (of `size`) for title, line break and body together.

    `prefix` starts every line (the demo says DEMO in each). At least the worst story is always named.
    """
    assert notifications, "an empty message tells nobody anything"
    told = stories(notifications)
    worst = max(Severity.INFO if story.is_over else story.speaker.severity for story in told)
    if len(told) == 1:
        title, lines = _full(told[0], now)
        title, body = _fitted(title, lines, limit, prefix)
        return Rendered(title, body, told[0].rows, worst)
    title = _marked(_digest_title(told, now), prefix)
    room = limit - size(title) - 1
    lines, named = _digest_lines(told, now, room, prefix)
    return Rendered(title, "\n".join(lines), named, worst)


def _marked(line: str, prefix: str) -> str:
    return f"{prefix} {line}" if prefix else line


def _fitted(title: str, lines: Sequence[str], limit: int, prefix: str) -> tuple[str, str]:
    """Whole lines only: what to do stands last, so lines are dropped from before it."""
    title = clip(_marked(title, prefix), limit)
    kept = [_marked(clip(line, MAX_LINE_CHARS), prefix) for line in lines]
    while len(kept) > 1 and size(title) + sum(size(line) + 1 for line in kept) > limit:
        kept.pop(-2)
    if kept and size(title) + 1 + size(kept[0]) > limit:
        kept = [kept[0]] if limit - size(title) > len(prefix) + 20 else []
        kept = [clip(line, limit - size(title) - 1) for line in kept]
    return title, "\n".join(kept)


def _full(story: Story, now: datetime) -> tuple[str, list[str]]:
    row = story.speaker
    if isinstance(row.facts, NoticeFacts):
        lines = [foreign(line, _FOREIGN_LINE_CHARS) for line in row.facts.lines[:MAX_NOTICE_LINES]]
        more = len(row.facts.lines) - len(lines)
        notes = [f"and {more} more"] if more > 0 else []
        return foreign(row.facts.title, 160), [*lines, *notes, *_notes(story, now)]
    case = Case(key=row.key, severity=row.severity, facts=row.facts, now=now)
    if story.reason is Reason.RESOLVED:
        return _headline(story, now), [*_ending(case), *_notes(story, now)]
    details = [line for line in phrases_of(case).details(case) if line]
    todo = what_to_do(case)
    return _headline(story, now), [*details, *_notes(story, now), *([todo] if todo else [])]


def _headline(story: Story, now: datetime) -> str:
    """The first line of a full message, and the whole of a story in a digest."""
    row = story.speaker
    if isinstance(row.facts, NoticeFacts):
        news = [line for line in row.facts.lines if not line.startswith(TO_DO)]
        shown = [foreign(line, _FOREIGN_LINE_CHARS) for line in news[:2]]
        more = len(news) - len(shown)
        parts = [foreign(row.facts.title, 160), *shown, *([f"and {more} more"] if more > 0 else [])]
        return "; ".join(part.rstrip(".") for part in parts)
    case = Case(key=row.key, severity=row.severity, facts=row.facts, now=now)
    phrases, account = phrases_of(case), account_of(row.key)
    if story.reason is not Reason.RESOLVED:
        word = {Reason.WORSE: "worse: ", Reason.REPEAT: "still "}.get(story.reason, "")
        return f"{word}{str(row.severity).upper()} {account}: {phrases.headline(case)}"
    if is_bad_end(row) and (taken := case.words("taken", 160)):
        # The pool of an isolated position went with it: one thing happened, whatever had been watched of it.
        return f"{str(row.facts.resolution).upper()} {account}: {case.subject.removeprefix('isolated ')}, {taken}"
    took, worst_value, worst = lasted(row.facts), row.facts.worst_value, None
    if worst_value is not None and row.facts.unit is Unit.SECONDS:
        took = duration(worst_value)  # how long nothing was read; the alert outlasts it
    elif worst_value is not None:
        worst = f"worst {quantity(worst_value, row.facts.unit)}"
    how = f", {row.facts.resolution}" if _ended_otherwise(row.facts) else ""
    word = str(row.facts.resolution).upper() if is_bad_end(row) else "resolved"
    end = ", ".join(part for part in (f"after {took}" if took else None, worst) if part)
    return f"{word} {account}: {phrases.name(case)}{'' if is_bad_end(row) else how} {end}".rstrip()


def _ended_otherwise(facts: AlertFacts) -> bool:
    return facts.resolution not in (None, Resolution.RECOVERED)


def _ending(case: Case) -> list[str]:
    facts = case.facts
    fired = f"fired {moment(facts.fired_at, case.now)}" if facts.fired_at else None
    word = "ended" if facts.is_bad_end else "resolved"
    resolved = f"{word} {moment(facts.resolved_at, case.now)} UTC" if facts.resolved_at else None
    times = ", ".join(part for part in (fired, resolved) if part)
    how = f" ({facts.resolution})" if facts.resolution else ""
    lines = [f"{times}{how}"] if times else []
    if facts.value is not None and facts.resolution is Resolution.RECOVERED:
        lines.append(f"now {quantity(facts.value, facts.unit)}")
    if facts.resolution is Resolution.POSITION_GONE:
        lines += [
            "closed or liquidated, a read alone cannot tell: what the venue's records show of it later is told then",
            f"{TO_DO}look at the venue if it was not you",
        ]
    if facts.is_bad_end:
        lines.append(f"{TO_DO}look at this account at the venue now")
    return lines


def _notes(story: Story, now: datetime) -> list[str]:
    """What the reader must know of the message itself."""
    row, notes = story.speaker, []
    if story.is_late:
        notes.append("delivered late")
    elif story.reason is not Reason.RESOLVED and now - row.created_at > STALE_AFTER:
        notes.append(f"as of {moment(row.created_at, now)} UTC, delivered late")
    if isinstance(row.facts, AlertFacts) and row.facts.is_flapping:
        notes.append("flapping: it comes and goes, next told in 15 min at the earliest")
    if story.is_possible_repeat:
        notes.append("(possible repeat)")
    return notes


def _end_line(story: Story, now: datetime) -> str | None:
    """What the venue took; the alerts of one position say it in the same words."""
    return _headline(story, now) if story.reason is Reason.RESOLVED and is_bad_end(story.speaker) else None


def _digest_title(told: Sequence[Story], now: datetime) -> str:
    """`3 critical, 2 warnings, 1 resolved`; a position that was taken counts once."""
    counts: dict[str, int] = {}
    ends: set[str] = set()
    for story in told:
        end = _end_line(story, now)
        if end in ends:
            continue
        ends |= {end} if end else set()
        facts = story.speaker.facts
        if story.reason is Reason.RESOLVED:
            word = str(facts.resolution) if isinstance(facts, AlertFacts) and facts.is_bad_end else "resolved"
        else:
            is_calm = story.reason is Reason.NOTICE and story.speaker.severity is not Severity.CRITICAL
            word = "notice" if is_calm else str(story.speaker.severity)
        counts[word] = counts.get(word, 0) + 1
    order = ("liquidated", "auto-deleveraged", "critical", "warning", "info", "notice", "resolved")
    return ", ".join(f"{counts[word]} {_plural(word, counts[word])}" for word in order if word in counts)


def _plural(word: str, count: int) -> str:
    return f"{word}s" if count > 1 and word in ("warning", "notice") else word


def _digest_lines(
    told: Sequence[Story], now: datetime, room: int, prefix: str
) -> tuple[list[str], tuple[Notification, ...]]:
    """As many whole lines as `room` holds, and the rows they name."""
    lines: list[str] = []
    named: list[Notification] = []
    left = len(told)
    for line, members in _entries(told, now):
        text = _marked(clip(line, MAX_LINE_CHARS), prefix)
        rest = left - len(members)
        tail = size(_marked(f"+{rest} more", prefix)) + 1 if rest else 0
        if size(text) + tail > room:
            if lines:
                break
            text = clip(text, room - tail)
        lines.append(text)
        named.extend(row for story in members for row in story.rows)
        room -= size(text) + 1
        left = rest
    if left:
        lines.append(_marked(f"+{left} more", prefix))
    return lines, tuple(named)


def _entries(told: Sequence[Story], now: datetime) -> Iterator[tuple[str, tuple[Story, ...]]]:
    """One line per story; the blind accounts of one venue share theirs, as do the alerts of what the venue took."""
    taken: dict[str, list[Story]] = {}
    for story in told:
        if (line := _end_line(story, now)) is not None:
            taken.setdefault(line, []).append(story)
    for group, members in groupby(told, key=_blind_group):
        found = tuple(members)
        if group is None or len(found) == 1:
            for story in found:
                line = _end_line(story, now)
                sharing = taken[line] if line is not None else [story]
                if sharing[0] is story:
                    yield _noted(line or _in_brief(story, now), sharing, now), tuple(sharing)
            continue
        for start in range(0, len(found), BLIND_ACCOUNTS_PER_LINE):
            part = found[start : start + BLIND_ACCOUNTS_PER_LINE]
            yield _noted(_blind_line(part), part, now), part


def _in_brief(story: Story, now: datetime) -> str:
    """A story of a digest; of what is critical what to do as well, since nothing else may come that says it."""
    row, line = story.speaker, _headline(story, now)
    if isinstance(row.facts, NoticeFacts) or row.severity is not Severity.CRITICAL or story.is_over:
        return line
    todo = what_to_do(Case(key=row.key, severity=row.severity, facts=row.facts, now=now))
    return f"{line}; {todo.removeprefix(TO_DO)}" if todo else line


def _noted(line: str, members: Sequence[Story], now: datetime) -> str:
    """The line with what the reader must know of it; a note on one of those that share it is a note on the line."""
    notes = dict.fromkeys(note for story in members for note in _notes(story, now) if not note.startswith("flapping"))
    suffix = f" ({', '.join(note.strip('()') for note in notes)})" if notes else ""
    return f"{clip(line, MAX_LINE_CHARS - len(suffix))}{suffix}"


def _blind_group(story: Story) -> tuple[str, Severity, Reason] | None:
    row = story.speaker
    if not isinstance(row.facts, AlertFacts) or row.facts.rule_kind != "blind" or story.reason is Reason.RESOLVED:
        return None
    return row.facts.venue, row.severity, story.reason


def _blind_line(members: Sequence[Story]) -> str:
    row = members[0].speaker
    assert isinstance(row.facts, AlertFacts)
    accounts = ", ".join(account_of(story.speaker.key)[:20] for story in members)
    ages = [s.speaker.facts.value for s in members if isinstance(s.speaker.facts, AlertFacts)]
    longest = max((age for age in ages if age is not None), default=None)
    age = f" for up to {duration(longest)}" if longest is not None else ""
    word = {Reason.WORSE: "worse: ", Reason.REPEAT: "still "}.get(members[0].reason, "")
    venue = foreign(row.facts.venue, 30)
    return f"{word}{str(row.severity).upper()} {venue}: no good read of {accounts}{age}"
