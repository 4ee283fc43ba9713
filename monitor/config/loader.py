"""From a YAML file to Settings: every problem at once, each with its place, and never a secret in a message."""

import re
from codecs import BOM_UTF8
from collections.abc import Callable, Mapping
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import TypedDict, Unpack

from pydantic import ValidationError

from monitor.config.checks import check_channels, check_globs, check_names, check_rules, check_venues
from monitor.config.environment import overlay
from monitor.config.explain import explain
from monitor.config.keys import check_keys
from monitor.config.problems import Place, Problems
from monitor.config.references import interpolate, read_credential_files
from monitor.config.rulebook import Origins, origins_of, resolve_rules
from monitor.config.secrets import register_secrets
from monitor.config.settings import Settings
from monitor.config.tree import Node, read_tree

# Room for 2,000 accounts; what is read in a second has to be bounded, since a saved file is read while others wait.
MAX_FILE_BYTES = 256 * 1024

_ENV_NAME = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)")


class Outside(TypedDict):
    """What a file is checked against. `is_venue` knows the venues, `channel_error` says in one sentence why a channel's
    URL cannot be used, or None; `mode_error` the same of a venue's mode. `env` is the environment with its overrides.
    """

    is_venue: Callable[[str], bool]
    channel_error: Callable[[str], str | None]
    mode_error: Callable[[str, str], str | None]
    env: Mapping[str, str]


def load(path: Path, **outside: Unpack[Outside]) -> Settings:
    """The settings in the file; raises ConfigError with every problem found."""
    return load_with_origins(path, **outside)[0]


def load_with_origins(path: Path, **outside: Unpack[Outside]) -> tuple[Settings, Origins]:
    """The settings in the file, and where each key of its rules comes from. Raises ConfigError."""
    problems = Problems()
    text = _read(path, problems)
    problems.raise_if_any()
    return _loaded(text, str(path), path.parent, outside)


def load_text(
    text: str, file: str = "perpwatch.yaml", *, folder: Path = Path(), **outside: Unpack[Outside]
) -> Settings:
    """As `load`, for the text of a file; `folder` is where the names of credential files start."""
    return _loaded(text, file, folder, outside)[0]


def _loaded(text: str, file: str, folder: Path, outside: Outside) -> tuple[Settings, Origins]:
    problems = Problems()
    root = read_tree(text, file, problems)
    if root is None or not isinstance(root.value, dict):
        if root is not None and root.value is not None:
            problems.add(root.place, (), "expected a mapping with accounts, channels and rules at the top")
        raise problems.as_error()
    used = frozenset(name.upper() for name in _ENV_NAME.findall(text))
    overlay(root, outside["env"], used, problems)
    interpolate(root, outside["env"], problems)
    read_credential_files(root, folder, problems)
    check_names(root, problems)
    check_globs(root, problems)
    check_venues(root, outside["is_venue"], outside["mode_error"], problems)
    check_channels(root, outside["channel_error"], problems)
    resolve_rules(root, problems)
    check_rules(root, problems)
    check_keys(root, problems)
    settings = _validated(root, problems)
    problems.raise_if_any()
    assert settings is not None, "invalid settings without a problem"
    register_secrets(settings)
    return settings, origins_of(root)


def _validated(root: Node, problems: Problems) -> Settings | None:
    try:
        return Settings.model_validate(root.plain())
    except ValidationError as error:
        explain(error, root, problems)
        return None


def _read(path: Path, problems: Problems) -> str:
    """The file's text; empty where there is a problem. A pipe is refused, since reading one may never end."""
    whole = Place(str(path))
    try:
        mode = path.stat().st_mode
        if not S_ISREG(mode):
            what = "a folder" if S_ISDIR(mode) else "a device"
            problems.add(whole, (), f"expected a file, found {what}")
            return ""
        with path.open("rb") as stream:
            raw = stream.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        problems.add(whole, (), "the file does not exist")
        return ""
    except OSError as error:
        problems.add(whole, (), f"the file cannot be read: {error.strerror}")
        return ""
    if len(raw) > MAX_FILE_BYTES:
        problems.add(whole, (), f"the file is larger than {MAX_FILE_BYTES // 1024} KiB")
        return ""
    return _decoded(raw, str(path), problems)


def _decoded(raw: bytes, file: str, problems: Problems) -> str:
    raw = raw.removeprefix(BOM_UTF8)
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        problems.add(Place.after(raw[: error.start].decode(), file), (), "not UTF-8 text")
        return ""
