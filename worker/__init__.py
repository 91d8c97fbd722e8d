"""Canvas Message Mirror: patient–practitioner messages from Canvas Medical into PostgreSQL."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("canvas-message-mirror")
except PackageNotFoundError:
    __version__ = "0+checkout"
