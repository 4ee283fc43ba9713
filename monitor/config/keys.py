"""Which keys a person may write where: the models' own, and a `*_file` beside each credential."""

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from monitor.config.problems import Path, Problems, did_you_mean, one_of, shown_name
from monitor.config.settings import (
    AccountSettings,
    AlertSettings,
    ChannelSettings,
    HealthSettings,
    LogSettings,
    Settings,
    SeverityAlerts,
)
from monitor.config.tree import Node
from monitor.rules.base import SeverityDurations, Where
from monitor.rules.book import RULE_KINDS

# Besides the secrets themselves: URLs may carry a login, and people paste keys beside keys.
_NEVER_SHOWN = frozenset({"base_url", "wallet_address"})


def secret_fields(model: type[BaseModel]) -> tuple[str, ...]:
    return tuple(name for name, field in model.model_fields.items() if _is_secret(field))


def _is_secret(field: FieldInfo) -> bool:
    return "SecretStr" in repr(field.annotation)


MODELS_WITH_SECRETS: tuple[type[BaseModel], ...] = (Settings, AccountSettings, ChannelSettings)
NEVER_SHOWN = _NEVER_SHOWN.union(*(secret_fields(model) for model in MODELS_WITH_SECRETS))


def model_at(root: Node, path: Path) -> type[BaseModel] | None:
    """The model that the mapping at this path is read into."""
    match path:
        case ():
            return Settings
        case ("accounts", _):
            return AccountSettings
        case ("channels", _):
            return ChannelSettings
        case ("rules", name):
            kind = root.find(("rules", name, "kind"))
            return RULE_KINDS.get(str(kind.value)) if kind else None
        case ("rules", _, "where"):
            return Where
        case ("rules", _, "for" | "keep_firing_for"):
            return SeverityDurations
        case ("alerts",):
            return AlertSettings
        case ("alerts", _):
            return SeverityAlerts
        case ("health",):
            return HealthSettings
        case ("log",):
            return LogSettings
    return None


def known_keys(model: type[BaseModel]) -> tuple[str, ...]:
    own = [field.alias or name for name, field in model.model_fields.items()]
    return (*own, *(f"{name}_file" for name in secret_fields(model)))


def check_keys(root: Node, problems: Problems) -> None:
    """Tell every key that nobody knows, in any mapping; what it holds is not looked at."""
    for path, node in root.walk():
        model = model_at(root, path) if isinstance(node.value, dict) else None
        known = known_keys(model) if model else ()
        for name in [name for name in node.mapping if model and name not in known]:
            hint = did_you_mean(name, known) or f": expected {one_of(known)}"
            problems.add(node.mapping[name].key, (*path, name), f"unknown key {shown_name(name)}{hint}")
            node.mapping[name].value = None


def is_secret_path(path: Path) -> bool:
    return any(step in NEVER_SHOWN for step in path)
