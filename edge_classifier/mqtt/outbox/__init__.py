"""What waits on disk until the broker has it: events, their numbers, their pictures."""
