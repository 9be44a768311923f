"""`prepare`: a pile of illustrations becomes cropped faces."""
