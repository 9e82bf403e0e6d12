"""From a fresh environment to a first answer: installing, and the first command of each extra.

    python -m benchmarks.first_answer [--extra scan ...]    # in a clone; needs the package index

Each extra gets an environment of its own with this Python. The seconds of the installation hold the
download or, where pip has a cache, the unpacking; those of the first command hold what any program
reads from disk for the first time. `gpu`, `beam`, `torch` and `serving` are left out: their first
command needs a GPU, a cluster, a published checkpoint or a server.
"""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile
import time

from benchmarks import harness

ROOT = pathlib.Path(__file__).parents[1]
MODEL = str(ROOT / "saved_models" / "everyday-sounds")
SOUNDS = ROOT / "examples" / "sounds"
PREDICT = ["predict", MODEL, str(SOUNDS / "tabla.ogg")]
SCAN = ["scan", MODEL, str(SOUNDS), "--out", "{out}/scan"]
# The commands that come first. {out} is a new folder.
COMMANDS: dict[str, list[list[str]]] = {
    "": [PREDICT],
    "io": [PREDICT],
    "scan": [SCAN],
    "app,scan": [SCAN, ["app", MODEL, "--scan", "{out}/scan", "--port", "0"]],
}
CONSTRAINTS = {"io": "constraints-io.txt"}


def installed(extra: str, folder: str) -> tuple[pathlib.Path, float]:
    """Make an environment; return its commands' folder and the seconds that it took."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = pathlib.Path(folder, "Scripts" if sys.platform == "win32" else "bin", "python")
    constraints = ROOT / CONSTRAINTS.get(extra, "constraints.txt")
    what = f"{ROOT}[{extra}]" if extra else str(ROOT)
    command = [str(python), "-m", "pip", "install", "--quiet", "--constraint", str(constraints)]
    subprocess.run([*command, what], check=True)
    return python.parent, time.perf_counter() - began


def answer(commands: pathlib.Path, arguments: list[str], folder: str) -> float:
    """Return the seconds from the start of a command to its answer: its end, or its page."""
    began = time.perf_counter()
    command = [str(commands / "vipann-tf"), *arguments]
    with subprocess.Popen(
        command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        said = ""
        for line in process.stdout or ():
            said += line
            if "app" in arguments and re.search(r"https?://", line):
                process.terminate()
                return time.perf_counter() - began
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{said}")
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--extra", nargs="*", default=list(COMMANDS), choices=COMMANDS)
    rows = []
    for extra in parser.parse_args().extra:
        with tempfile.TemporaryDirectory() as folder:
            print(f"installing {extra or 'the package'} ...", file=sys.stderr)
            commands, install_s = installed(extra, f"{folder}/environment")
            seconds: list[list[float]] = []
            for turn in ("first", "second"):
                lines = [[x.format(out=f"{folder}/{turn}") for x in c] for c in COMMANDS[extra]]
                seconds.append([answer(commands, line, folder) for line in lines])
            first, again = sum(seconds[0]), sum(seconds[1])
        shown = " then ".join(f"`{line[0]}`" for line in COMMANDS[extra])
        rows.append([extra or "none", shown, f"{install_s:.0f}", f"{first:.1f}", f"{again:.1f}"])
        print(*rows[-1], file=sys.stderr)
    print(harness.table(["extra", "commands", "install, s", "first answer, s", "again, s"], rows))


if __name__ == "__main__":
    main()
