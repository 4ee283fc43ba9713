"""How a store can be unusable."""

from enum import StrEnum


class StoreErrorKind(StrEnum):
    LOCKED = "locked"
    NEWER_SCHEMA = "newer_schema"
    FOREIGN = "foreign"
    UNUSABLE = "unusable"


class StoreError(Exception):
    """The state cannot be used; the message is one sentence for the owner. An expected error, not a bug."""

    def __init__(self, kind: StoreErrorKind, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind
