"""The parts of the measurement that run PyTorch."""
