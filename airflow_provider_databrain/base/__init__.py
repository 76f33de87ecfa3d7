"""What the hooks, operators, sensors and triggers of all vendors share."""
