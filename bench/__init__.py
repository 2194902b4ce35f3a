"""Benchmarks of lash_store, each a module to run: `python -m bench.contention`."""
