"""The workstation's part: networks in torch and their export. Never imported on a device."""
