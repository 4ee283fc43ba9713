"""Strict YAML to a tree of texts, each with its place: a deliberately small part of YAML 1.2.

Every scalar is the text as written, because `50` and `50%` must be told apart and a password may look like a number.
Anchors, aliases, tags, merge keys, duplicate keys, empty values and several documents are problems, not features.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamStartEvent,
)

from monitor.config.problems import Path, Place, Problems

MAX_DEPTH = 16
MAX_VALUES = 10_000

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_CONTROL = re.compile("[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# What the parser says, and what a person can do about it. Its own texts may quote the file, and so a secret.
_SYNTAX = (
    ("'\\t'", "a tab where YAML wants spaces"),
    ("that cannot start any token", "a character that cannot start a value: put the value in quotes"),
    ("mapping values are not allowed", "a `:` that cannot stand here: check the indentation, or quote the value"),
    ("could not find expected ':'", "expected `key: value`"),
    ("expected <block end>", "unexpected text: check the indentation, or quote the value"),
    ("expected ','", "expected a comma or a closing bracket"),
    ("found unexpected end of stream", "a quote that is never closed"),
    ("unknown escape", "an unknown escape after \\: use single quotes"),
    ("tag handle", "tags are not allowed"),
)


@dataclass(slots=True)
class Node:
    """A value and where it stands; `value` None means that its problem has been told already.

    `key` is the place of the key that names it, or its own place in a list. `written` is a scalar's text before
    `${...}` was put in: the only form of it that a message may show. `inherited` says from where a rule took it.
    """

    place: Place
    key: Place
    value: "str | dict[str, Node] | list[Node] | None"
    written: str = ""
    inherited: str = ""

    @property
    def mapping(self) -> "dict[str, Node]":
        """The entries of a mapping; none for anything else, whose problem is told when types are checked."""
        return self.value if isinstance(self.value, dict) else {}

    def plain(self) -> Any:
        """dict, list, str and None, without places."""
        match self.value:
            case dict():
                return {name: node.plain() for name, node in self.value.items()}
            case list():
                return [node.plain() for node in self.value]
            case _:
                return self.value

    def walk(self, path: Path = ()) -> "Iterator[tuple[Path, Node]]":
        """This node and everything below it."""
        yield path, self
        if isinstance(self.value, dict):
            for name, node in list(self.value.items()):
                yield from node.walk((*path, name))
        elif isinstance(self.value, list):
            for index, node in enumerate(self.value):
                yield from node.walk((*path, index))

    def find(self, path: Path) -> "Node | None":
        node: Node | None = self
        for step in path:
            if node is None:
                return None
            if isinstance(node.value, dict):
                node = node.value.get(step) if isinstance(step, str) else None
            elif isinstance(node.value, list):
                node = node.value[step] if isinstance(step, int) and step < len(node.value) else None
            else:
                return None
        return node


class _UnreadableError(Exception):
    """The rest of the file cannot be read; the problem has been added."""


def read_tree(text: str, file: str, problems: Problems) -> Node | None:
    """The file's top value, or None where nothing can be made of it; what is wrong goes to `problems`."""
    if bad := _CONTROL.search(text):
        problems.add(Place.after(text[: bad.start()], file), (), "a control character: expected plain text")
        return None
    try:
        return _Reader(text, file, problems).document()
    except _UnreadableError:
        return None


class _Reader:
    def __init__(self, text: str, file: str, problems: Problems) -> None:
        self._events = YAML(typ="safe", pure=True).parse(text)
        self._file = file
        self._problems = problems
        self._last = Place(file, 1, 1)
        self._values = 0

    def document(self) -> Node | None:
        event = self._next()
        while isinstance(event, StreamStartEvent | DocumentStartEvent):
            event = self._next()
        start = Place(self._file, 1, 1)
        if not isinstance(event, AliasEvent | ScalarEvent | SequenceStartEvent | MappingStartEvent) or _is_null(event):
            self._problems.add(start, (), "the file is empty: expected accounts, channels and rules")
            return None
        root = self._node(event, (), start)
        while isinstance(event := self._next(), DocumentEndEvent):
            pass
        if isinstance(event, DocumentStartEvent):
            self._problems.add(self._place(event), (), "a second document: expected one, without ---")
        return root

    def _next(self) -> Any:
        try:
            event = next(self._events)
        except MarkedYAMLError as error:
            key_starts = error.context_mark if "could not find expected ':'" in str(error.problem) else None
            mark = key_starts or error.problem_mark
            place = Place(self._file, mark.line + 1, mark.column + 1) if mark else self._last
            self._problems.add(place, (), _syntax_message(str(error.problem)))
            raise _UnreadableError from None
        except (YAMLError, ArithmeticError, ValueError, IndexError):  # IndexError and the like: faults of the parser
            self._problems.add(self._last, (), "not valid YAML after this point")
            raise _UnreadableError from None
        self._last = self._place(event)
        return event

    def _place(self, event: Event) -> Place:
        return Place(self._file, event.start_mark.line + 1, event.start_mark.column + 1)

    def _node(self, event: Any, path: Path, key: Place | None) -> Node:
        place = self._place(event)
        key = key or place
        if len(path) > MAX_DEPTH:
            self._problems.add(place, (), f"nested more than {MAX_DEPTH} levels deep")
            raise _UnreadableError
        self._values += 1
        if self._values > MAX_VALUES:
            self._problems.add(place, (), f"more than {MAX_VALUES} values")
            raise _UnreadableError
        if isinstance(event, AliasEvent):
            self._problems.add(place, path, "aliases are not allowed: write the value out")
            return Node(place, key, None)
        if event.anchor is not None:
            self._problems.add(place, path, "anchors are not allowed: write the value out where it is used")
        if event.tag is not None:
            self._problems.add(place, path, "tags are not allowed: every value is plain text")
        match event:
            case MappingStartEvent():
                return Node(place, key, self._entries(path))
            case SequenceStartEvent():
                return Node(place, key, self._items(path))
        if _is_null(event):
            self._problems.add(key, path, "expected a value, found nothing: give one or remove the key")
            return Node(place, key, None)
        value = event.value.rstrip("\n")
        if _CONTROL.search(value):
            self._problems.add(place, path, "a control character: expected plain text")
            return Node(place, key, None)
        return Node(place, key, value, written=value)

    def _items(self, path: Path) -> list[Node]:
        items: list[Node] = []
        while not isinstance(event := self._next(), SequenceEndEvent):
            items.append(self._node(event, (*path, len(items)), None))
        return items

    def _entries(self, path: Path) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        while not isinstance(event := self._next(), MappingEndEvent):
            key = self._place(event)
            name = self._key_name(event, path, key)
            node = self._node(self._next(), (*path, name or "?"), key)
            if name is not None and name in entries:
                first = entries[name].key.line
                self._problems.add(key, (*path, name), f"a duplicate key, first given in line {first}")
            elif name is not None:
                entries[name] = node
        return entries

    def _key_name(self, event: Any, path: Path, place: Place) -> str | None:
        if not isinstance(event, ScalarEvent) or _is_null(event):
            self._problems.add(place, path, "expected a name as key")
            if not isinstance(event, ScalarEvent):
                self._node(event, (*path, "?"), None)
            return None
        if event.anchor is not None or event.tag is not None:
            self._problems.add(place, path, "anchors and tags are not allowed")
        name: str = event.value
        if name == "<<":
            self._problems.add(place, path, "merge keys are not allowed: write the values out")
            return None
        return name


def _is_null(event: Any) -> bool:
    """Nothing after the colon, `~`, `null`, or an empty text: never a value anybody means."""
    if not isinstance(event, ScalarEvent):
        return False
    plain = event.style is None
    return event.value in _NULLS if plain else not event.value.strip()


def _syntax_message(parser_says: str) -> str:
    for fragment, message in _SYNTAX:
        if fragment in parser_says:
            return f"not valid YAML: {message}"
    return "not valid YAML"
