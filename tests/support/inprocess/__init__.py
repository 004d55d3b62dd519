"""A daemon's parts in this process, beside a simulated org."""
