# %% [markdown]
# # Active learning: which clips to label next
#
# Labels cost time. A model that knows what it does not know can choose the clips to label next:
# those on which the networks of its posterior disagree. Does that beat labelling clips at random?
# This notebook tries it. **It is a small trial with synthesised sounds**: it shows how to do it and
# how to judge it, and its result says little about other data.

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
import tf_keras

import vipann_tf as vt

plt.rcParams.update({"figure.figsize": (7, 3.4), "figure.dpi": 80})
Array = np.ndarray

# %% tags=["parameters"]
base = "everyday-sounds"
clips = 600  # half of them to choose from, half for the test
rounds = 5  # of labelling
per_round = 10  # clips labelled in a round, and at the start
repeats = 8  # trials, each with its own first clips
steps = 100  # of training in a round
draws = 30
prior_stddev = 0.1  # of the weights of the head

# %% [markdown]
# ## Sounds, heard once
#
# Ten kinds of synthesised sounds. In recordings from outside, some kinds are common and others
# rare, so we thin the pool out: the first kind keeps all its clips and the last a tenth. The test
# set keeps equal numbers, and its accuracy counts rare kinds as much as common ones.
#
# The trunk of the shipped network hears every clip once. Its embeddings are all that the following
# rounds need, so a round takes a fraction of a second.

# %%
with tempfile.TemporaryDirectory() as folder:
    data = Path(folder) / "data"
    info = vt.prepare("synthetic", None, data, task="multiclass", clips=clips, seconds=1.0, folds=2)
    heard = list(vt.read_clips(data))
embeddings = vt.load(base).embed(
    [clip.waveform for clip in heard], sample_rate_hz=info.sample_rate_hz
)
kind = np.array([info.labels.index(clip.labels[0]) for clip in heard])
in_pool = np.array([clip.split == "fold1" for clip in heard])

kept = []
for k, share in enumerate(np.geomspace(1.0, 0.1, len(info.labels))):
    members = np.flatnonzero(in_pool & (kind == k))
    kept.append(members[: max(2, round(share * len(members)))])
pool = np.concatenate(kept)
test = np.flatnonzero(~in_pool)
# Scaled by the pool, whose labels are not needed for that.
embeddings = (embeddings - embeddings[pool].mean(0)) / (embeddings[pool].std(0) + 1e-6)
print(f"{len(pool)} clips to choose from, {len(test)} for the test")
print(f"each is {embeddings.shape[1]} numbers")
print({label: int((kind[pool] == k).sum()) for k, label in enumerate(info.labels)})

# %% [markdown]
# ## A Bayesian head
#
# One Flipout layer on the embeddings: softmax regression with a normal posterior over its weights.
# The KL counts $1/N$, and $N$, the number of labelled clips, grows: `kl_weight` is a variable.

# %%
kl_weight = tf.Variable(1.0, trainable=False)
layer = vt.layers.FlipoutDense(
    len(info.labels),
    bias_kind="normal",
    prior_stddev=prior_stddev,
    initial_stddev="auto",
    kl_weight=kl_weight,
    seed=0,
)
head = tf_keras.Sequential([tf_keras.Input([embeddings.shape[1]]), layer])
optimizer = tf_keras.optimizers.Adam(0.02)
optimizer.build(head.trainable_variables)
loss = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)
head.compile(optimizer, loss, steps_per_execution=steps)
fresh = [variable.numpy() for variable in (*head.variables, *optimizer.variables)]


def train(chosen: Array) -> None:
    """Train the head anew on the chosen clips."""
    for variable, value in zip((*head.variables, *optimizer.variables), fresh, strict=True):
        variable.assign(value)
    kl_weight.assign(1 / len(chosen))
    examples = tf.data.Dataset.from_tensor_slices((embeddings[chosen], kind[chosen]))
    batches = examples.cache().shuffle(len(chosen), seed=0).repeat().batch(32)
    head.fit(batches, steps_per_epoch=steps, verbose=0)


@tf.function(reduce_retracing=True)
def answer(inputs: tf.Tensor, draw: tf.Tensor) -> tf.Tensor:
    """Return the probabilities by one draw; as an argument, it is not frozen by the compilation."""
    with vt.randomness(vt.Draw(0, draw)):
        return tf.nn.softmax(head(inputs))


def probabilities(of: Array) -> Array:
    """Return what each drawn head says of some clips, [draws, clips, labels]."""
    return np.stack([answer(embeddings[of], i).numpy() for i in tf.range(draws)])


# %% [markdown]
# ## The trial
#
# Each repeat starts with the same few random clips for both strategies. In every round, the head is
# trained on what is labelled, and then more clips are labelled: at random, or the ones with the
# largest epistemic uncertainty. Epistemic is the mutual information of label and network, which
# active learning knows as BALD (Houlsby et al. 2011):
#
# $$\mathrm{epistemic} = H\Bigl[\tfrac1T\sum_t p_t\Bigr] - \tfrac1T\sum_t H[p_t]$$
#
# With a model directory in place of one's own head, `vt.rank(model, data, by="epistemic")` makes
# the list.

# %%
strategies = {"random": "gray", "epistemic": "tab:orange"}  # and their colours


def trial(strategy: str, seed: int) -> tuple[list, Array]:
    """Return the accuracy on the test after each round, and the clips that were labelled."""
    random = np.random.default_rng(seed)
    tf_keras.utils.set_random_seed(seed)
    chosen = random.choice(pool, per_round, replace=False)
    accuracies = []
    for left in range(rounds, -1, -1):
        train(chosen)
        found = vt.uncertainty.from_draws(probabilities(test), "multiclass", kind[test])
        accuracies.append(found.scores["accuracy"])
        if not left:
            break
        rest = np.setdiff1d(pool, chosen)
        if strategy == "random":
            more = random.choice(rest, per_round, replace=False)
        else:
            doubt = vt.uncertainty.from_draws(probabilities(rest), "multiclass")
            more = rest[np.argsort(-doubt.epistemic)[:per_round]]
        chosen = np.concatenate([chosen, more])
    return accuracies, chosen


trials = {s: [trial(s, seed) for seed in range(repeats)] for s in strategies}
accuracy = {s: np.array([found for found, _ in trials[s]]) for s in strategies}

# %%
labelled = per_round * np.arange(1, rounds + 2)
fig, (left, right) = plt.subplots(1, 2)
for strategy, colour in strategies.items():
    mean = accuracy[strategy].mean(0)
    error = accuracy[strategy].std(0, ddof=1) / np.sqrt(repeats)
    left.errorbar(labelled, mean, yerr=error, color=colour, capsize=3, label=strategy)
gain = accuracy["epistemic"] - accuracy["random"]
error = gain.std(0, ddof=1) / np.sqrt(repeats)
right.errorbar(labelled, gain.mean(0), yerr=2 * error, color="tab:orange", capsize=3)
left.set(xlabel="labelled clips", ylabel="accuracy on the test")
left.legend(fontsize="small")
right.axhline(0, color="gray", linewidth=0.8)
right.set(xlabel="labelled clips", ylabel="gain over random, ± 2 standard errors")
fig.tight_layout()
plt.show()

# %% [markdown]
# Left: means over the repeats with their standard errors. Right: the differences from random,
# repeat by repeat, so that lucky first clips cancel. An interval that contains 0 is no difference.

# %%
print(f"{repeats} repeats, {len(test)} test clips")
for strategy in strategies:
    print(f"{strategy}: accuracy with {labelled[-1]} labels {accuracy[strategy][:, -1].mean():.3f}")
for what, gains in (("last round", gain[:, -1]), ("mean of the rounds", gain[:, 1:].mean(1))):
    error = gains.std(ddof=1) / np.sqrt(repeats)
    print(f"gain of epistemic over random, {what}: {gains.mean():+.3f} ± {error:.3f}")

# %%
fig, ax = plt.subplots(figsize=(7, 2.8))
places = np.arange(len(info.labels))
for shift, (strategy, colour) in zip((-0.2, 0.2), strategies.items(), strict=True):
    counts = [np.bincount(kind[chosen], minlength=len(places)) for _, chosen in trials[strategy]]
    ax.bar(places + shift, np.mean(counts, 0), 0.4, color=colour, label=strategy)
ax.set_xticks(places, info.labels, rotation=35, ha="right")
ax.set(ylabel="labelled clips (mean)")
ax.legend(fontsize="small")
plt.show()

# %% [markdown]
# The kinds are sorted from common to rare in the pool. Random labelling takes them as often as they
# come. Epistemic uncertainty spends fewer labels on kinds that the head soon knows, such as
# crickets and sea waves, and more on kinds that it confuses, such as telephones.
#
# ## What this shows, and what not
#
# In this small trial, labelling by epistemic uncertainty was better than random from 30 labels on,
# by three to five points of accuracy; with 20 labels the difference is not beyond chance. Half of
# the pool is labelled at the end, so that little is left to choose.
#
# Do not read more into the curve. With 150 steps of training and 10 repeats, in place of 100 and 8,
# the gain was beyond chance with 20 and 30 labels, and not with 50 and 60.
#
# - The trial has one pool of 122 synthesised clips, one test set and one trunk. The intervals cover
#   the choice of clips alone. With another pool the gain may be larger, or none, or a loss.
# - Ten clips at a time may be ten times the same doubt. `vt.rank(..., diversity=True)` keeps
#   similar clips apart.
# - Clips that were chosen by a model are no fair sample: keep a test set that was chosen at random.
# - If a random choice costs the same, try both on some labels of your own before you trust one.
