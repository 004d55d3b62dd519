"""The Unix socket operators and rtstui use: protocol, feed, server, client."""
