"""What the session store refuses (session store specification, section 5)."""

from lash_store.errors.root import StoreError
from lash_store.errors.storage import StoreOpenFailed


class UnsupportedSchemaVersion(StoreOpenFailed):
    """The database at `path` is of another version, or another program's: `kind` was wanted in version `expected`.

    `found` is its `user_version`; 0 with tables in the file means that another program made it. It was left as it is.
    """

    def __init__(self, path: str, kind: str, expected: int, found: int) -> None:
        super().__init__(
            path,
            f"its user_version is {found}, and this release reads {kind} databases of version {expected}; "
            "name another file, or move this one away and start anew",
        )
        self.kind = kind
        self.expected = expected
        self.found = found


class AnotherKindOfDatabase(StoreOpenFailed):
    """The database at `path` holds none of the tables of a `kind` database, but others; it was left as it is.

    Whatever its version: session, process registry, effects and host events each need a file of their own.
    """

    def __init__(self, path: str, kind: str) -> None:
        super().__init__(path, f"it is no {kind} database but one of another kind; every kind has files of its own")
        self.kind = kind


class SessionBindingMismatch(StoreError):
    """The database holds the session `bound_session_id`, and something was written for `attempted_session_id`."""

    def __init__(self, bound_session_id: str, attempted_session_id: str) -> None:
        super().__init__(
            f"the database holds the session {bound_session_id!r}, not {attempted_session_id!r}; "
            "open the database of that session"
        )
        self.bound_session_id = bound_session_id
        self.attempted_session_id = attempted_session_id


class HeadRevisionConflict(StoreError):
    """Somebody else has committed: the head was `expected` at one revision (None: to be absent), and is at `actual`."""

    def __init__(self, expected: int | None, actual: int) -> None:
        super().__init__(
            f"the head is at revision {actual}, not {expected}; load the session, redo the turn on it and commit again"
        )
        self.expected = expected
        self.actual = actual


class RuntimeTurnCommitConflict(StoreError):
    """The turn `turn_id` of `session_id` was committed with another content, or its stamp names another session."""

    def __init__(self, session_id: str, turn_id: str) -> None:
        super().__init__(
            f"the turn {turn_id!r} of session {session_id!r} was committed with other content, or is stamped for "
            "another session than its commit; load the session and use a new turn id"
        )
        self.session_id = session_id
        self.turn_id = turn_id


class QueuedWorkClaimExpired(StoreError):
    """The claim `claim_id` of `session_id` does not hold (any more) what it should: nothing was completed."""

    def __init__(self, session_id: str, claim_id: str) -> None:
        super().__init__(
            f"the claim {claim_id!r} of session {session_id!r} no longer holds its batches (expired, taken over, "
            "released or completed); claim again"
        )
        self.session_id = session_id
        self.claim_id = claim_id


class UnknownLeafNode(StoreError):
    """A commit for `session_id` moves the leaf to `leaf_node_id`, which is no node of the stored graph nor of its own.

    Nothing was written.
    """

    def __init__(self, session_id: str, leaf_node_id: str) -> None:
        super().__init__(
            f"the leaf {leaf_node_id!r} is no node of session {session_id!r}, nor one that the commit brings; append "
            "the new nodes with with_appended_nodes, or mend the leaf with heal_orphaned_leaf"
        )
        self.session_id = session_id
        self.leaf_node_id = leaf_node_id


class UnsupportedReadScope(StoreError):
    """A store cannot serve the read scope `scope`; the SQLite store serves all, and raises it for what is none."""

    def __init__(self, scope: object) -> None:
        super().__init__(f"this store cannot serve the read scope {scope!r}; ask for the full graph")
        self.scope = scope


class UnsupportedRecordSchemaVersion(StoreError):
    """A record of kind `record_kind` has the version `actual`; this release reads `expected`.

    Not raised by the SQLite store, whose records have no versions of their own; the contract of stores names it.
    """

    def __init__(self, record_kind: str, actual: int, expected: int) -> None:
        super().__init__(
            f"a stored {record_kind} has version {actual}, this release reads version {expected}; use the release "
            "that wrote it"
        )
        self.record_kind = record_kind
        self.actual = actual
        self.expected = expected


class BlobMissing(StoreError):
    """A commit refers to the blob `ref` without bringing its value, and no such blob is stored; nothing was written."""

    def __init__(self, ref: str) -> None:
        super().__init__(
            f"the checkpoint refers to the blob {ref!r}, which is not stored; commit the value itself, or load the "
            "session again"
        )
        self.ref = ref
