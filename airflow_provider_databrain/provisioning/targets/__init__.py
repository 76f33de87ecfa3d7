"""The vendors, each behind the same small seam."""
