"""Capture of PyTorch models: run once on the meta device, record every ATen call, translate each to a neutral op."""
