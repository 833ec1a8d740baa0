"""What captures of static graphs (ONNX, and traced programs of other frameworks) share: no framework is imported here, only numpy."""
