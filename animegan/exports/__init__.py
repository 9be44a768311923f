"""Generators for other programs: weight files, graphs, pages, repositories."""
