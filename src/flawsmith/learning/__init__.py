"""The anomaly stream, the one training loop, and its checkpoints."""
