"""rtstui: the terminal dashboard operators watch."""
