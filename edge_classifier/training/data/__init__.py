"""What a network learns from: pictures found, varied and read in batches."""
