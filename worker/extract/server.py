"""What the process knows of a server that it asks."""

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

    `name`, `setting` and `speaks` are for messages. `probe_url` is a small request that shows whether the server is
    away, or only one request hangs.
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
    """When it was last logged that the server does not answer; None if it has answered since."""
