"""Verbs that are more than a request to the daemon: check an org, deploy the package, run the demo."""
