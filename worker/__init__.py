"""Canvas Message Mirror: patient–practitioner messages from Canvas Medical into PostgreSQL."""
