"""Many devices at once, against PostgreSQL."""
