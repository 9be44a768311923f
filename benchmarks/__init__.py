"""Evidence for the claims of docs/: what training costs and what it gives."""
