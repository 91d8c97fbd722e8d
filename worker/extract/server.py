"""A server that is asked, as the process knows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from worker.extract.pace import Pace
from worker.extract.patience import Patience, Reach

if TYPE_CHECKING:
    from worker.extract.transport import Proxy


@dataclass(slots=True)
class Server:
    """A server that is asked, and how it has been answering.

    `name`, `setting` and `speaks` are for messages. `probe_url` is something small to ask for when it must be found out
    whether the server is gone, or one request hangs for ever.
    """

    name: str
    setting: str
    speaks: str
    patience: Patience
    proxy: Proxy | None = None
    probe_url: str | None = None
    reach: Reach = field(default_factory=Reach)
    pace: Pace = field(default_factory=Pace)
    said_at: float | None = None
    """When somebody last said that it does not answer; None if it has answered since."""
