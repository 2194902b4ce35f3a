"""Scenarios 50 to 54: one file for each session id in a folder."""

from pathlib import Path

import msgspec
import pytest

from lash_store import (
    CausalRefToolCall,
    ModelLimits,
    ModelSpec,
    SessionMeta,
    SessionPolicy,
    SessionRelation,
    SessionRelationChild,
    SessionRelationRoot,
    SqliteSessionStoreFactory,
    StoreError,
    StoreOptions,
)
from tests.clocks import NOW_MS, ManualClock
from tests.conformance.session_store.examples import root_commit
from tests.conformance.session_store.rows import query

CHILD = SessionRelationChild("parent")


def policy(model: str) -> SessionPolicy:
    return SessionPolicy(model=ModelSpec(id=model, limits=ModelLimits(1)))


@pytest.fixture
def factory(tmp_path: Path, clock: ManualClock) -> SqliteSessionStoreFactory:
    """A factory whose folder, and the one above it, do not exist yet."""
    return SqliteSessionStoreFactory(tmp_path / "deep" / "sessions", StoreOptions(clock=clock))


def test_scenario_50_a_path_is_a_name_in_the_folder(factory: SqliteSessionStoreFactory, tmp_path: Path) -> None:
    first, second = (factory.path_for_session("../weird/session") for _ in range(2))
    assert first == second
    assert first.parent == tmp_path / "deep" / "sessions"
    assert first.name == "weird_session-7a2d2bada3f30bfe.db"
    assert first.name.endswith(".db")
    assert "/" not in first.name
    assert not first.parent.exists()


async def created(factory: SqliteSessionStoreFactory, model: str) -> SessionMeta:
    async with await factory.create_store("chat/alpha", CHILD, policy(model)) as store:
        meta = await store.load_session_meta()
    assert meta is not None
    return meta


async def test_scenario_51_a_new_store_has_its_meta(factory: SqliteSessionStoreFactory) -> None:
    meta = await created(factory, "first-model")
    assert meta == SessionMeta(
        "chat/alpha", "chat/alpha", f"unix:{NOW_MS // 1000}", "first-model", str(Path.cwd()), CHILD
    )
    assert meta.parent_session_id == "parent"


async def test_scenario_52_an_existing_meta_is_not_altered(factory: SqliteSessionStoreFactory) -> None:
    meta = await created(factory, "first-model")
    saved = msgspec.structs.replace(meta, session_name="Renamed", created_at="original", model="preserved-model")
    async with await factory.create_store("chat/alpha", SessionRelationRoot()) as store:
        await store.save_session_meta(saved)
    assert await created(factory, "second-model") == saved


async def test_scenario_53_a_store_through_the_factory_has_a_meta(factory: SqliteSessionStoreFactory) -> None:
    """There is no abstract factory in this package: the factory is used with no more than an id and a relation."""
    async with await factory.create_store("explicit", SessionRelationRoot()) as store:
        meta = await store.load_session_meta()
    assert meta is not None
    assert (meta.session_id, meta.relation, meta.model) == ("explicit", SessionRelationRoot(), "")


async def test_scenario_54_a_session_can_be_deleted_twice(factory: SqliteSessionStoreFactory) -> None:
    path = factory.path_for_session("delete/me")
    files = [path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))]
    path.parent.mkdir(parents=True)
    for file in files:
        file.write_bytes(b"x")
    await factory.delete_session("delete/me")
    assert list(path.parent.iterdir()) == []
    await factory.delete_session("delete/me")
    assert list(path.parent.iterdir()) == []


async def test_a_real_session_is_deleted_and_made_anew(factory: SqliteSessionStoreFactory) -> None:
    async with await factory.create_store("root") as store:
        await store.commit_runtime_state(root_commit())
    await factory.delete_session("root")
    assert not factory.path_for_session("root").exists()
    async with await factory.create_store("root") as store:
        assert await store.load_session() is None


async def test_a_session_in_use_is_not_deleted(factory: SqliteSessionStoreFactory) -> None:
    """Weakness 40: upstream removes the files under open handles."""
    async with await factory.create_store("root") as store:
        await store.commit_runtime_state(root_commit())
        with pytest.raises(StoreError):
            await factory.delete_session("root")
        read = await store.load_session()
        assert read is not None
        assert (await store.commit_runtime_state(root_commit())).head_revision == 2
    await factory.delete_session("root")
    assert not factory.path_for_session("root").exists()


async def test_the_row_of_a_relation(factory: SqliteSessionStoreFactory) -> None:
    """A relation is written for the root too (2.5); its texts are those of appendix A.8."""
    relations: dict[str, SessionRelation] = {
        "r": SessionRelationRoot(),
        "c": SessionRelationChild("p", CausalRefToolCall("p", "c")),
    }
    for session_id, relation in relations.items():
        async with await factory.create_store(session_id, relation):
            pass
    texts = [
        query(factory.path_for_session(session_id), "SELECT singleton, relation_json FROM session_meta")
        for session_id in ("r", "c")
    ]
    child = '{"kind":"child","parent_session_id":"p","caused_by":{"type":"tool_call","session_id":"p","call_id":"c"}}'
    assert texts == [[(1, '{"kind":"root"}')], [(1, child)]]
