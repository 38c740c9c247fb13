"""Runs a network: the TFLite runtime, its delegates, and the child process that tries them."""
