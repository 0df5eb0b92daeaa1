"""The coordinator process, and what other processes share with it."""
