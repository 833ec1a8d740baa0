"""The parts that run a live PyTorch model."""
