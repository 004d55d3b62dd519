"""What a verb does beyond one question to the daemon: check an org, deploy the package, play the demo."""
