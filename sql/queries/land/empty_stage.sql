-- Before a batch is staged: a transaction may land several, one after the other.
DELETE FROM pg_temp.incoming
