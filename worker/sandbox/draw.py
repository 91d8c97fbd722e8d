"""Choices that look random and are not: the same seed and number give the same ones, on any machine."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")


class Draw:
    """A hash of (seed, purpose, number), spent choice by choice.

    Its 512 bits last for some 40 choices. It needs no order of calls between one message and the next: that
    lets any message be rendered alone.
    """

    __slots__ = ("_bits",)

    def __init__(self, seed: int, purpose: str, number: int) -> None:
        self._bits = int.from_bytes(blake2b(b"%d %s %d" % (seed, purpose.encode(), number)).digest(), "big")

    def below(self, limit: int) -> int:
        """Return a whole number from 0 up to, not including, `limit`."""
        self._bits, choice = divmod(self._bits, limit)
        return choice

    def pick(self, options: Sequence[T]) -> T:
        """Return one of `options`."""
        return options[self.below(len(options))]

    def happens(self, per_mille: int) -> bool:
        """Return True in `per_mille` of 1,000 cases."""
        return self.below(1000) < per_mille
