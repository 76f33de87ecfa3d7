"""Sensors: poke, reschedule and deferrable, with one predicate for all three."""
