"""The cameras of the daemon: opened, exchanged and closed, and the way of each frame."""
