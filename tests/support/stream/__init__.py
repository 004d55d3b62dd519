"""The other ends of a subscriber: a network that fails, and what takes its events."""
