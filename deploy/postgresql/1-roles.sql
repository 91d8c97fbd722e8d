-- Run in the warehouse's database, by psql as a superuser or its owner with CREATEROLE. A second run changes nothing.
-- A second instance (WAREHOUSE_SCHEMA=canvas_north, say) in the same database, the same way, for the same two roles:
--   sed -E 's/(SCHEMA|EXISTS) canvas/\1 canvas_north/g' deploy/postgresql/1-roles.sql | psql --dbname=warehouse …
-- For a writer and readers of its own rename the roles as well.

-- The worker. It owns its two schemas and may do nothing else: no CREATE on the database, no other rights.
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'canvas_writer') THEN CREATE ROLE canvas_writer LOGIN; END IF;
END $$;
-- Who is no superuser may make schemas for a role, and set its default privileges, only as a member of it.
GRANT canvas_writer TO CURRENT_USER;
GRANT CONNECT, TEMPORARY ON DATABASE :"DBNAME" TO canvas_writer;
CREATE SCHEMA IF NOT EXISTS canvas AUTHORIZATION canvas_writer;
CREATE SCHEMA IF NOT EXISTS canvas_ops AUTHORIZATION canvas_writer;

-- Those who may read patients' words: GRANT canvas_text_reader TO somebody. Nobody but the worker reads canvas_ops.
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'canvas_text_reader') THEN
        CREATE ROLE canvas_text_reader NOLOGIN;
    END IF;
END $$;
GRANT CONNECT ON DATABASE :"DBNAME" TO canvas_text_reader;
GRANT USAGE ON SCHEMA canvas TO canvas_text_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA canvas TO canvas_text_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE canvas_writer IN SCHEMA canvas GRANT SELECT ON TABLES TO canvas_text_reader;
REVOKE canvas_writer FROM CURRENT_USER;
