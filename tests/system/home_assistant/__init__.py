"""The real Home Assistant beside a broker."""
