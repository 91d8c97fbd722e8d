"""Canvas Message Mirror: patient–practitioner messages from Canvas Medical into PostgreSQL."""

__version__ = "0.1.0"
