"""Conduit: its API, hook, target and operators."""
