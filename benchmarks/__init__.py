"""Comparisons with what a user would use instead. Run by hand, never by the tests."""
