"""The records of a walk that wait until there are enough of them to be written to the warehouse together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from worker.records import Communication

if TYPE_CHECKING:
    from worker.records import Rejected

BATCH_ENTRIES = 1000
BATCH_BYTES = 8 * 1024 * 1024


@dataclass(slots=True)
class RecordBuffer:
    """Records in the order in which they were read, usable and unusable ones apart."""

    communications: list[Communication] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    size_bytes: int = 0

    @property
    def is_full(self) -> bool:
        """Whether there are enough records, or bytes of them, to be written."""
        return len(self.communications) + len(self.rejected) >= BATCH_ENTRIES or self.size_bytes >= BATCH_BYTES

    def add(self, record: Communication | Rejected) -> None:
        """Take in one record."""
        if isinstance(record, Communication):
            self.communications.append(record)
            self.size_bytes += len(record.resource)
        else:
            self.rejected.append(record)
            self.size_bytes += len(record.entry)

    def __bool__(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.communications or self.rejected)
