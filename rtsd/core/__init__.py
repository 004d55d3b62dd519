"""The rules of the domain: values in, values out; no I/O, no event loop, no clock."""
