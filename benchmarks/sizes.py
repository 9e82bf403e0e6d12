"""What an installation takes on disk: the package with what it needs, and what each extra adds.

    python -m benchmarks.sizes            # reads the environment that runs it

An extra that is not installed here whole is said to be absent. Bytecode counts, as pip makes it.
"""

from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from benchmarks import harness

PACKAGE = "vipann-tf"


def needed(name: str, extras: set[str]) -> set[str]:
    """Names of the distributions that one needs, itself included.

    Raises:
      importlib.metadata.PackageNotFoundError: One of them is not installed.
    """
    done: set[tuple[str, frozenset[str]]] = set()
    waiting = [(canonicalize_name(name), frozenset(extras))]
    while waiting:
        item = waiting.pop()
        if item in done:
            continue
        done.add(item)
        for text in metadata.requires(item[0]) or ():
            needs = Requirement(text)
            values = [{"extra": extra} for extra in item[1] or {""}]
            if needs.marker is None or any(map(needs.marker.evaluate, values)):
                waiting.append((canonicalize_name(needs.name), frozenset(needs.extras)))
    return {name for name, _ in done}


def size(name: str) -> int:
    """Bytes on disk, in whole blocks, as `du` counts them, each file once."""
    paths = {Path(str(file.locate())) for file in metadata.files(name) or ()}
    return sum(path.stat().st_blocks * 512 for path in paths if path.is_file())


def main() -> None:
    base = needed(PACKAGE, set())
    rows = [["-", len(base), f"{sum(map(size, base)) / 1e6:.0f}"]]
    extras = metadata.metadata(PACKAGE).get_all("Provides-Extra") or []
    for extra in extras:
        try:
            more = needed(PACKAGE, {extra}) - base
        except metadata.PackageNotFoundError as error:
            rows.append([extra, "", f"not here: {error.name}"])
        else:
            rows.append([extra, len(more), f"{sum(map(size, more)) / 1e6:.0f}"])
    print(harness.table(["extra", "packages", "MB"], rows))
    largest = sorted(base, key=size, reverse=True)[:8]
    print("\nLargest:", ", ".join(f"{name} {size(name) / 1e6:.0f}" for name in largest))


if __name__ == "__main__":
    main()
