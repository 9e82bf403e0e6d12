# %% [markdown]
# # Own recordings to a calibrated model
#
# From a folder of labelled sounds to a model whose probabilities can be taken at their word:
# prepare, transfer, evaluate, calibrate, compare. This small run takes less than a minute on one
# core. With recordings of your own, replace the folder in the second section.

# %%
import os
import tempfile
import textwrap
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import soundfile

import vipann_tf as vt

# Work in the root of the repository, wherever Jupyter was started.
os.chdir(next(p for p in (Path.cwd(), *Path.cwd().parents) if (p / "examples/sounds").is_dir()))
plt.rcParams.update({"figure.figsize": (7, 3.2), "figure.dpi": 80, "axes.axisbelow": True})
folder = tempfile.TemporaryDirectory()  # everything that is made here; give paths of your own
out = Path(folder.name)

# %% tags=["parameters"]
base = "everyday-sounds"
clips = 350
steps = 40  # of training: too few, see below
num_draws = 20

# %% [markdown]
# ## A folder of sounds
#
# Recordings of your own are one folder for each class, with any audio files in it: `dog/a.wav`,
# `dog/b.flac`, `rain/c.mp3`. So that this notebook needs no download, we let the package make such
# a folder: short sounds of ten kinds, synthesised, with background noise that is sometimes as loud
# as the sound.

# %%
made = vt.prepare("synthetic", None, out / "made", task="multiclass", clips=clips, seconds=1.0)
recordings = out / "recordings"
for i, clip in enumerate(vt.read_clips(out / "made")):
    place = recordings / clip.labels[0] / f"{i:03d}.wav"
    place.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(place, clip.waveform, made.sample_rate_hz)
for place in sorted(recordings.iterdir()):
    print(f"{place.name:15s} {len(list(place.iterdir()))} files")

# %% [markdown]
# ## Prepare
#
# `prepare` reads the files and writes a dataset directory. We make five folds: three to train on,
# one to calibrate on and one to test on. A clip may do one of these jobs only.
#
# If several files are pieces of one recording, they must be in the same fold, or the test would ask
# for what the model has heard: give a CSV file with a column `group` (`vt.prepare("csv", ...)`).

# %%
data = vt.prepare("folder", recordings, out / "data", seconds=1.0, folds=5)
for name, split in data.splits.items():
    print(f"{name}: {split.clips} clips")

# %% [markdown]
# ## Transfer
#
# The base is the network that comes with the package. With strategy `det-flip` its trunk stays as
# it is, and it gets a new head of Flipout layers, which is trained (`mode="fixed"`). The trunk is
# computed once for each clip, so this is fast.
#
# Forty steps are too few on purpose: the head will have learned which label is likely, but it will
# not dare to be sure. That gives us something to repair. (More steps would be the better cure: try
# 400.)

# %%
vt.transfer(
    base,
    out / "data",
    out / "model",
    strategy="det-flip",
    mode="fixed",
    test_fold=5,
    recipe="transfer/small_fixed",
    settings={
        "data.train": ["fold1", "fold2", "fold3"],
        "training.steps": steps,
        "export.num_draws": num_draws,
    },
)
print(vt.load(out / "model"))

# %% [markdown]
# ## Evaluate
#
# On fold 5, and on sounds that the model was not made for: thirty clips of six recordings in
# `examples/sounds`. `evaluate` writes a page to read, `report.html`, into its results; here we take
# the numbers. Each has a 95 % interval over the clips.

# %%
with warnings.catch_warnings():
    warnings.simplefilter("ignore", vt.NoticeWarning)  # a second of these recordings is silent
    vt.prepare("csv", "examples/sounds.csv", out / "others", seconds=1.0)
before = vt.evaluate(out / "model", out / "data", out / "before", ood=[out / "others"])
for name in ("accuracy", "nll", "ece"):
    score = before["metrics"][name]
    print(f"{name:9s} {score['value']:.3f} ({score['low']:.3f} to {score['high']:.3f})")
print(f"mean confidence {before['calibration']['mean_confidence']:.3f}")
(outside,) = before["ood"].values()
for kind in ("total", "aleatoric", "epistemic"):
    auroc = outside["scores"][kind]["auroc"]
    print(
        f"other sounds found by {kind} uncertainty: AUROC {auroc['value']:.2f}"
        f" ({auroc['low']:.2f} to {auroc['high']:.2f})"
    )

# %% [markdown]
# The mean confidence is below the accuracy: this model is right more often than it claims. The
# AUROC is the probability that a sound of another kind gets a higher uncertainty than a test clip:
# 0.5 is chance, and this is not far above it.
#
# A model is calibrated if, of all answers with confidence 0.8, eight of ten are right. Then mean
# confidence and accuracy agree, and the ECE (expected calibration error) is as small as chance
# allows:
#
# $$\mathrm{ECE}=\sum_b \frac{n_b}{n}\,\bigl|\mathrm{accuracy}_b-\mathrm{confidence}_b\bigr|$$
#
# over bins $b$ of the confidence.
#
# ## Calibrate
#
# `calibrate` fits one temperature $\tau$, by which the logits of every draw are divided, on fold 4.
# $\tau>1$ makes a model less sure, $\tau<1$ surer. It also fits prediction sets: sets of labels
# that hold the true one with probability 0.9.

# %%
fit = vt.calibrate(out / "model", out / "data", out / "calibrated", splits=["fold4"])
print(f"temperature {fit.calibration.temperature:.2f}, fitted on {fit.clips} clips")
print(textwrap.fill(f"Before: {fit.words_before}", 90))
print(textwrap.fill(f"After: {fit.words_after}", 90))
print(f"sets hold the truth in {fit.sets['coverage']:.2f} of these clips (wanted 0.90)")

# %% [markdown]
# Both texts are about the clips of fold 4, each scored with a fit on others of them. Before, the
# model was underconfident, more than chance explains; after, nothing can be found.
#
# ## Compare
#
# The test on fold 5, which neither trained nor calibrated the model, says whether that helped. The
# two models answer the same clips, so `compare` resamples the differences clip by clip: an interval
# without 0 is a difference beyond chance.

# %%
after = vt.evaluate(out / "calibrated", out / "data", out / "after")
rows = vt.compare([out / "before", out / "after"], out / "compared")
wanted = ("accuracy", "nll", "brier", "ece", "mean epistemic (nats)")
differences = [row for row in rows if row.against and row.metric in wanted]
for row in differences:
    found = row.found
    print(f"{row.metric:22s} {found.value:+.3f} ({found.low:+.3f} to {found.high:+.3f})")

# %%
fig, (left, right) = plt.subplots(1, 2, width_ratios=[1, 1.1])
for name, results, style in (("before", before, "o-"), ("after", after, "s--")):
    bins = results["calibration"]["bins"]
    filled = [i for i, n in enumerate(bins["count"]) if n]
    left.plot(
        [bins["confidence"][i] for i in filled],
        [bins["accuracy"][i] for i in filled],
        style,
        markersize=4,
        label=name,
    )
left.plot([0, 1], [0, 1], color="gray", linewidth=0.8)
left.set(xlabel="confidence of the bin", ylabel="share that is right", xlim=(0, 1), ylim=(0, 1.03))
left.legend(fontsize="small")
intervals = [(row.found.value, row.found.low, row.found.high) for row in differences]
value, low, high = np.array(intervals, float).T
places = range(len(differences))
right.errorbar(value, places, xerr=[value - low, high - value], fmt="o", capsize=4)
right.axvline(0, color="gray", linewidth=0.8)
right.set_yticks(places, [row.metric for row in differences])
right.invert_yaxis()
right.set(xlabel="after - before (95 % interval)")
fig.tight_layout()
plt.show()

# %% [markdown]
# Left: points above the grey line are bins in which the model is not sure enough, and points below
# it bins in which it is too sure. Before, most points are above; after, they lie around the line. A
# bin holds few of the 70 test clips, so single points jump.
#
# Right: NLL, Brier score and ECE fall, as they should, but their intervals hold 0: 70 clips are too
# few to be certain of gains of this size. The accuracy hardly moves, since a temperature makes all
# labels of a draw surer together; it adds no knowledge. The epistemic uncertainty rises, because
# surer networks also disagree more.
#
# Read the intervals, not the third digit. For a decision, use more clips, or all folds in turn
# (`vt.cross_validate`).
#
# ## Use it
#
# The calibrated model is a SavedModel like any other.

# %%
model = vt.load(out / "calibrated")
test = list(vt.read_clips(out / "data", ["fold5"]))[:6]
answers = model.predict(
    [clip.waveform for clip in test], sample_rate_hz=model.sample_rate_hz, draws=True
)
for clip, best, epistemic in zip(test, answers.top(1), answers.epistemic, strict=True):
    print(
        f"{clip.labels[0]:15s} heard as {best[0].label:15s} {best[0].probability:.2f},"
        f" epistemic {epistemic:.3f} nats"
    )
folder.cleanup()
