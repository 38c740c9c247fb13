"""What is in a .tflite file beside the network, and where model files come from."""
