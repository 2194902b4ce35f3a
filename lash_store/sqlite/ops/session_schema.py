"""The schema of a session database, version 3 (specification 1.2, 2), with the additions of this package.

Every name that begins with `lash_` is an addition: an index, a trigger, or a side table that lash does not look at.
"""

from typing import Final

from lash_store.sqlite.ops import (
    artifacts,
    attachments,
    blobs,
    graph,
    head,
    queue,
    session_meta,
    turn_commits,
    usage,
)
from lash_store.sqlite.schema import Schema

SESSION_SCHEMA: Final = Schema(
    "session",
    3,
    {
        **blobs.TABLES,
        **head.TABLES,
        **graph.TABLES,
        **usage.TABLES,
        **session_meta.TABLES,
        **turn_commits.TABLES,
        **queue.TABLES,
        **attachments.TABLES,
        **artifacts.TABLES,
    },
)
