"""The PostgreSQL that rows are landed in: connections, sessions, locks, migrations, and what its errors mean."""
