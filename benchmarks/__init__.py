"""
Measure this library beside the others, in one run on one machine.

``python -m benchmarks all`` starts every server it finds, drives each with the same load
generator (``c/wsload.c``, which compares what comes back), and writes a Markdown table.
"""

from __future__ import annotations
