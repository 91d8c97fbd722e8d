"""Ways to break the mirror that the proof of bad input must notice."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from unittest.mock import patch

from worker.errors import PageFailed
from worker.extract import bundle, client, entry
from worker.jobs.run import entries
from worker.load import worklist
from worker.records import Communication, NonMatch, Page, Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager


@contextmanager
def _quarantine_keeps_nothing() -> Iterator[None]:
    async def keep_nothing(*_: object, **__: object) -> int:
        return 0

    with patch.object(worklist, "store_rejected", keep_nothing):
        yield


@contextmanager
def _unusable_entries_are_passed_over() -> Iterator[None]:
    def read(raw: bytes, raw_hash: bytes) -> Communication | Rejected | NonMatch:
        record = entry.read_entry(raw, raw_hash)
        return NonMatch(raw_hash) if isinstance(record, Rejected) else record

    with patch.object(entries, "read_entry", read):
        yield


@contextmanager
def _one_entry_fails_its_page() -> Iterator[None]:
    def fail(_body: bytes) -> None:
        raise PageFailed("not_json", "An entry cannot be read.")

    with patch.object(bundle, "_decode_around_entries", fail):
        yield


@contextmanager
def _nul_is_let_through() -> Iterator[None]:
    with patch.object(entry, "_clean", lambda text: text):
        yield


@contextmanager
def _what_is_no_bundle_is_an_empty_one() -> Iterator[None]:
    def decode(body: bytes, url: str) -> Page:
        try:
            return bundle.decode_page(body, url)
        except PageFailed:
            return Page(url, 0, (), None)

    with patch.object(client, "decode_page", decode):
        yield


SABOTAGES: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "quarantine keeps nothing": _quarantine_keeps_nothing,
    "unusable entries are passed over": _unusable_entries_are_passed_over,
    "one unreadable entry fails its page": _one_entry_fails_its_page,
    "a NUL is let through to the database": _nul_is_let_through,
    "what is no Bundle is taken for an empty one": _what_is_no_bundle_is_an_empty_one,
}
