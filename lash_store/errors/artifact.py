"""What the operations on module artifacts refuse (session store specification, section 5)."""

from lash_store.errors.storage import StoreCorrupt
from lash_store.errors.values import InvalidRecord


class ArtifactEncodeFailed(InvalidRecord):
    """Bytes handed in as a module artifact are none: `path` says where, `reason` why. Nothing was written."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__("module artifact", path, reason)


class ArtifactDecodeFailed(StoreCorrupt):
    """What is stored as the module artifact `key` is missing, damaged, or another artifact; `reason` says which."""

    def __init__(self, module_ref: str, reason: str) -> None:
        super().__init__("module artifact", module_ref)
        self.args = (f"the stored module artifact {module_ref!r} cannot be used: {reason}; put it again",)
        self.reason = reason
