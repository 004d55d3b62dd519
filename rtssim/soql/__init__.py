"""SOQL: a real parser and a planner onto the org's own SQLite store."""
