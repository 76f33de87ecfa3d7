"""What Databrain's deferred tasks wait for. Triggers only read, and their arguments hold no secret."""
