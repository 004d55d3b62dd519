"""Generated rows for a new org."""
