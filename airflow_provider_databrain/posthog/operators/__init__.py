"""PostHog's operators: one module for each noun."""
