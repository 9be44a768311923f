"""Pages on this machine: the studio."""
