"""The tests; a package, so that they find tests.support under one name from everywhere."""
