"""The store in PostgreSQL: the mirror in one schema, rtsd's own tables in another."""
