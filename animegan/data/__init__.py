"""From a folder of pictures to batches in [-1, 1]: list, decode once into a cache, draw by step."""
