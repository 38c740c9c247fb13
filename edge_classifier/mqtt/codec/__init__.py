"""Every payload, written and read in one place, so that daemon and page cannot drift apart."""
