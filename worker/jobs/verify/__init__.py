"""Verify: reads everything the other way, and compares."""
