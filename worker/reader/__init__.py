"""Reads bodies that may be slow in a process of its own, whose time and memory are bounded."""
