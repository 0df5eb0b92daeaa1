"""What the coordinator decides: message in, list of effects out. No sockets, files, clocks."""
