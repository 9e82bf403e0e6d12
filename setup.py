"""The description that an index of packages shows: README.md without links that lead nowhere."""

import re
from pathlib import Path

from setuptools import setup

# Where the files of the repository are on the web, such as https://HOST/OWNER/NAME/raw/main/. There
# is no such place yet.
FILES = ""


def description(readme: str, files: str) -> str:
    """Return README.md with links that lead somewhere.

    Links to files of the repository get its address. Without one, the words of a link stay, and the
    description of a picture.
    """
    to_file = re.compile(r"(!?\[([^\]]+)\])\((?!\w+:|#)([^)]+)\)")
    return to_file.sub(rf"\1({files}\3)" if files else r"\2", readme)


setup(
    long_description=description(Path("README.md").read_text(encoding="utf-8"), FILES),
    long_description_content_type="text/markdown",
)
