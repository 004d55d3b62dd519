"""The store in SQLite: a file for the mirror, and one for the inbox."""
