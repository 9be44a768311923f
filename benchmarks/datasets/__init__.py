"""How well and how fast `prepare` and its detector work."""
