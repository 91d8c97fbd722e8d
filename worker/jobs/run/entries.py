"""The entries of one search for messages, each decoded once, however often the search shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.extract.content_hash import hash_entry
from worker.extract.entry import read_entry
from worker.jobs.run import acceptance
from worker.jobs.run.tally import Shown, Tally
from worker.records import Communication, NonMatch

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from worker.jobs.run.tally import Key
    from worker.load.fingerprints import Seen
    from worker.records import Page, Rejected, Search


class Entries:
    """What a walk was shown. `tally` counts it; `keys` has each version that was seen, by its raw hash.

    `known` are the ids that were seen before the walk. Elements in `ignored` make no new version of an entry.
    """

    def __init__(self, search: Search, known: Collection[Key] = frozenset(), *, ignored: tuple[str, ...] = ()) -> None:
        self.tally = Tally(known)
        self.keys: dict[bytes, Key] = {}
        self._search = search
        self._ignored = ignored

    def look(self, page: Page, usable: Mapping[bytes, Seen]) -> tuple[Shown, list[Communication | Rejected]]:
        """Return what a page shows, for `tally`, and the records on it that were not seen before.

        `usable` are entries that need not be decoded, by their raw hash. If a later answer has already shown another
        version of a message, the older version is counted but not returned. That happens when pages are read
        concurrently.
        """
        keys: list[Key] = []
        raw_hashes: list[bytes] = []
        new: list[Communication | Rejected] = []
        strangers, is_whole = 0, True
        for entry in page.entries:
            raw_hash = hash_entry(entry)
            key = self.keys.get(raw_hash)
            if key is None and (held := usable.get(raw_hash)) is not None:
                key = self.keys[raw_hash] = held.id
            if key is None:
                record = read_entry(entry, raw_hash, self._ignored)
                if isinstance(record, NonMatch):
                    is_whole = is_whole and not record.not_whole
                    continue
                key = record.id or raw_hash
                if isinstance(record, Communication):
                    record, is_stranger = acceptance.judged(record, entry, self._search)
                    strangers += is_stranger
                if not self.tally.has_newer(key, page.requested):
                    self.keys[raw_hash] = key
                    new.append(record)
            keys.append(key)
            raw_hashes.append(raw_hash)
        return Shown(keys, raw_hashes, strangers, is_whole), new
