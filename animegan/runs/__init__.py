"""What a run leaves behind: its folder, weight files, states and sample grids."""
