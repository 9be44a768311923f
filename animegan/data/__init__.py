"""Data loading: list a folder, decode it once into a cache, draw batches in [-1, 1] by step."""
