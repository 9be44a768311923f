"""From words to a Config, without torch."""
