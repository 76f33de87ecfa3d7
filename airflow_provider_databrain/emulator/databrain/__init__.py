"""The emulated Databrain API."""
