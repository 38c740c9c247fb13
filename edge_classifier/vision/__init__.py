"""Pictures as files and as arrays: decoding, preprocessing, drawing."""
