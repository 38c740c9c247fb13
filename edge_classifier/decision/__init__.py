"""From scores over time to one stable label: pure steps without a clock of their own."""
