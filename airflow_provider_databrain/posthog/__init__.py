"""PostHog: its API, hook, target, operators, sensor, trigger and links."""
