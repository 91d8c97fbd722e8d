-- Whether this role may create what is missing of the schemas $1, and owns those that are there.
SELECT bool_and(
    CASE
        WHEN n.oid IS NULL THEN has_database_privilege(current_database(), 'CREATE')
        ELSE pg_has_role(n.nspowner, 'USAGE')
    END
)
FROM unnest($1::text[]) AS wanted (name)
LEFT JOIN pg_namespace AS n ON n.nspname = wanted.name
