"""Tests of the benchmarks: their arithmetic, their check for lost commits, and that they run."""
