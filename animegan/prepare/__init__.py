"""Turn a pile of pictures into a clean training set; check existing sets."""
