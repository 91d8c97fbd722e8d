"""Poisoned records: messages on which our own code fails, wherever in deriving a record that may be.

A stage is a function that a record passes through while it is read or derived. `stages` finds them in the modules that
do so, so that a new one cannot be forgotten; `failing` lets one of them fail on whatever mentions the poison.
"""

from __future__ import annotations

import functools
import inspect
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import msgspec

from tests.integration.bare_source import letter
from worker.defects import guarded
from worker.extract import bundle, entry
from worker.jobs.run import acceptance
from worker.jobs.run.plan import Selection
from worker.jobs.verify import differences
from worker.transform import bodies, message
from worker.transform.text.fallback import text_without_structure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

POISON = "131313"
"""In every field of a poisoned record; as microseconds in its dates."""
_POISONED_DATE = f"2024-05-04T10:00:00.{POISON}Z"

# The guards themselves, what has no record, and what is called of a record that has failed already.
_NO_STAGES = frozenset(
    (
        *("guarded", "read_entry", "read_resource", "to_messages", "_by_itself", "salvaged", "decode_page", "_fail"),
        *("hash_entry", "slow_bodies", "read_plainly"),
    )
)


def poisoned(message_id: str = f"poison-{POISON}", **changed: Any) -> dict[str, Any]:
    """Return a message that mentions the poison wherever it can, with two bodies that are read in either way."""
    return letter(
        message_id,
        **{
            "status": f"completed-{POISON}",
            "sent": _POISONED_DATE,
            "received": _POISONED_DATE,
            "recipient": [{"reference": f"Patient/pa{POISON}"}],
            "payload": [{"contentString": f"<p>One {POISON}</p>"}, {"contentString": f"Two {POISON}"}],
            **changed,
        },
    )


def stages() -> dict[str, Callable[..., Any]]:
    """Return every stage by its module and name: what the modules that derive a record define, and use of others."""
    found: list[Callable[..., Any]] = [
        function
        for module in (bundle, entry, message, bodies)
        for name, function in vars(module).items()
        if inspect.isfunction(function) and function.__module__.startswith("worker.") and name not in _NO_STAGES
    ]
    found += [acceptance.belongs, differences.judge, Selection.wants, text_without_structure]
    return {f"{one.__module__.removeprefix('worker.')}.{one.__qualname__}": one for one in found}


@contextmanager
def failing(*names: str, error: type[BaseException] = IndexError) -> Iterator[list[str]]:
    """Let these stages fail on whatever mentions the poison. Gives the list of those that did, once for each time."""
    threw: list[str] = []
    with ExitStack() as stack:
        for name in names:
            stage = stages()[name]
            broken = _broken(stage, name, threw, error)
            for owner, attribute in _bound(stage):
                stack.enter_context(patch.object(owner, attribute, broken))
        yield threw


@contextmanager
def unguarded() -> Iterator[None]:
    """Sabotage: the guard is removed everywhere."""
    with ExitStack() as stack:
        for owner, attribute in _bound(guarded):
            stack.enter_context(patch.object(owner, attribute, lambda derive, _otherwise: derive()))
        yield


def _broken(stage: Callable[..., Any], name: str, threw: list[str], error: type[BaseException]) -> Callable[..., Any]:
    @functools.wraps(stage)
    def broken(*arguments: Any, **named: Any) -> Any:
        if _mentions_poison((arguments, named)):
            threw.append(name)
            raise error(f"words that must not be logged: {POISON}")
        return stage(*arguments, **named)

    return broken


def _bound(function: Callable[..., Any]) -> list[tuple[Any, str]]:
    """Return where a function is bound: the modules of the mirror that name it, and the class that it is of."""
    modules = [module for name, module in list(sys.modules.items()) if name.startswith("worker.")]
    return [
        (owner, attribute)
        for owner in (*modules, Selection)
        for attribute, value in list(vars(owner).items())
        if value is function
    ]


def _mentions_poison(value: Any) -> bool:
    if isinstance(value, str):
        return POISON in value
    if isinstance(value, bytes | msgspec.Raw):
        return POISON.encode() in bytes(value)
    if isinstance(value, datetime):
        return value.microsecond == int(POISON)
    if isinstance(value, dict):
        return any(map(_mentions_poison, value.items()))
    if isinstance(value, list | tuple | set | frozenset):
        return any(map(_mentions_poison, value))
    if isinstance(value, msgspec.Struct):
        return any(_mentions_poison(getattr(value, name)) for name in value.__struct_fields__)
    if is_dataclass(value):
        return any(_mentions_poison(getattr(value, field.name)) for field in fields(value))
    return False
