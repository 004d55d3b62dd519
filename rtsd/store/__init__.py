"""The SQLite file; the only package with SQL."""
