"""The embedded PostgreSQL: a server of our own, for the person who has none."""

from worker.load.embedded.embedded_server import EmbeddedServer

__all__ = ["EmbeddedServer"]
