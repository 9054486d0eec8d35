# SPDX-License-Identifier: Apache-2.0
"""Run lines of the command where packages are not to be found: ``python hidden.py PACKAGE,... LINE ;; LINE``."""

import sys


class Without:
    """A finder that does not find some packages."""

    def __init__(self, inner, names):
        self.inner, self.names = inner, names

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def find_spec(self, fullname, path=None, target=None):
        return None if fullname.partition(".")[0] in self.names else self.inner.find_spec(fullname, path, target)


def main():
    names, *words = sys.argv[1:]
    sys.meta_path[:] = [Without(f, set(names.split(","))) if hasattr(f, "find_spec") else f for f in sys.meta_path]
    from adafocal.cli import main as command

    for line in " ".join(words).split(";;"):
        print(f"status {command(line.split())}", flush=True)


if __name__ == "__main__":
    main()
