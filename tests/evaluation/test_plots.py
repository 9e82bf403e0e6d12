"""The reliability diagram: what it draws is what was counted; the file is a PNG of full size."""

import numpy as np
from matplotlib._pylab_helpers import Gcf
from matplotlib.image import imread

from vipann_tf.evaluation import plots
from vipann_tf.uncertainty import calibration as cal


def _stats():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.4, 1.0, size=300)
    return cal.count_bins(confidence, rng.random(300) < confidence**2, cal.equal_width_edges(10))


def test_bars_are_the_counted_shares():
    stats = _stats()
    upper, lower = plots.reliability_figure(stats, "a title").axes
    bars = [bar.get_height() for bar in upper.containers[0]]
    np.testing.assert_allclose(bars, stats.accuracy[stats.count > 0])
    tops = [bar.get_y() + bar.get_height() for bar in upper.containers[1]]
    np.testing.assert_allclose(tops, stats.mean_confidence[stats.count > 0])
    np.testing.assert_array_equal([bar.get_height() for bar in lower.patches], stats.count)
    assert upper.get_title(loc="left") == "a title"
    assert any("ECE" in text.get_text() for text in upper.texts)
    # Few answers: their numbers stand in the picture.
    numbers = [int(text.get_text()) for text in lower.texts]
    assert numbers == stats.count[stats.count > 0].tolist()


def test_file_is_a_png_and_pyplot_keeps_no_figure(tmp_path):
    plots.reliability_diagram(_stats(), tmp_path / "r.png")
    picture = imread(tmp_path / "r.png")
    assert min(picture.shape[:2]) > 500
    assert np.ptp(picture[..., :3]) > 0.5
    assert not Gcf.get_all_fig_managers()  # what pyplot would have kept


def test_empty_and_lopsided_counts_can_be_drawn(tmp_path):
    edges = cal.equal_width_edges(5)
    plots.reliability_diagram(cal.count_bins([], [], edges), tmp_path / "empty.png")
    many = cal.count_bins([0.01] * 5000 + [0.5, 0.7, 0.9], [0] * 5000 + [1, 0, 1], edges)
    lower = plots.reliability_figure(many).axes[1]
    assert lower.get_yscale() == "symlog" and not lower.texts
