"""AudioCLIP, compatible with the public checkpoints (Sec. 3.1)."""
