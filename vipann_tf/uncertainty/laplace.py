"""The Laplace approximation of a last layer: a normal posterior around trained weights.

Let W be the weights [inputs, outputs] of a linear layer, the bias being the last row (its input is
1), and phi_n the inputs of example n. Around a maximum of the posterior,

    p(W | data) = N(W_map, H^-1),    H = sum_n phi_n phi_n^T (x) L_n + precision I,

where L_n is the Hessian of the loss with respect to the logits, which for these likelihoods is also
the Gauss-Newton matrix: diag(p) - p p^T for a softmax, diag(p (1 - p)) for sigmoids, and 1 /
variance for a normal likelihood. The Kronecker-factored form (Ritter et al. 2018; Daxberger et al.,
arXiv 2106.14806, section 3.1)

    sum_n phi_n phi_n^T (x) L_n  ~  A (x) B,    A = sum_n phi_n phi_n^T,  B = mean_n L_n

is exact where L_n is the same for all examples, as for a normal likelihood. With the eigenvalues a
and b and eigenvectors of A and B, (A (x) B + precision I)^-1 is diagonal in the rotated basis, so
that the prior's precision is added exactly and a draw is

    W = W_map + Q_A (S . eps) Q_B^T,    S[i, j] = (a[i] b[j] + precision)^-1/2.

No TensorFlow in here.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import optimize

__all__ = [
    "PRECISIONS",
    "CurvatureSums",
    "KroneckerCurvature",
    "KroneckerPosterior",
    "Likelihood",
    "best_precision",
    "curvature",
    "weights_precision",
]

Array = npt.NDArray[np.float64]
Likelihood = Literal["multiclass", "multilabel", "normal"]
# Precisions that are considered: prior standard deviations from 100 down to 0.001.
PRECISIONS = (1e-4, 1e6)


@dataclass(frozen=True)
class KroneckerCurvature:
    """The Gauss-Newton matrix of a layer, A (x) B, by its eigenvalues and eigenvectors.

    Attributes:
      input_values: Eigenvalues of A, at least 0, `[inputs]`.
      input_basis: Eigenvectors of A as columns, `[inputs, inputs]`.
      output_values: Eigenvalues of B, at least 0, `[outputs]`.
      output_basis: Eigenvectors of B as columns, `[outputs, outputs]`.
    """

    input_values: Array
    input_basis: Array
    output_values: Array
    output_basis: Array

    @property
    def values(self) -> Array:
        """Eigenvalues of the Gauss-Newton matrix, `[inputs, outputs]`."""
        return np.outer(self.input_values, self.output_values)

    def posterior(self, mean: npt.ArrayLike, precision: float) -> "KroneckerPosterior":
        """Return the posterior under a prior N(0, 1 / precision).

        Args:
          mean: The trained weights, the bias as the last row, `[inputs, outputs]`.
          precision: Precision of the prior, above 0.
        """
        if not precision > 0:
            raise ValueError(f"precision is {precision}; a prior's precision must be above 0")
        stddev = (self.values + precision) ** -0.5
        return KroneckerPosterior(
            np.asarray(mean, np.float64), self.input_basis, self.output_basis, stddev
        )

    def log_evidence(self, nll: float, mean: npt.ArrayLike, precision: float) -> float:
        """Return Laplace's approximation of the log marginal likelihood, in nats.

        -nll - precision |W|^2 / 2 + P log(precision) / 2 - log det(A (x) B + precision I) / 2, for
        P weights (MacKay 1992; Daxberger et al., arXiv 2106.14806, equation 5).

        Args:
          nll: Negative log-likelihood of the training examples at `mean`, summed, in nats.
          mean: The trained weights, `[inputs, outputs]`.
          precision: Precision of the prior.
        """
        weights = np.asarray(mean, np.float64)
        log_ratio = np.sum(np.log(precision) - np.log(self.values + precision))
        return float(-nll - 0.5 * precision * np.sum(weights**2) + 0.5 * log_ratio)


@dataclass(frozen=True)
class KroneckerPosterior:
    """A normal posterior over a matrix of weights that is independent in a rotated basis.

    Attributes:
      mean: `[inputs, outputs]`.
      input_basis: Orthogonal, `[inputs, inputs]`.
      output_basis: Orthogonal, `[outputs, outputs]`.
      stddev: Standard deviations in the rotated basis, `[inputs, outputs]`.
    """

    mean: Array
    input_basis: Array
    output_basis: Array
    stddev: Array

    def draw(self, noise: npt.ArrayLike) -> Array:
        """Return weights for standard normal noise, `[..., inputs, outputs]` like the noise."""
        rotated: Array = self.stddev * np.asarray(noise, np.float64)
        weights: Array = self.mean + self.input_basis @ rotated @ self.output_basis.T
        return weights

    def covariance(self) -> Array:
        """Return the covariance of the weights in row-major order, `[inputs x outputs] * 2`."""
        basis = np.kron(self.input_basis, self.output_basis)
        covariance: Array = (basis * self.stddev.ravel() ** 2) @ basis.T
        return covariance


@dataclass(frozen=True)
class CurvatureSums:
    """Sums over examples from which the curvature follows; those of batches can be added.

    Attributes:
      inputs: Sum of phi_n phi_n^T, `[inputs, inputs]`.
      outputs: Sum of L_n, `[outputs, outputs]`.
      count: Number of examples.
    """

    inputs: Array
    outputs: Array
    count: int

    @classmethod
    def of(
        cls,
        features: npt.ArrayLike,
        outputs: npt.ArrayLike,
        likelihood: Likelihood,
        variance: float = 1.0,
    ) -> "CurvatureSums":
        """Return the sums over some examples; the arguments are those of `curvature`."""
        inputs, probs = np.asarray(features, np.float64), np.asarray(outputs, np.float64)
        if likelihood == "multiclass":
            output_sum = np.diag(probs.sum(0)) - probs.T @ probs
        elif likelihood == "multilabel":
            output_sum = np.diag((probs * (1 - probs)).sum(0))
        elif likelihood == "normal":
            output_sum = np.eye(probs.shape[1]) * len(probs) / variance
        else:
            raise ValueError(
                f"likelihood is {likelihood!r}; use 'multiclass', 'multilabel' or 'normal'"
            )
        return cls(inputs.T @ inputs, output_sum, len(probs))

    def __add__(self, other: "CurvatureSums") -> "CurvatureSums":
        """Return the sums over the examples of both."""
        return CurvatureSums(
            self.inputs + other.inputs, self.outputs + other.outputs, self.count + other.count
        )

    def factors(self) -> KroneckerCurvature:
        """Return the curvature."""
        input_values, input_basis = np.linalg.eigh(self.inputs)
        output_values, output_basis = np.linalg.eigh(self.outputs / self.count)
        # Rounding can make an eigenvalue of 0 negative.
        return KroneckerCurvature(
            np.maximum(input_values, 0.0), input_basis, np.maximum(output_values, 0.0), output_basis
        )


def curvature(
    features: npt.ArrayLike,
    outputs: npt.ArrayLike,
    likelihood: Likelihood,
    variance: float = 1.0,
) -> KroneckerCurvature:
    """Return the Kronecker-factored Gauss-Newton matrix of a linear layer.

    Args:
      features: Inputs of the layer, with a last column of ones for the bias, `[n, inputs]`.
      outputs: Probabilities of the trained layer, `[n, outputs]`; their values do not matter for a
        normal likelihood.
      likelihood: `multiclass` (softmax), `multilabel` (sigmoids) or `normal`.
      variance: Variance of the normal likelihood.
    """
    return CurvatureSums.of(features, outputs, likelihood, variance).factors()


def best_precision(factors: KroneckerCurvature, mean: npt.ArrayLike) -> float:
    """Return the precision of the prior that maximises the evidence, within 1e-4 to 1e6.

    Args:
      factors: The curvature at the trained weights.
      mean: The trained weights, `[inputs, outputs]`.
    """
    found = optimize.minimize_scalar(
        # The likelihood at the trained weights does not depend on the precision.
        lambda log_precision: -factors.log_evidence(0.0, mean, float(np.exp(log_precision))),
        bounds=tuple(np.log(PRECISIONS)),
        method="bounded",
    )
    return float(np.exp(found.x))


def weights_precision(mean: npt.ArrayLike) -> float:
    """Return the precision of the prior under which the trained weights are most likely.

    It is 1 / mean(W^2), within 1e-4 to 1e6. The evidence takes the weights for a maximum of the
    posterior, where those that the examples do not determine are 0. After a training without weight
    decay they are what they were at the start, and the evidence's prior is much too wide; this one
    is about as wide as the initial weights.

    Args:
      mean: The trained weights, `[inputs, outputs]`.
    """
    mean_square = float(np.mean(np.square(np.asarray(mean, np.float64))))
    return min(max(1 / mean_square, PRECISIONS[0]), PRECISIONS[1]) if mean_square else PRECISIONS[1]
