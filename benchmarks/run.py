"""Runs every benchmark that this machine allows and rewrites RESULTS.md.

    python -m benchmarks.run [--only [NAME ...]]

Each benchmark is a module bench_NAME that prints a section. The sections are kept in `sections/`,
so that one can be measured anew without the others (`--only` alone puts together what is there);
each says when, at which commit and under which load.
"""

import argparse
import datetime
import importlib.metadata
import os
import pathlib
import platform
import subprocess
import sys
import tempfile

from benchmarks import bench_data

HERE = pathlib.Path(__file__).resolve().parent
SECTIONS = HERE / "sections"
# In the order of RESULTS.md. The first two take longest.
NAMES = (
    "inference",
    "training_step",
    "draws",
    "validation",
    "growth",
    "logmel",
    "data",
    "cached_head",
    "learn",
    "startup",
    "keras_layers",
    "serving",
)
SHIPPED = "saved_models/esc10-drop"
BASE = "saved_models/everyday-sounds"
PACKAGES = (
    "tensorflow",
    "tf-keras",
    "tensorflow-probability",
    "numpy",
    "torch",
    "bayesian-torch",
    "torchlibrosa",
)


def machine() -> str:
    """Processor, cores and memory, without the machine's name."""
    lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), "")
    flags = next((x.split() for x in lines if x.startswith("flags")), [])
    units = [unit for unit in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if unit in flags]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{model or platform.machine()}, {os.cpu_count()} cores, {', '.join(units)}, "
        f"{memory:.0f} GiB, Python {platform.python_version()}"
    )


def versions() -> str:
    """The packages that are compared, those that are here."""
    found = []
    for package in PACKAGES:
        try:
            found.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"{package} absent")
    return ", ".join(found)


def rates() -> str:
    """Floating-point operations per second of a matrix product, by TensorFlow."""
    code = (
        "import tensorflow as tf; from benchmarks.floor import matmul_rate as r; "
        "print(f'{r(tf.float32)/1e9:.0f} GFLOP/s in float32, {r(tf.bfloat16)/1e9:.0f} in bfloat16')"
    )
    return _output([sys.executable, "-c", code]).strip()


def _output(command: list[str], **kwargs) -> str:
    return subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True, cwd=HERE.parent, **kwargs
    ).stdout


def section(name: str) -> str:
    """What a benchmark prints, and where and when."""
    command = [sys.executable, "-m", f"benchmarks.bench_{name}"]
    with tempfile.TemporaryDirectory() as scratch:
        data, model = f"{scratch}/esc10", f"{scratch}/det-flip"
        cli = [sys.executable, "-m", "vipann_tf.cli"]
        if name in ("cached_head", "draws", "learn"):
            _output([*cli, "prepare", "esc50", str(bench_data.ESC10), data, "--subset", "esc10"])
        if name in ("cached_head", "learn"):
            command += ["--data", data]
        elif name == "draws":
            options = f"--strategy det-flip --base {BASE} --data {data} --out {model} --test-fold 5"
            _output([*cli, "transfer", *options.split(), "--recipe", "transfer/small_fixed"])
            command += ["--model", model]
        elif name == "serving":
            command += [SHIPPED]
        text = _output(command)
    commit = _output(["git", "rev-parse", "--short", "HEAD"]).strip()
    load = os.getloadavg()[2]
    return (
        f"{text.strip()}\n\n*`python -m benchmarks.run --only {name}`, commit {commit}, "
        f"{datetime.date.today()}, load average of the last 15 minutes {load:.1f}*\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", choices=NAMES, default=NAMES, metavar="NAME")
    args = parser.parse_args()
    SECTIONS.mkdir(exist_ok=True)
    failed = []
    for name in args.only:
        print(f"== {name}", file=sys.stderr, flush=True)
        try:
            (SECTIONS / f"{name}.md").write_text(section(name), encoding="utf-8")
        except subprocess.CalledProcessError:
            failed.append(name)
    found = [SECTIONS / f"{name}.md" for name in NAMES]
    head = (
        "# What was measured\n\n"
        "Written by `make bench`. Ratios compare parts that took turns in one run; seconds differ "
        "between machines and times of day. Brackets give minimum and maximum.\n\n"
        f"- {machine()}\n- {versions()}\n- matrix products: {rates()}\n"
    )
    parts = [head, *(path.read_text(encoding="utf-8") for path in found if path.exists())]
    notes = SECTIONS / "notes.md"
    if notes.exists():
        parts.append(notes.read_text(encoding="utf-8"))
    (HERE / "RESULTS.md").write_text("\n".join(parts), encoding="utf-8")
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}; their sections are the old ones")


if __name__ == "__main__":
    main()
