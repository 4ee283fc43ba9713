"""How a store can be unusable."""

from enum import StrEnum


class StoreErrorKind(StrEnum):
    LOCKED = "locked"
    NEWER_SCHEMA = "newer_schema"
    FOREIGN = "foreign"
    NO_PLACE = "no_place"
    UNUSABLE = "unusable"

    @property
    def may_pass(self) -> bool:
        """Alerts go on from memory until it has; of a second monitor or a mistaken path that would hide a mistake."""
        return self in (StoreErrorKind.NEWER_SCHEMA, StoreErrorKind.UNUSABLE)


class StoreError(Exception):
    """The state cannot be used; the message is one sentence for the owner. An expected error, not a bug."""

    def __init__(self, kind: StoreErrorKind, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind
