"""What the benchmarks share, and the parts of the larger ones."""
