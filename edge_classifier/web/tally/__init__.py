"""How many records of each kind there were on each day: kept by triggers, read by pages."""
