"""The emulated Databrain."""
