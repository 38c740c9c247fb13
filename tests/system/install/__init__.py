"""Raspberry Pi and Debian as far as this machine allows: installed, booted, emulated."""
