"""What reviewers say of records, and the dataset that comes of it."""
