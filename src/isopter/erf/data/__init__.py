"""Inputs to measure on: any form of data as numbered samples, the same in every process."""
