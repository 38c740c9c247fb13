"""The long-running process: the loop, its commands, its capture store, its health."""
