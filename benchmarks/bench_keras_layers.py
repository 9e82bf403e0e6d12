"""The posterior that `fit` finds with TFP's Flipout layer and with ours, in one Keras model.

    python -m benchmarks.bench_keras_layers [--seeds 20] [--steps 2000]

Two toys with one Bayesian layer, prior N(0, 1), 64 examples, full batches, Adam with a rate that
falls to 0, and KL / N in the loss:

* regression with known noise, whose best mean-field posterior has a closed form: the mean of the
  exact posterior, and a standard deviation of 1 / sqrt(its precision) for each weight;
* classification into three classes (softmax regression), where the layers are compared with each
  other alone.

The loss is that of the posterior that was found: exact for regression, by 20,000 draws of the
logits for classification. Each seed has its own data and its own noise. Errors are standard errors
over the seeds.
"""

import argparse
import dataclasses

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras

from benchmarks import harness
from vipann_tf.models.flipout import FlipoutDense

EXAMPLES, FEATURES, CLASSES = 64, 3, 3
NOISE = 0.5  # standard deviation of the regression's targets
LAYERS = ("ours", "TFP's")


@dataclasses.dataclass(frozen=True)
class Posterior:
    """Means and standard deviations of the weights [features, outputs]."""

    loc: np.ndarray
    stddev: np.ndarray

    def kl(self) -> float:
        """From the prior N(0, 1), in nats."""
        ratio = np.square(self.stddev)
        return float(np.sum(0.5 * (ratio + np.square(self.loc) - 1) - np.log(self.stddev)))


def regression_data(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs [examples, features] that are correlated, and targets [examples, 1]."""
    random = np.random.default_rng(seed)
    x = random.normal(size=[EXAMPLES, FEATURES]) @ (np.eye(FEATURES) + 0.4)
    y = x @ random.normal(size=[FEATURES, 1]) + NOISE * random.normal(size=[EXAMPLES, 1])
    return x.astype(np.float32), y.astype(np.float32)


def classification_data(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs [examples, features], and one-hot classes [examples, classes]."""
    random = np.random.default_rng(seed)
    classes = np.arange(EXAMPLES) % CLASSES
    x = random.normal(size=[CLASSES, FEATURES])[classes] + random.normal(size=[EXAMPLES, FEATURES])
    return x.astype(np.float32), np.eye(CLASSES, dtype=np.float32)[classes]


def exact(x: np.ndarray, y: np.ndarray) -> Posterior:
    """The best mean-field posterior of the regression."""
    precision = np.float64(x.T) @ x / NOISE**2 + np.eye(FEATURES)
    loc = np.linalg.solve(precision, np.float64(x.T) @ y / NOISE**2)
    return Posterior(loc, np.diag(precision)[:, None] ** -0.5)


def half_square(y: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """The regression's NLL, up to a constant."""
    return 0.5 * tf.reduce_sum(tf.square((y - outputs) / NOISE), axis=-1)


def found(which: str, task: str, x: np.ndarray, y: np.ndarray, seed: int, steps: int) -> Posterior:
    """Train one layer by `fit`, and return its posterior."""
    tf_keras.utils.set_random_seed(seed)
    if which == "ours":
        # The noise that `fit` makes has the seed above.
        layer = FlipoutDense(y.shape[1], use_bias=False, kl_weight=1 / len(x), name="dense")
    else:
        layer = tfp.layers.DenseFlipout(
            y.shape[1],
            bias_posterior_fn=None,
            kernel_divergence_fn=lambda q, p, _: tfp.distributions.kl_divergence(q, p) / len(x),
        )
    model = tf_keras.Sequential([tf_keras.Input([FEATURES]), layer])
    cross_entropy = tf_keras.losses.CategoricalCrossentropy(from_logits=True)
    loss = half_square if task == "regression" else cross_entropy
    rate = tf_keras.optimizers.schedules.CosineDecay(0.03, steps)
    model.compile(tf_keras.optimizers.Adam(rate), loss=loss)
    data = tf.data.Dataset.from_tensors((x, y)).cache().repeat()
    model.fit(data, steps_per_epoch=steps, verbose=0)
    if which == "ours":
        return Posterior(layer.kernel_loc.numpy(), layer.kernel_stddev().numpy())
    normal = layer.kernel_posterior.distribution
    return Posterior(normal.loc.numpy(), tf.convert_to_tensor(normal.scale).numpy())


def loss_of(posterior: Posterior, task: str, x: np.ndarray, y: np.ndarray) -> float:
    """The expected NLL and KL / N, per example."""
    mean = x @ posterior.loc
    variance = np.square(x) @ np.square(posterior.stddev)
    if task == "regression":
        nll = 0.5 * (np.square(y - mean) + variance).sum(-1) / NOISE**2
    else:
        noise = np.random.default_rng(0).normal(size=[20_000, *mean.shape])
        logits = mean + np.sqrt(variance) * noise
        nll = np.log(np.exp(logits).sum(-1)).mean(0) - (mean * y).sum(-1)
    return float(nll.mean() + posterior.kl() / len(x))


def measured(task: str, seed: int, steps: int) -> dict[str, list[float]]:
    """KL, loss, mean and standard deviation of each layer, for one seed."""
    x, y = (regression_data if task == "regression" else classification_data)(seed)
    posteriors = {which: found(which, task, x, y, seed, steps) for which in LAYERS}
    if task == "regression":
        posteriors["closed form"] = exact(x, y)
    reference = posteriors.get("closed form", posteriors["TFP's"])
    return {
        which: [
            posterior.kl(),
            loss_of(posterior, task, x, y),
            float(np.mean((posterior.loc - reference.loc) / reference.stddev)),
            float(np.mean(posterior.stddev)),
            float(np.mean(posterior.stddev / reference.stddev)),
        ]
        for which, posterior in posteriors.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--steps", type=int, default=2000)
    args = parser.parse_args()
    print(f"## Keras layers: `fit` with TFP's DenseFlipout and FlipoutDense, {args.seeds} seeds\n")
    header = ["layer", "KL, nats", "loss, nats per example", "mean: off by, in stddevs"]
    header += ["stddev", "stddev: ratio"]
    for task in ("regression", "classification"):
        runs = [measured(task, seed, args.steps) for seed in range(args.seeds)]
        rows = []
        for which in runs[0]:
            numbers = np.array([run[which] for run in runs])
            pairs = zip(numbers.mean(0), numbers.std(0, ddof=1) / np.sqrt(len(runs)), strict=True)
            rows.append([which, *(f"{m:.4f} ± {e:.4f}" for m, e in pairs)])
        differences = np.array([np.subtract(run["ours"], run["TFP's"]) for run in runs])
        error = differences.std(0, ddof=1) / np.sqrt(len(runs))
        pairs = zip(differences.mean(0), error, strict=True)
        rows.append(["ours - TFP's", *(f"{m:+.5f} ± {e:.5f}" for m, e in pairs)])
        reference = "the closed form" if task == "regression" else "TFP's layer"
        print(f"Toy {task}, compared with {reference}:\n")
        print(harness.table(header, rows) + "\n")


if __name__ == "__main__":
    main()
