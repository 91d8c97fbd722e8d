"""Payload → text and safe HTML. Everything in here is pure."""
