"""Which recorded pictures look alike, and which look like nothing that was there before."""
