"""The emulated PostHog API."""
