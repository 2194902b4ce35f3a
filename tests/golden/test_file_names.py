"""Specification A.1: the file name of a session."""

import pytest

from lash_store.codecs.ids import session_file_name


@pytest.mark.parametrize(
    ("session_id", "name"),
    [
        ("root", "root-4813494d137e1631.db"),
        ("../weird/session", "weird_session-7a2d2bada3f30bfe.db"),
        ("chat/alpha", "chat_alpha-d8d20168f855065d.db"),
        ("delete/me", "delete_me-cc812727fc741128.db"),
        ("", "session-e3b0c44298fc1c14.db"),
        ("___", "session-bda251550bf0478f.db"),
        ("\u00e9", "session-4a99557e4033c353.db"),
        ("\u65e5\u672c-1", "-1-aa8551ef86d1a036.db"),
        ("a" * 100, "a" * 80 + "-2816597888e4a0d3.db"),
        ("a" * 79 + "/b" + "c" * 10, "a" * 79 + "_-01742789a26b9fc9.db"),
    ],
)
def test_a_session_has_this_file(session_id: str, name: str) -> None:
    assert session_file_name(session_id) == name
