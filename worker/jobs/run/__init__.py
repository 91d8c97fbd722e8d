"""A run, from its beginning to its outcome, and where it works."""
