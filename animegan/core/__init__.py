"""What knows nothing of GANs: errors, files, pictures, pages, processes that work in parallel."""
