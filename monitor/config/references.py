"""What a value may refer to: `${ENV}`, `${ENV:-default}`, and for each credential a file that holds it."""

import re
from collections.abc import Mapping
from pathlib import Path as FilePath

from pydantic import BaseModel

from monitor.config.keys import secret_fields
from monitor.config.problems import Path, Problems, shown_name
from monitor.config.settings import AccountSettings, ChannelSettings, Settings
from monitor.config.tree import Node

MAX_SECRET_BYTES = 64 * 1024

# `$${` stands for a literal `${`; the last alternative is a `${` that nobody closed or named.
_REFERENCE = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}|\$\{")


class _UnresolvedError(Exception):
    """The message says why a reference has no value."""


def interpolate(root: Node, env: Mapping[str, str], problems: Problems) -> None:
    """Put the environment's values into every text of the file, in place."""
    for path, node in root.walk():
        if isinstance(node.value, str) and node.place.line is not None and "${" in node.value:
            try:
                node.value = _interpolated(node.value, env)
            except _UnresolvedError as error:
                problems.add(node.place, path, str(error))
                node.value = None


def _interpolated(text: str, env: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        name, default = match["name"], match["default"]
        if name is None:
            raise _UnresolvedError("expected ${NAME} or ${NAME:-default}; a literal ${ is written $${")
        found = env.get(name) or default
        if not found:
            state = "is empty" if name in env else "is not set"
            raise _UnresolvedError(f"the environment variable {shown_name(name)} {state}")
        return found

    return _REFERENCE.sub(value, text)


def read_credential_files(root: Node, folder: FilePath, problems: Problems) -> None:
    """Replace each `<credential>_file` by the credential, in place; relative names start at the file's folder."""
    _read_files(root, (), Settings, folder, problems)
    for section, model in (("accounts", AccountSettings), ("channels", ChannelSettings)):
        entries = root.mapping.get(section)
        for name, node in entries.mapping.items() if entries else ():
            _read_files(node, (section, name), model, folder, problems)


def _read_files(node: Node, path: Path, model: type[BaseModel], folder: FilePath, problems: Problems) -> None:
    for field in secret_fields(model):
        key = f"{field}_file"
        reference = node.mapping.pop(key, None)
        if reference is None:
            continue
        if field in node.mapping:
            problems.add(reference.key, (*path, key), f"give {field} or {key}, not both")
            continue
        value = None
        if isinstance(reference.value, str):
            try:
                value = _secret_in(folder / reference.value)
            except _UnresolvedError as error:
                problems.add(reference.place, (*path, key), str(error))
        elif reference.value is not None:
            problems.add(reference.place, (*path, key), "expected the name of a file")
        node.mapping[field] = Node(reference.place, reference.key, value)


def _secret_in(file: FilePath) -> str:
    """The file's text without its trailing newline. A pipe or device is refused: reading one may never end."""
    try:
        if file.exists() and not file.is_file():
            raise _UnresolvedError("expected a file, found a folder or a device")
        with file.open("rb") as stream:
            raw = stream.read(MAX_SECRET_BYTES + 1)
        text = raw.decode().rstrip("\r\n")
    except FileNotFoundError:
        raise _UnresolvedError("the file does not exist") from None
    except UnicodeDecodeError:
        raise _UnresolvedError("the file is not UTF-8 text") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise _UnresolvedError(f"the file cannot be read: {reason or 'not a file name'}") from None
    if len(raw) > MAX_SECRET_BYTES:
        raise _UnresolvedError(f"the file is larger than {MAX_SECRET_BYTES // 1024} KiB")
    if not text.strip():
        raise _UnresolvedError("the file is empty")
    return text
