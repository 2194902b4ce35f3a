"""Values and texts that are no record, or cannot be stored."""

from lash_store.errors.root import StoreError


class InvalidJsonValue(StoreError):
    """A value handed in as free JSON has no stored form: `path` says where, `reason` why. Nothing was written."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"the value at {path} cannot be stored: {reason}")
        self.path = path
        self.reason = reason


class InvalidRecord(StoreError):
    """A text or value cannot be read, or a record cannot be written, as a `kind`: `path` says where, `reason` why."""

    def __init__(self, kind: str, path: str, reason: str) -> None:
        super().__init__(f"invalid {kind} at {path}: {reason}")
        self.kind = kind
        self.path = path
        self.reason = reason


class ProviderInPolicy(InvalidRecord):
    """A policy has the key `provider`: live providers are not stored, `provider_id` names one."""

    def __init__(self) -> None:
        super().__init__("SessionPolicy", "$.provider", "a live provider is not stored; name it with provider_id")
