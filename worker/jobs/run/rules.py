"""The transform rules that the settings ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.transform.cutoff import Cutoff
from worker.transform.message import Rules

if TYPE_CHECKING:
    from worker.settings import Settings


def rules_of(settings: Settings) -> Rules:
    """Return the transform rules that the settings ask for."""
    return Rules(Cutoff(settings.cutoff, settings.cutoff_until), settings.ignored)
