"""Metadata API: deployments of a zip, and the objects, fields and Apex that they create or remove."""
