"""The zoo: every network of the libraries people use, captured, analysed and proved.

``python -m zoo run`` tries them (resumable), ``python -m zoo table`` writes docs/zoo.md from what was found.
"""
