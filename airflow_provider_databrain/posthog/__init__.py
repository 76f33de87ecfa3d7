"""PostHog: its API, hook, operators, sensor and trigger."""
