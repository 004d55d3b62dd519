"""The RTS Apex package as it behaves once installed: triggers, pushes, heartbeats, settings."""
