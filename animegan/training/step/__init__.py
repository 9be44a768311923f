"""One batch."""
