"""Pure functions, without a server or a database."""
