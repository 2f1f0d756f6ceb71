"""A made-up audio-visual world with exact ground truth, made from a seed and nothing else."""
