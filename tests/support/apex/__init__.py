"""What the package's source is checked with."""
