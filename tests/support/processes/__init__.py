"""Org and daemon as real processes, and those who push to them."""
