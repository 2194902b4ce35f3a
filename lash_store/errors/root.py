"""The root of the tree of errors."""

from typing import Any, ClassVar


class StoreError(Exception):
    """The root of the tree.

    `retryable`: whether the same call may simply be repeated, unchanged. Where it is False, something has to be done
    first (load the session again after HeadRevisionConflict, free some space after StoreFull); the message says what.
    """

    retryable: ClassVar[bool] = False

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own pickling calls the class with the message alone, which no class below would take.
        return _restore, (type(self), self.args, self.__dict__)


def _restore(kind: type[StoreError], args: tuple[Any, ...], fields: dict[str, Any]) -> StoreError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(fields)
    return error
