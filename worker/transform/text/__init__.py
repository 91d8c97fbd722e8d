"""HTML → the text that its reader saw."""
