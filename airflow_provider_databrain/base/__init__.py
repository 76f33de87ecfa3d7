"""The base classes that the hooks, operators, sensors and triggers of every vendor share."""
