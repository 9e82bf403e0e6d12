"""How far a training is, for those who show it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """How far a training is.

    Attributes:
      step: Steps done.
      steps: Steps in all.
      epoch: Passes over the data.
      loss: Loss of this step, per clip in nats: nll + kl_term.
      nll: Negative log-likelihood of this step, per clip in nats.
      kl_term: Weighted KL divergence of this step, per clip in nats.
      steps_per_s: Speed since the start or the resumption.
      clips_per_s: The same in clips.
      scores: Scores of the last validation; empty before it.
    """

    step: int
    steps: int
    epoch: int
    loss: float
    nll: float
    kl_term: float
    steps_per_s: float
    clips_per_s: float
    scores: dict[str, float]

    @property
    def seconds_left(self) -> float:
        """Time until the last step, at the speed so far."""
        return (self.steps - self.step) / self.steps_per_s
