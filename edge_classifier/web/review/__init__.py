"""Reviews of records, and the dataset that they make."""
