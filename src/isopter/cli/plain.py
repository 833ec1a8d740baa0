"""What the command line prints without click, and how it prints."""

import os
import sys

HELP = """\
Usage: isopter COMMAND MODEL [OPTIONS]

  What a neural network can see: the exact receptive field of every layer.

Commands:
  table   Size, stride and start of every layer's field
  unit    What one unit of a layer sees
  paths   How many routes through the network give each field size
  erf     How much of it a layer uses: the effective field
  verify  Hold the analysis against the real model
  report  All of it as one interactive HTML file

MODEL is one of:
  pkg.module:factory    a class, function or model (PyTorch, Keras,
                        TensorFlow, JAX); runs that code
  file.py:Net           the same, from a file
  torchvision:NAME      a model by name, with random weights; also timm:NAME
                        and keras:NAME (of keras.applications)
  x.pt2                 a program written by torch.export.save
  x.onnx, x.keras       an ONNX file, a model saved by Keras 3
  folder                a TensorFlow SavedModel
  x.json                an analysis written by table -f json, or to_json
  "conv 7 s2 p3, ..."   a layer text

Options:
  --version   Print the version
  -h, --help  Print this; isopter COMMAND --help tells more

Example:
  isopter table "conv 7 s2 p3, pool 3 s2 p1, [conv 3 p1]*4"

Exit status: 0 fine, 1 verification failed, 2 usage, 3 the model could not be
loaded or run, 4 incomplete under --strict.
"""


def emit(text: str) -> None:
    """Write to standard output. Where its reader has had enough (``| head``), quietly stop."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still buffered must go somewhere at exit
