"""Comparisons with what a user would use instead of this provider. They are run by hand, never by the tests."""
