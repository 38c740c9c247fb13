"""Everything that touches pixels or models, in a child process that ends when it is idle."""
