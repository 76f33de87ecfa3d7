"""Conduit: its API, hook and operators."""
