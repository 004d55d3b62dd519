"""Generated CRM data, and the lively edits a demo org sees."""
