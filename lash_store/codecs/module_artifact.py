"""Module artifacts: compact JSON that the store does not interpret (specification 3.18)."""

from typing import Final

from lash_store.errors import InvalidRecord
from lash_store.records import json_text
from lash_store.records.layout import Unfit

_KIND: Final = "module artifact"


def module_ref_of(artifact: bytes) -> str:
    """The reference under which an artifact is kept, as it names itself.

    Whether the reference fits the program in it only the language's own implementation can tell. Raises InvalidRecord
    if the bytes are no JSON object with a text `module_ref`, once.
    """
    try:
        value = json_text.parse(artifact)
    except Unfit as unfit:
        raise InvalidRecord(_KIND, unfit.path, unfit.reason) from None
    if not isinstance(value, dict):
        raise InvalidRecord(_KIND, "$", f"expected an object, got a {type(value).__name__}")
    repeated = isinstance(value, json_text.RepeatedKeys) and "module_ref" in value.repeated
    if repeated or not isinstance(value.get("module_ref"), str):
        raise InvalidRecord(_KIND, "$.module_ref", "expected a string, once")
    return str(value["module_ref"])
