"""`SqliteSessionStoreFactory`: a folder with one database for each session (specification 4.4)."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from lash_store.codecs.ids import session_file_name
from lash_store.errors import StoreOpenFailed
from lash_store.records.config import SessionPolicy
from lash_store.records.session_meta import SessionMeta, SessionRelation, SessionRelationRoot
from lash_store.sqlite.delivery import in_thread
from lash_store.sqlite.ops.arguments import record_of
from lash_store.sqlite.ops.texts import column_text
from lash_store.sqlite.removal import remove_database
from lash_store.sqlite.session_store.listing import ListedSession, list_folder
from lash_store.sqlite.session_store.store import DEFAULT_OPTIONS, Store, StoreOptions

P = TypeVar("P")
T = TypeVar("T")

_ROOT: Final = SessionRelationRoot()
_NO_POLICY: Final = SessionPolicy()


class SqliteSessionStoreFactory:
    """Creates, finds and deletes the databases of sessions in the folder `root`, all with the same `options`."""

    def __init__(self, root: str | os.PathLike[str], options: StoreOptions = DEFAULT_OPTIONS) -> None:
        self.root = Path(root)
        self.options = record_of(StoreOptions, options)

    def path_for_session(self, session_id: str) -> Path:
        """Where the database of a session is: a name made of what is readable in the id, and of its hash.

        Raises InvalidRecord for an id that is no text, or holds lone surrogates.
        """
        return self.root / session_file_name(column_text("session", "session_id", session_id))

    async def create_store(
        self, session_id: str, relation: SessionRelation = _ROOT, policy: SessionPolicy = _NO_POLICY
    ) -> Store:
        """Open the store of a session, with the folder and the database created where they are missing.

        A session without a row of names gets one: its id as name, the policy's model, this process's folder, and
        `relation`. A row that is there stays as it is. Raises as `Store.open`, and InvalidRecord for a relation or
        policy that cannot be stored.
        """
        path, meta = self.path_for_session(session_id), self._meta(session_id, relation, policy)
        meta.to_json()  # what cannot be stored creates no file
        await _in_own_thread(_create_folder, self.root)
        store = await Store.open(path, self.options)
        try:
            await store.name_session(meta)
        except BaseException:
            await store.close()
            raise
        return store

    async def open_readonly(self, session_id: str) -> Store:
        """Open the store of an existing session for reading. Raises as `Store.open_readonly`: it creates nothing."""
        return await Store.open_readonly(self.path_for_session(session_id))

    async def list_sessions(self) -> list[ListedSession]:
        """The sessions of the folder, by the names of their files: a row for each `*.db` that is one.

        Files of other kinds (AnotherKindOfDatabase) are left out, one that cannot be read is a row with its error. Each
        row is a snapshot of its own. A file that nobody has open is opened for a moment, which keeps `delete_session`
        from removing it meanwhile, and leaves an index and an empty log beside it (see `Database.open_readonly`). Takes
        half a millisecond a session, beside the event loop. Raises StoreOpenFailed for a folder that cannot be read.
        """
        return await _in_own_thread(list_folder, self.root)

    async def delete_session(self, session_id: str) -> None:
        """Remove the database of a session, with its log. A session that has none is fine.

        Only this database: grants, effects and subscriptions of the session lie in others (README, Maintenance). Raises
        StoreInUse while any handle is open on it, in whatever process, and StoreRemovalFailed.
        """
        await _in_own_thread(remove_database, os.fspath(self.path_for_session(session_id)))

    def _meta(self, session_id: str, relation: SessionRelation, policy: SessionPolicy) -> SessionMeta:
        record_of(SessionPolicy, policy).to_json()  # checks every field
        return SessionMeta(
            session_id=session_id,
            session_name=session_id,
            created_at=f"unix:{self.options.clock.now_ms() // 1000}",
            model=policy.model.id,
            cwd=_current_folder(),
            relation=relation,
        )


async def _in_own_thread(f: Callable[[P], T], argument: P) -> T:
    """Run `f`, which waits for the disk, beside the event loop; cancellation waits until it is done."""
    with ThreadPoolExecutor(1, thread_name_prefix="lash_store factory") as thread:
        return await in_thread(thread.submit(f, argument))


def _create_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise StoreOpenFailed(os.fspath(folder), f"the folder cannot be created: {error}") from error


def _current_folder() -> str | None:
    """The working directory; None if it was removed, or is no Unicode text."""
    try:
        folder = os.getcwd()  # noqa: PTH109
        folder.encode()
    except (OSError, UnicodeEncodeError):
        return None
    return folder
