"""PostHog's API as values."""
