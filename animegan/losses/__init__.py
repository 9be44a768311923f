"""From logits to losses: the objectives and the penalties."""
