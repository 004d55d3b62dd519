"""Synchronisation: changes from every source enter one mirror through one ordering rule."""
