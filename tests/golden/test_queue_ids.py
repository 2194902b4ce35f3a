"""Specification A.4: the ids of queued work."""

from lash_store.codecs import ids

NOW_MS = 1_700_000_000_000


def test_the_lease_token() -> None:
    lease = ids.lease_token("root", "owner-a", ids.claim_id(1, 1), NOW_MS)
    assert lease == "b3d3966afc09860802d1451d1dccad38a732b91b12427fbebcb0cde18432d438"


def test_the_batch_id_with_a_key() -> None:
    batch = ids.batch_id("root", "source:first", NOW_MS, 0)
    assert batch == "qwb:d3f3745f1b4a80174159d60559832b64b4b4b84ca663c021ffd829c7e6f68e65"


def test_the_batch_id_without_a_key() -> None:
    batch = ids.batch_id("root", None, NOW_MS, 3)
    assert batch == "qwb:9194523cb18f85f4196cf1df4a2075961b23d305046086b6b07f092dbd1248a4"
