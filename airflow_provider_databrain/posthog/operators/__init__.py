"""PostHog's operators."""
