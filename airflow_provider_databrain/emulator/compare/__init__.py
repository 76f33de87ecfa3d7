"""Compares the emulated PostHog with recordings of a real one: ``python -m ...emulator.compare FOLDER``."""
