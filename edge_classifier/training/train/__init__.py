"""The stages of training, and the loop that runs each."""
