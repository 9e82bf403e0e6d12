"""Where the package installs: a table of platforms, Pythons and extras.

    python -m benchmarks.platforms            # needs uv and a package index; installs nothing

pip's `--dry-run --platform` reads markers such as `sys_platform` as those of the machine that it
runs on; uv reads them as those of the platform asked for.
"""

import configparser
import pathlib
import re
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
PLATFORMS = {
    "Linux x86_64": "x86_64-manylinux_2_28",
    "Linux aarch64": "aarch64-manylinux_2_28",
    "Windows x86_64": "x86_64-pc-windows-msvc",
    "macOS arm64": "aarch64-apple-darwin",
    "macOS x86_64": "x86_64-apple-darwin",
}
PYTHONS = ("3.10", "3.13")


def requirements() -> dict[str, list[str]]:
    """Lines of requirements: of the package, and of it with each extra."""
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg", encoding="utf-8")
    base = _lines(settings["options"]["install_requires"])
    extras = settings["options.extras_require"]
    return {"-": base} | {extra: base + _lines(text) for extra, text in extras.items()}


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def resolve(lines: list[str], platform: str, python: str) -> str:
    """Return the number of packages, or "no" and the first that has none."""
    command = ["uv", "pip", "compile", "-", "--quiet", "--no-header", "--no-annotate"]
    command += ["--only-binary", ":all:", "--python-platform", platform, "--python-version", python]
    done = subprocess.run(
        command, input="\n".join(lines), capture_output=True, encoding="utf-8", cwd=_EMPTY
    )
    if done.returncode == 0:
        return f"{len(done.stdout.splitlines())} packages"
    reason = next((x for x in done.stderr.splitlines() if "Because " in x), done.stderr.strip())
    return "no: " + re.findall(r"[\w.-]+", reason.partition("Because ")[2] or reason)[0]


_EMPTY = tempfile.gettempdir()  # no project's settings


def main() -> None:
    print(f"| extra | Python | {' | '.join(PLATFORMS)} |")
    print("| --- | --- |" + " --- |" * len(PLATFORMS))
    for extra, lines in requirements().items():
        for python in PYTHONS:
            found = [resolve(lines, platform, python) for platform in PLATFORMS.values()]
            print(f"| {extra} | {python} | {' | '.join(found)} |", flush=True)


if __name__ == "__main__":
    main()
