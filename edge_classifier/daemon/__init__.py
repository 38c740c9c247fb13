"""The long-running process: the loop, its commands, its keepsakes, its health."""
