"""Class folders of pictures: reading, checking, splitting and filling them. No torch."""
