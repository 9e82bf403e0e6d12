# %% [markdown]
# # Flipout layers in your own Keras model, against the exact posterior
#
# `vt.layers.FlipoutDense` and `FlipoutConv2D` are layers with a normal posterior over every weight.
# They work in any model of Keras 2 (`tf_keras`), with the usual `compile` and `fit`. Do they find
# the right posterior? For linear regression with known noise we can check, because the posterior
# has a closed form.

# %%
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
import tf_keras

import vipann_tf as vt

plt.rcParams.update({"figure.figsize": (7, 3.2), "figure.dpi": 80})
Array = np.ndarray

# %% tags=["parameters"]
steps = 1500  # of training, for each model
draws = 500

# %% [markdown]
# ## The exact posterior
#
# The data are $y = w_0 + w_1 x + \varepsilon$ with noise $\varepsilon\sim N(0,\sigma^2)$ of known
# $\sigma$, and the prior is $w\sim N(0, 1)$ for both weights. With a row $(1, x)$ of $X$ for each
# example, the posterior is normal with
#
# $$\Lambda = I + \frac{X^\top X}{\sigma^2},\qquad
# \mu = \Lambda^{-1}\frac{X^\top y}{\sigma^2},\qquad \Sigma = \Lambda^{-1}.$$

# %%
noise = 0.5
random = np.random.default_rng(7)
true_weights = np.array([0.4, -0.9])


def features(x: Array) -> Array:
    """Return rows (1, x)."""
    return np.stack([np.ones_like(x), x], axis=1).astype(np.float32)


def examples(x: Array) -> Array:
    """Return targets [examples, 1] for inputs [examples]."""
    y = features(x) @ true_weights + noise * random.normal(size=len(x))
    return y[:, None].astype(np.float32)


def exact(x: Array, y: Array, data_weight: float = 1.0) -> tuple[Array, Array]:
    """Return mean and precision of the posterior, with the data counted `data_weight` times."""
    design = features(x).astype(np.float64)
    precision = np.eye(2) + data_weight * design.T @ design / noise**2
    return np.linalg.solve(precision, data_weight * design.T @ y[:, 0] / noise**2), precision


count = 24
x = random.uniform(-1.5, 1.5, count)
x -= x.mean()  # so that the two columns of X are orthogonal; a later section leaves it out
y = examples(x)
mean, precision = exact(x, y)
stddev = np.sqrt(np.diag(np.linalg.inv(precision)))
for i in range(2):
    print(f"w{i}: {mean[i]:+.3f} ± {stddev[i]:.3f} (true value {true_weights[i]:+.1f})")

# %% [markdown]
# ## The layer
#
# Variational inference minimises, per example, $\;\frac1N\sum_n -\ln p(y_n\mid w) \;+\;
# \frac1N\,\mathrm{KL}(q(w)\,\|\,p(w))$. The first term is the `loss` that we give to `compile`. It
# is a mean over examples, so the KL needs the weight $1/N$: `kl_weight=1 / count`. The layer puts
# the weighted KL in the model's `losses`, and Keras adds it.
#
# The constant 1 is among the inputs, so the layer needs no bias (`bias_kind="normal"` would give it
# one with a posterior).


# %%
def nll(y: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """Return the negative log-likelihood of each example, without its constant."""
    return 0.5 * tf.reduce_sum(tf.square((y - outputs) / noise), axis=-1)


def fitted(x: Array, y: Array, kl_weight: float) -> tf_keras.Model:
    """Return a model of one Flipout layer, trained on all examples in every step."""
    tf_keras.utils.set_random_seed(1)
    layer = vt.layers.FlipoutDense(1, use_bias=False, kl_weight=kl_weight, name="weights")
    model = tf_keras.Sequential([tf_keras.Input([2]), layer])
    rate = tf_keras.optimizers.schedules.CosineDecay(0.03, steps)
    model.compile(tf_keras.optimizers.Adam(rate), loss=nll)
    data = tf.data.Dataset.from_tensors((features(x), y)).cache().repeat()
    model.fit(data, steps_per_epoch=steps, verbose=0)
    return model


def posterior(model: tf_keras.Model) -> tuple[Array, Array]:
    """Return means and standard deviations of the two weights."""
    layer = model.get_layer("weights")
    return layer.kernel_loc.numpy()[:, 0], layer.kernel_stddev().numpy()[:, 0]


model = fitted(x, y, kl_weight=1 / count)
found_mean, found_stddev = posterior(model)
for i in range(2):
    off = (found_mean[i] - mean[i]) / stddev[i]
    print(
        f"w{i}: layer {found_mean[i]:+.3f} ± {found_stddev[i]:.3f}, exact {mean[i]:+.3f} ±"
        f" {stddev[i]:.3f}; the mean is off by {off:+.2f} standard deviations,"
        f" ratio of the deviations {found_stddev[i] / stddev[i]:.2f}"
    )

# %%
fig, axes = plt.subplots(1, 2)
for i, ax in enumerate(axes):
    grid = np.linspace(mean[i] - 4 * stddev[i], mean[i] + 4 * stddev[i], 200)
    for centre, width, style, name in (
        (mean[i], stddev[i], "k-", "exact"),
        (found_mean[i], found_stddev[i], "r--", "layer"),
    ):
        density = np.exp(-0.5 * ((grid - centre) / width) ** 2) / width / np.sqrt(2 * np.pi)
        ax.plot(grid, density, style, label=name)
    ax.axvline(true_weights[i], color="gray", linewidth=0.8, label="true value")
    ax.set(xlabel=f"$w_{i}$ (no unit)", ylabel="density", ylim=(0, None))
axes[0].legend(fontsize="small")
fig.tight_layout()
plt.show()

# %% [markdown]
# The dashed curves lie on the solid ones: `fit` has found the posterior. What remains is the noise
# of the training itself. (`benchmarks/RESULTS.md` has the same comparison over 20 seeds, with TFP's
# layer beside ours.)
#
# ## From draws to a band
#
# Outside of training, a call of the layer uses the posterior mean. In `vt.randomness(vt.Draw(seed,
# i))` it uses network number $i$ of that seed: one line here. The spread of the lines is the
# epistemic part of the prediction, $\sqrt{x^\top\Sigma x}$; the noise $\sigma$ is the aleatoric
# part, and $\sqrt{x^\top\Sigma x+\sigma^2}$ the total.


# %%
def lines(model: tf_keras.Model, grid: Array) -> Array:
    """Return what each drawn network says, [draws, points]."""
    answers = []
    for i in range(draws):
        with vt.randomness(vt.Draw(0, i)):
            answers.append(model(features(grid)).numpy()[:, 0])
    return np.stack(answers)


def exact_band(precision: Array, grid: Array) -> Array:
    """Return the standard deviation of the line at each point."""
    rows = features(grid)
    return np.sqrt(np.einsum("ni,ij,nj->n", rows, np.linalg.inv(precision), rows))


grid = np.linspace(-4, 4, 81)
drawn = lines(model, grid)
epistemic = drawn.std(axis=0)
total = np.sqrt(epistemic**2 + noise**2)
fig, ax = plt.subplots()
ax.fill_between(
    grid, drawn.mean(0) - 2 * total, drawn.mean(0) + 2 * total, alpha=0.15, label="total"
)
ax.fill_between(
    grid, drawn.mean(0) - 2 * epistemic, drawn.mean(0) + 2 * epistemic, alpha=0.4, label="epistemic"
)
ax.plot(grid, drawn[:15].T, color="tab:blue", linewidth=0.4)
exact_line = features(grid) @ mean
for sign in (-2, 2):
    band = exact_line + sign * exact_band(precision, grid)
    ax.plot(grid, band, "k--", linewidth=1, label="exact epistemic" if sign > 0 else None)
ax.plot(x, y, "o", color="black", markersize=4, label="examples")
ax.set(xlabel="x (no unit)", ylabel="y (no unit)", title="bands of ± 2 standard deviations")
ax.legend(fontsize="small", ncols=2)
plt.show()

# %% [markdown]
# Thin lines are single networks. The orange band grows away from the examples, as the exact one
# (dashed) does; the light band adds the noise, which no number of examples would remove.
#
# ## What independent weights cannot show
#
# The layer's posterior has a mean and a standard deviation for each weight, and no correlations
# ("mean field"). With inputs far from zero, intercept and slope are strongly correlated: a steeper
# line needs a lower intercept. The best independent posterior has the exact mean, and the standard
# deviations $1/\sqrt{\Lambda_{ii}}$, which are smaller than the exact $\sqrt{\Sigma_{ii}}$.

# %%
shifted_x = x + 2.0
shifted_y = examples(shifted_x)
shifted_mean, shifted_precision = exact(shifted_x, shifted_y)
covariance = np.linalg.inv(shifted_precision)
shifted = fitted(shifted_x, shifted_y, kl_weight=1 / count)
layer_mean, layer_stddev = posterior(shifted)
correlation = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
print(f"correlation of intercept and slope in the exact posterior: {correlation:.2f}")
for i in range(2):
    print(
        f"standard deviation of w{i}: exact {np.sqrt(covariance[i, i]):.3f}, best independent"
        f" {1 / np.sqrt(shifted_precision[i, i]):.3f}, layer {layer_stddev[i]:.3f}"
    )
fig, (left, right) = plt.subplots(1, 2, width_ratios=[1, 1.4])
circle = np.stack([np.cos(t := np.linspace(0, 2 * np.pi, 100)), np.sin(t)])
ellipse = shifted_mean[:, None] + 2 * np.linalg.cholesky(covariance) @ circle
left.plot(*ellipse, "k-", label="exact")
left.plot(*(layer_mean[:, None] + 2 * layer_stddev[:, None] * circle), "r--", label="layer")
left.set(xlabel="$w_0$ (no unit)", ylabel="$w_1$ (no unit)", title="2 standard deviations")
left.legend(fontsize="small")
wide = np.linspace(-2, 6, 81)
right.plot(wide, exact_band(shifted_precision, wide), "k-", label="exact")
right.plot(wide, lines(shifted, wide).std(axis=0), "r--", label="layer")
right.plot(shifted_x, np.zeros(count), "|", color="black", markersize=12, label="examples")
right.set(xlabel="x (no unit)", ylabel="epistemic stddev of y", ylim=(-0.02, None))
right.legend(fontsize="small")
fig.tight_layout()
plt.show()

# %% [markdown]
# Left: the layer's ellipse has no tilt and lies within the exact one. Right: the exact uncertainty
# is smallest among the examples. The layer's is smallest at $x = 0$, where there are none: there it
# is far too sure, and among the examples it is not sure enough.
#
# This is no fault of the training but the price of independent weights, for every mean-field layer,
# TFP's too. Inputs that are centred and scaled (as BatchNorm does) lower the price: in the section
# before, with centred $x$, there was none.
#
# ## Without the right `kl_weight`
#
# `kl_weight` is 1 unless you set it: that is the contract of TFP's layers, whose KL you scale as
# well. With a loss that is a mean over examples, the KL then counts $N$ times. In general, weight
# $\beta$ gives the posterior of data that count $1/(N\beta)$ times, in closed form:

# %%
results = {}
for name, weight in (("1 / N", 1 / count), ("1 (default)", 1.0), ("0", 0.0)):
    results[name] = posterior(model if name == "1 / N" else fitted(x, y, kl_weight=weight))
    print(f"kl_weight = {name}")
    for i in range(2):
        line = f"  w{i}: layer {results[name][0][i]:+.3f} ± {results[name][1][i]:.4f}"
        if weight:
            tempered, its_precision = exact(x, y, 1 / (count * weight))
            line += f", closed form {tempered[i]:+.3f} ± {its_precision[i, i] ** -0.5:.4f}"
        print(line)

# %%
fig, ax = plt.subplots(figsize=(7, 2.4))
for row, (centre, width) in enumerate(results.values()):
    ax.errorbar(centre[1], row, xerr=2 * width[1], fmt="o", capsize=4, color="tab:red")
ax.axvspan(mean[1] - 2 * stddev[1], mean[1] + 2 * stddev[1], color="gray", alpha=0.25)
ax.axvline(true_weights[1], color="gray", linewidth=0.8)
ax.set_yticks(range(len(results)), [f"kl_weight = {name}" for name in results])
ax.set(xlabel="$w_1$ (no unit), ± 2 standard deviations", ylim=(2.5, -0.5))
plt.show()

# %% [markdown]
# Grey is the exact posterior, and the thin line the true value.
#
# - **1 / N** agrees with it.
# - **1**, the default with a mean loss, behaves as if there were one example in place of 24: the
#   mean is pulled to the prior's 0, and the standard deviation is far too wide.
# - **0** takes the KL away: there is no prior, and the mean is that of least squares. Nothing holds
#   the standard deviation up, so it falls as long as the training goes on (its bar is hidden behind
#   the dot), and the model is sure of a value that it has from 24 noisy examples.
#
# So set `kl_weight=1 / N`, with $N$ the number of training examples, not the batch size. It may
# also be a `tf.Variable(..., trainable=False)`, to warm the KL up or to add examples later.
# (`vt.VIPANN`, `vt.pretrain` and `vt.transfer` have an objective of their own and do this for you.)
#
# For networks with more than one layer there is no closed form, and the posterior that training
# finds is an approximation with one mode. There, measure on held-out data whether the uncertainty
# is worth something: calibration, and whether it finds errors and unknown sounds.
