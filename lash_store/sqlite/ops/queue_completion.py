"""Completing queued work: the steps by which a commit removes the batches that it was made for (specification 4.17).

A completion is exact: the batches it lists must be all those that its claim holds, each listed once. Whether the lease
has run out is deliberately not asked. A claim that nobody has taken over is still the only one to hold its batches, and
whoever takes one over gives it a new claim id and token, so a late completion finds it gone.
"""

from collections.abc import Sequence
from typing import Final

from lash_store.errors import GuardFailed, QueuedWorkClaimExpired
from lash_store.records.queue import QueuedWorkCompletion
from lash_store.sqlite.plan import Expect, Step

# Items go by cascade, and SQLite does not count them among the changes.
_REMOVE: Final = """
DELETE FROM queued_work_batches WHERE batch_id = ?1 AND session_id = ?2 AND claim_id = ?3 AND claim_token = ?4
"""
_STILL_HELD: Final = """
SELECT batch_id FROM queued_work_batches WHERE session_id = ?1 AND claim_id = ?2 AND claim_token = ?3 LIMIT 1
"""
# A claim that exists holds something, so an empty list is never the list of what a claim holds.
_NOTHING_LISTED: Final = "SELECT 1 WHERE 0"

_GUARD: Final = "queued work completion "


def completion_steps(completions: Sequence[QueuedWorkCompletion]) -> list[Step]:
    """The steps that remove what `completions` list, or fail the plan they are part of: see `completion_error`.

    Raises InvalidRecord or InvalidJsonValue for a completion that is none.
    """
    steps: list[Step] = []
    for index, completion in enumerate(completions):
        completion.to_json()  # checks every field, so that nothing unbindable reaches the plan
        steps += _steps(completion, f"{_GUARD}{index}")
    return steps


def completion_error(failed: GuardFailed, completions: Sequence[QueuedWorkCompletion]) -> QueuedWorkClaimExpired | None:
    """What the caller of a commit is told if `failed` is a guard of `completion_steps(completions)`; None if not."""
    if not failed.name.startswith(_GUARD):
        return None
    completion = completions[int(failed.name.removeprefix(_GUARD))]
    return QueuedWorkClaimExpired(completion.session_id, completion.claim_id)


def _steps(completion: QueuedWorkCompletion, name: str) -> list[Step]:
    claim = (completion.session_id, completion.claim_id, completion.lease_token)
    if not completion.batch_ids:
        return [Step(_NOTHING_LISTED, expect=Expect.ROW, name=name)]
    listed = [(batch_id, *claim) for batch_id in completion.batch_ids]
    return [
        # A batch that is not held, or listed a second time, is missing from the count.
        Step(_REMOVE, listed, expect=len(listed), many=True, name=name),
        Step(_STILL_HELD, claim, expect=Expect.NO_ROW, name=name),
    ]
