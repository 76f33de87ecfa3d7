"""The emulated PostHog."""
