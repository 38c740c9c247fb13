"""What was seen: history, single records, pictures, filters, deletion, exports."""
