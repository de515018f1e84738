"""Build the documentation: ``python -m scripts.lib.docs [--fresh]``."""

from __future__ import annotations

import argparse
import sys
import time

from .building import HTML, build, try_prompts


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/docs")
    parser.add_argument("--fresh", action="store_true", help="build all of it, whatever has changed")
    options = parser.parse_args()
    start = time.monotonic()
    failed = [each.text for each in (build(fresh=options.fresh), try_prompts()) if not each.passed]
    for text in failed:
        print(text, file=sys.stderr)
    if failed:
        return 1
    print(f"{HTML / 'index.html'}: {time.monotonic() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
