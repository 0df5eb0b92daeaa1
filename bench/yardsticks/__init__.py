"""What the runtime is held against: a bare loop, two naive designs, and Mesa."""
