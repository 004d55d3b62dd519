"""rtstui: the terminal dashboard operators watch."""

PROGRAM = "rtstui"
"""What rtsd's journal names as the program by which somebody acted."""
