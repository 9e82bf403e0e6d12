"""Plotly's script as a page holds it: compressed, with the hash that lets the page run it."""

import base64
import functools
import gzip
from typing import NamedTuple

from vipann_tf.evaluation.page_templates import script_hash

__all__ = ["PlotlyBundle", "plotly_bundle"]


class PlotlyBundle(NamedTuple):
    """plotly.js for one page.

    Attributes:
      data: The script, gzip in base64: 2 MB instead of 4.8 MB.
      digest: Source expression of the script for a Content-Security-Policy, without quotes.
    """

    data: str
    digest: str


@functools.lru_cache(maxsize=1)
def plotly_bundle() -> PlotlyBundle | None:
    """Return Plotly's script, or None without the package `plotly` (extra `pages`)."""
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        return None
    script = get_plotlyjs()
    packed = gzip.compress(script.encode(), 6, mtime=0)
    return PlotlyBundle(base64.b64encode(packed).decode("ascii"), script_hash(script))
