"""Holds the emulated PostHog against recordings of a real one: ``python -m ...emulator.compare FOLDER``."""
