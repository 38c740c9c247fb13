"""Cameras: sources of frames, and the thread that keeps the newest one."""
