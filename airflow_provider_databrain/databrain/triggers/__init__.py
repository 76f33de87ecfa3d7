"""Databrain's triggers. They only read from the API, and their arguments hold no secret."""
