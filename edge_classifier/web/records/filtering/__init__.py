"""Parts of the filter: fields, names, and conditions that use no index."""
