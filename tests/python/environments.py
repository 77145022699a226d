"""Python environments beside the tests' own, for tools whose requirements would not agree with it."""

import os
import pathlib
import subprocess
import sys

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "dynaberg"


def programs_of(*packages):
    """The folder with the programs of `name==version`, installed once into the user's cache."""
    folder = CACHE / "-".join(packages).replace("==", "-")
    if not (folder / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True, timeout=300)
        subprocess.run([folder / "bin/python", "-m", "pip", "install", "--quiet", *packages], check=True, timeout=900)
        (folder / "complete").touch()
    return folder / "bin"
