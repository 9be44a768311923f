"""What the benchmarks share: trainers, timing in turn, judging, tables, flags."""
