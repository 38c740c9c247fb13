"""What a user may set: plain frozen values, and the ways in and out of them."""
