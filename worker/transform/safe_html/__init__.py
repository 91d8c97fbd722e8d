"""HTML → HTML that is safe to show again, and shows the same text."""
