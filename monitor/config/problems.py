"""What is wrong with a configuration, and where: every problem has a place that a person can go to."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")

# A path into the file: keys, and indexes of lists.
Path = tuple[str | int, ...]

# Among more names than this, or for a longer one, looking for what was meant takes too long.
MAX_CANDIDATES = 200
MAX_NAME_CHARS = 64
# A file with more problems than this is the wrong file: the rest is not looked at.
MAX_PROBLEMS = 200
_MAX_SHOWN_CHARS = 40
_LINE_BREAK = re.compile("\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class Place:
    """A position in a file, 1-based; no line where the whole file, or an environment variable, is meant."""

    file: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}:{self.column}"

    @classmethod
    def after(cls, text: str, file: str) -> "Place":
        """The position behind `text`, which the file begins with; lines end where YAML's do."""
        *breaks, last = _LINE_BREAK.split(text)
        return cls(file, len(breaks) + 1, len(last) + 1)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to correct. `file` may be `environment variable NAME`; `path` is empty for the file as a whole."""

    file: str
    line: int | None
    column: int | None
    path: str
    message: str

    def __str__(self) -> str:
        place = Place(self.file, self.line, self.column)
        return f"{place}: {self.path}: {self.message}" if self.path else f"{place}: {self.message}"


class ConfigError(Exception):
    """The configuration cannot be used; `errors` are its problems in the order of the file, up to MAX_PROBLEMS."""

    def __init__(self, errors: tuple[Problem, ...]) -> None:
        super().__init__(errors)
        self.errors = errors

    def __str__(self) -> str:
        return "\n".join(str(error) for error in self.errors)


class Problems:
    """Collects the problems of one configuration."""

    def __init__(self) -> None:
        self._found: list[Problem] = []

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, place: Place, path: Path, message: str) -> None:
        """Raises ConfigError once there are MAX_PROBLEMS: from None, since a parser's own error quotes the file."""
        self._found.append(Problem(place.file, place.line, place.column, dotted(path), message))
        if len(self._found) == MAX_PROBLEMS:
            raise self.as_error() from None

    def as_error(self) -> ConfigError:
        return ConfigError(tuple(sorted(set(self._found), key=lambda p: (p.line or 0, p.column or 0, p.message))))

    def raise_if_any(self) -> None:
        if self._found:
            raise self.as_error()


def dotted(path: Path) -> str:
    """`accounts.main.channels[0]`; a key that is no plain name may be a misplaced secret and is not shown."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += ("." if text else "") + shown_name(step)
    return text


def shown_name(name: str) -> str:
    return name if NAME.fullmatch(name) and len(name) <= _MAX_SHOWN_CHARS else "?"


def shown_value(written: str) -> str:
    """A value for a message: short and on one line; what is longer says nothing and might be a misplaced secret."""
    fits = written.isprintable() and len(written) <= _MAX_SHOWN_CHARS
    return written if fits else f"a text of {len(written)} characters"


def one_of(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}" if most else last


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant, in any case of its letters; never one that may not be shown."""
    by_lower = {candidate.lower(): candidate for candidate in known if NAME.fullmatch(candidate)}
    if len(by_lower) > MAX_CANDIDATES or len(name) > MAX_NAME_CHARS:
        return None
    close = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[close[0]] if close else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`, did you mean x?`, or nothing where no known name is close."""
    meant = closest(name, known)
    return f", did you mean {meant}?" if meant else ""
