# %% [markdown]
# # A first hour with a shipped model
#
# A model of this package does not give one answer but many: it draws networks from a posterior and
# asks each of them. This notebook loads two models that come with the package, lets them hear
# twelve short recordings, and reads the answers: probabilities, and two kinds of uncertainty.
#
# It needs no download and no GPU, and runs in less than a minute.

# %%
import os
import tempfile
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import soundfile
import soxr

import vipann_tf as vt

# Work in the root of the repository, wherever Jupyter was started.
os.chdir(next(p for p in (Path.cwd(), *Path.cwd().parents) if (p / "examples/sounds").is_dir()))
plt.rcParams.update({"figure.figsize": (7, 3.2), "figure.dpi": 80, "axes.axisbelow": True})
# Notices, such as "this sound is short", stand in the tables below.
warnings.simplefilter("ignore", vt.NoticeWarning)

# %% tags=["parameters"]
num_draws = 20  # networks that answer
many_draws = 100  # networks that answer for one sound, to look at them
hop_s = 0.5  # step between the windows of a long recording, in seconds
sounds = sorted(Path("examples/sounds").glob("*.ogg"))

# %% [markdown]
# ## A model
#
# `everyday-sounds` knows 127 labels. It is a small network, trained on 2901 clips with open
# licences, and it scores each label on its own, so a recording may have several labels or none.

# %%
model = vt.load("everyday-sounds")
print(model)
for metric in ("map_common", "auc"):
    score = model.info.metrics["open/eval"][metric]
    print(
        f"{metric}: {score['value']:.2f}, 95 % interval {score['low']:.2f} to {score['high']:.2f}"
    )

# %% [markdown]
# These scores come from clips that the model was not trained on. `map_common` is the mean average
# precision of the labels that have five or more of these clips: 1 would be perfect. A score of 0.65
# means a useful model that is often wrong. Expect mistakes below.
#
# ## Answers
#
# `predict` takes paths, or arrays together with `sample_rate_hz`. In a notebook, the answer is
# shown as a table.

# %%
answers = model.predict(sounds, num_draws=num_draws)
answers

# %% [markdown]
# Let $p_{tc}$ be the probability that network $t$ gives to label $c$, and $\bar p_c$ the mean over
# the networks. With the entropy of a yes-or-no question, $h(p) = -p\ln p - (1-p)\ln(1-p)$, each
# recording has
#
# - **total** uncertainty $\sum_c h(\bar p_c)$: how far the answer is from being sure;
# - **aleatoric** uncertainty $\sum_c \frac1T\sum_t h(p_{tc})$: what remains if one network is taken
#   at its word. The recording itself is unclear to the networks;
# - **epistemic** uncertainty, the difference: how much the networks disagree. More labelled
#   recordings of this kind would reduce it.
#
# The unit is the nat. For orientation: one label at 0.5 has $\ln 2 = 0.69$ nats. The sums go over
# 127 labels, so that many small doubts add up.
#
# `top` gives the labels as objects, and `to_dataframe` a pandas table with a row for each sound and
# label.

# %%
for sound, best in zip(answers.sounds, answers.top(1), strict=True):
    print(f"{Path(sound).stem:14s} {best[0].label:25.25s} {best[0].probability:.2f}")
answers.to_dataframe().sort_values("label_epistemic", ascending=False).head(5)[
    ["file", "label", "probability", "label_aleatoric", "label_epistemic"]
].round(3)

# %% [markdown]
# The table shows the five labels on which the networks disagree most.
#
# ## What a draw is
#
# With `draws=True`, the answer of every network is kept, `[draws, sounds, labels]`. A draw is one
# network with its own weights (here, with its own dropout masks). The same seed gives the same
# networks, so the same sound gets the same answer, alone or in a batch, today or next year.

# %%
dog = model.predict("examples/sounds/dog.ogg", num_draws=many_draws, draws=True)
draws = np.asarray(dog.draws)
top = np.argsort(-dog.probabilities[0])[:6]
jitter = np.random.default_rng(0).uniform(-0.2, 0.2, many_draws)
fig, ax = plt.subplots()
for row, label in enumerate(top):
    ax.plot(draws[:, 0, label], row + jitter, ".", color="tab:blue", alpha=0.4, markersize=5)
    ax.plot(dog.probabilities[0, label], row, "D", color="black", markersize=6)
ax.set_yticks(range(len(top)), [model.labels[i] for i in top])
ax.invert_yaxis()
ax.set(xlabel="probability (no unit)", xlim=(0, 1), title=f"dog.ogg heard by {many_draws} networks")
plt.show()

# %% [markdown]
# Each dot is one network, and each diamond is the mean, which `predict` returns. Where the dots
# spread, the networks disagree: that is epistemic uncertainty. Where they agree on a value between
# 0 and 1, the doubt is aleatoric.
#
# `vt.uncertainty.from_draws` makes all numbers from the draws, also from those of another library.

# %%
found = vt.uncertainty.from_draws(draws, "multilabel")
for kind in ("total", "aleatoric", "epistemic"):
    print(f"{kind:9s} {getattr(found, kind)[0]:.3f} nats; predict says {getattr(dog, kind)[0]:.3f}")
worst = np.max(np.asarray(found.standard_error))
print(f"standard error of a mean over {many_draws} draws: at most {worst:.3f}")

# %% [markdown]
# The last line is the error that more draws would reduce. It is not the uncertainty of the answer.
#
# ## Sounds that a model has never heard of
#
# `esc10-drop` knows ten labels, of which exactly one must be right: its probabilities sum to 1.
# Four of our recordings are of kinds that it knows (other recordings of dog, rooster, rain and
# clock trained it). The other eight are of kinds that it has no label for, and it has to choose one
# all the same.

# %%
ten = vt.load("esc10-drop")
print(", ".join(ten.labels))
forced = ten.predict(sounds, num_draws=num_draws)
known = np.array([Path(sound).stem in ("dog", "rooster", "rain", "clock") for sound in sounds])
order = np.argsort(forced.total)
fig, ax = plt.subplots(figsize=(7, 3.8))
rows = np.arange(len(order))
ax.barh(rows, forced.aleatoric[order], color="tab:blue", label="aleatoric")
ax.barh(
    rows,
    forced.epistemic[order],
    left=forced.aleatoric[order],
    color="tab:orange",
    label="epistemic",
)
names = [
    f"{Path(sounds[i]).stem} {'(known kind)' if known[i] else ''} → {forced.top(1)[i][0].label}"
    for i in order
]
ax.set_yticks(rows, names)
ax.set(xlabel=f"uncertainty (nats; at most ln {len(ten.labels)} = {np.log(len(ten.labels)):.1f})")
ax.legend(loc="lower right")
plt.show()

# %% [markdown]
# The bars are sorted by total uncertainty; after the arrow stands the answer. Look for long bars
# among the unknown kinds, and for short ones: an unknown sound with a short bar is a confident
# mistake, which no threshold on the uncertainty would catch.
#
# How well does the uncertainty separate the two groups? The AUROC is the probability that an
# unknown sound gets a higher value than a known one: 0.5 is chance, 1 is perfect.

# %%
for kind in ("total", "aleatoric", "epistemic"):
    score = getattr(forced, kind)
    auroc = vt.uncertainty.ood.ood_auroc_interval(score[known], score[~known])
    print(f"{kind:9s} {auroc.value:.2f}, 95 % interval {auroc.low:.2f} to {auroc.high:.2f}")

# %% [markdown]
# Four against eight recordings can show a tendency, and no more: the intervals say so. Judge a
# model on some hundred sounds of your own (`model.evaluate(data, ood=[...])`).
#
# ## A longer recording
#
# We join four recordings with pauses between them, as if a recorder had run. `listen` answers
# window by window while it reads the file, so memory does not grow with its length. Windows
# overlap.

# %%
folder = tempfile.TemporaryDirectory()
yard = Path(folder.name) / "yard.wav"
parts, spans, at_s = [], [], 0.0
for name in ("rooster", "birds", "dog", "rain"):
    waveform, rate_hz = soundfile.read(f"examples/sounds/{name}.ogg", dtype="float32")
    waveform = soxr.resample(waveform, rate_hz, model.sample_rate_hz)[: 5 * model.sample_rate_hz]
    parts += [np.zeros(2 * model.sample_rate_hz, np.float32), waveform]
    spans.append((name, at_s + 2, at_s + 2 + len(waveform) / model.sample_rate_hz))
    at_s = spans[-1][2]
soundfile.write(yard, np.concatenate(parts), model.sample_rate_hz)
windows = list(model.listen(yard, window_s=2.0, hop_s=hop_s, num_draws=num_draws))
print(f"{len(windows)} windows of 2 s in {at_s:.0f} s of sound")

# %%
middle = np.array([(window.start_s + window.end_s) / 2 for window in windows])
fig, (upper, lower) = plt.subplots(2, 1, sharex=True, figsize=(7, 4.5), height_ratios=[2, 1])
for label, colour in (
    ("Chicken, rooster", "tab:red"),
    ("Bird", "tab:green"),
    ("Dog", "tab:brown"),
    ("Rain", "tab:blue"),
):
    i = model.labels.index(label)
    upper.plot(middle, [window.probabilities[i] for window in windows], color=colour, label=label)
    band = [window.low[i] for window in windows], [window.high[i] for window in windows]
    upper.fill_between(middle, *band, color=colour, alpha=0.2, linewidth=0)
lower.plot(middle, [window.epistemic for window in windows], color="tab:orange")
for name, start_s, end_s in spans:
    for ax in (upper, lower):
        ax.axvspan(start_s, end_s, color="gray", alpha=0.12, linewidth=0)
    upper.text((start_s + end_s) / 2, 1.03, name, ha="center")
upper.set(ylabel="probability", ylim=(0, 1.15), xlim=(0, at_s))
upper.legend(fontsize="small", ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0))
lower.set(ylabel="epistemic (nats)", xlabel="middle of the window (s)", ylim=(0, None))
plt.show()

# %% [markdown]
# Grey areas show where each recording plays, and the names above say what it is. (The rooster crows
# once, at its beginning.) A line is the mean over networks, and nine of ten networks lie in its
# band. Compare the lines with the names: some sounds are found, and some are not. In the pauses
# there is digital silence, of which the model was taught nothing.
#
# For a season of recordings there is `vt.scan`, which writes such windows, detections and times of
# day to Parquet files, and goes on where it was stopped.
#
# ## What the figures do not say
#
# - Probabilities are calibrated on sounds like those of the training, if at all. Yours differ:
#   measure with `vt.evaluate`, and repair with `vt.calibrate` (notebook *Own recordings to a
#   calibrated model*).
# - Epistemic uncertainty is the disagreement of the networks that this posterior offers. A low
#   value does not prove that the model knows the sound.
# - Aleatoric uncertainty is what the networks take for unclear, whether or not a person would.
# - Values in nats of models with other labels cannot be compared: the sums go over other labels.

# %%
folder.cleanup()
