"""The engine: every change, whatever its source, goes through one ordering rule into one mirror."""
