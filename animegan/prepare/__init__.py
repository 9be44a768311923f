"""From a pile of pictures to a clean training set, and a check of sets that exist."""
