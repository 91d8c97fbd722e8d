"""Records → PostgreSQL: pool, embedded server, migrations, landing, ledger, quarantine."""
