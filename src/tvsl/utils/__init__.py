"""Files, folders, devices and processes: what every package needs."""
