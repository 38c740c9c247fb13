"""Pure values and functions: the standard library, numpy and each other, no input or output."""
