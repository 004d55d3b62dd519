"""Helpers for tests of the simulated org."""
