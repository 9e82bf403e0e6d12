"""Photograph pages of results for the guides.

    python docs/site/picture_pages.py --results DIR --label N     # report.png, report-class.png
    python docs/site/picture_pages.py --comparison DIR            # compare.png
    python docs/site/picture_pages.py --study DIR                 # study.png

It writes into docs/, and needs Chromium and the extra `pages`. The guides' pictures of a report are
of esc10-drop on ESC-10 with spoken digits and synthetic sounds.
"""

import argparse
import io
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.helpers.chromium import Browser, find_browser  # noqa: E402

WIDTH = 1280
DRAWN = "!document.getElementById('plotly') && document.querySelector('.plot .main-svg')"
COLOURS = 96  # enough for text and spectrograms, a third of the size


def photograph(browser: Browser, folder: Path, name: str, height: int) -> None:
    """Write what the window shows, in few colours."""
    browser.call(
        "Emulation.setDeviceMetricsOverride",
        width=WIDTH,
        height=height,
        deviceScaleFactor=1,
        mobile=False,
    )
    browser.call("Emulation.setScrollbarsHidden", hidden=True)
    time.sleep(2)  # charts take the new size
    browser.screenshot(folder / "shot.png")
    picture = Image.open(io.BytesIO((folder / "shot.png").read_bytes())).convert("RGB")
    file = ROOT / "docs" / f"{name}.png"
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(file, optimize=True)
    print(f"{file.relative_to(ROOT)}: {file.stat().st_size / 1000:.0f} kB")


def main() -> None:
    """Photograph the pages that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("results", "comparison", "study"):
        parser.add_argument(f"--{name}", type=Path, help="directory that the command wrote")
    parser.add_argument("--label", type=int, default=0, help="number of the label of a report")
    arguments = parser.parse_args()
    binary = find_browser()
    assert binary is not None, "this needs Chromium"
    with tempfile.TemporaryDirectory() as folder, Browser(binary, Path(folder)) as page:
        if arguments.results:
            page.open((arguments.results.resolve() / "report.html").as_uri(), WIDTH, "light")
            page.wait(DRAWN)
            photograph(page, Path(folder), "report", 800)
            page.evaluate(f"location.hash = '#class-{arguments.label}'")
            photograph(page, Path(folder), "report-class", 1180)
        for name, picture, file in (
            ("comparison", "compare", "compare.html"),
            ("study", "study", "study.html"),
        ):
            directory = getattr(arguments, name)
            if directory:
                page.open((directory.resolve() / file).as_uri(), WIDTH, "light")
                photograph(page, Path(folder), picture, 900)


if __name__ == "__main__":
    main()
