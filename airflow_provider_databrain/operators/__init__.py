"""Operators: thin. Arguments in, hook or provisioning called, ids out."""
