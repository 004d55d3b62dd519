"""The org's objects and fields, as describe tells them."""
