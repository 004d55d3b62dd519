"""The event bus: platform events and change events, kept for 72 hours and read from any position."""
