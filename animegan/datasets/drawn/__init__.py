"""Simple drawn faces, the demo's pictures."""
