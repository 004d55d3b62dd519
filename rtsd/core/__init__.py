"""The rules of the domain: pure functions and values, without I/O, event loop or clock."""
