"""Verbs that take more than one request to the daemon: check an org, deploy the package, run the demo."""
