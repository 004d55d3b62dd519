"""Objects and fields of the org, and their describe documents."""
