"""Progress of a training."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """Progress of a training.

    Attributes:
      step: Number of steps taken.
      steps: Total number of steps.
      epoch: Number of passes over the data.
      loss: Loss of this step, per clip in nats: nll + kl_term.
      nll: Negative log-likelihood of this step, per clip in nats.
      kl_term: Weighted KL divergence of this step, per clip in nats.
      steps_per_s: Speed since the start or the resumption, in steps per second.
      clips_per_s: The same speed in clips per second.
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
        """Time until the last step at this speed, in seconds."""
        return (self.steps - self.step) / self.steps_per_s
