"""Rows of the org: DML, transactions, merges, replication, schema changes."""
