"""What the classes of a model are called, and the tree of names above them."""
