"""Training: the mini AudioCLIP from scratch (Eq. 1), and heads on frozen tokens."""
