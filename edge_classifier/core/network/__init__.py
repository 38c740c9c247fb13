"""Addresses, and why nothing came from one."""
