"""Cameras of real stacks: RTSP servers, libcamera, and Video4Linux in a virtual machine."""
