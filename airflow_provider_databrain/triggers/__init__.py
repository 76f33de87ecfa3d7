"""Triggers: what deferred tasks wait for. They only read, and their arguments hold no secret."""
