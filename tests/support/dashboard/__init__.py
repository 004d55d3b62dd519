"""rtstui on a fake daemon."""
