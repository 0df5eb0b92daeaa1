"""The worker process: hosts a share of one simulation's agents in one Lua state."""
