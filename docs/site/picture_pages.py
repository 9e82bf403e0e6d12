"""Photograph pages of results for the guides: docs/site/picture_pages.py RESULTS COMPARISON CLASS.

RESULTS is a directory of `evaluate`, COMPARISON one of `compare`, CLASS the number of a label. It
writes report.png, report-class.png and compare.png into docs/, and needs Chromium and the extra
`pages`. The guide's pictures are of esc10-drop on ESC-10 with spoken digits and synthetic sounds.
"""

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


if __name__ == "__main__":
    results, comparison = (Path(argument).resolve() for argument in sys.argv[1:3])
    binary = find_browser()
    assert binary is not None, "this needs Chromium"
    with tempfile.TemporaryDirectory() as folder, Browser(binary, Path(folder)) as page:
        page.open((results / "report.html").as_uri(), WIDTH, "light")
        page.wait(DRAWN)
        photograph(page, Path(folder), "report", 800)
        page.evaluate(f"location.hash = '#class-{int(sys.argv[3])}'")
        photograph(page, Path(folder), "report-class", 1180)
        page.open((comparison / "compare.html").as_uri(), WIDTH, "light")
        photograph(page, Path(folder), "compare", 900)
