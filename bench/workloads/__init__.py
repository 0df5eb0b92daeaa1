"""One module per group of benchmarks; each yields rows."""
