"""What a model says of some sounds, as arrays, as a table, and as something to read."""

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vipann_tf.errors import UserError
from vipann_tf.notices import Notice
from vipann_tf.saved_model.predict import Answer

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Prediction", "TopLabel"]

Floats = NDArray[np.float32]

_SHOWN_SOUNDS = 20
_SHOWN_LABELS = 3


class TopLabel(NamedTuple):
    """A probable label of a sound; uncertainties in nats."""

    label: str
    probability: float
    aleatoric: float
    epistemic: float


@dataclass(frozen=True, eq=False, repr=False)
class Prediction:
    """The answers of a model for some sounds; the first axis is always that of the sounds.

    Iterating gives the prediction of each sound, and `prediction[3]` that of one: a `Prediction` of
    one sound, with the same axes.

    Attributes:
      sounds: The paths, or `x[0]`, `x[1]`, ... for arrays.
      labels: Label names in the order of the last axis.
      num_draws: Number of draws.
      seed: Seed of the draws.
      seconds: Length of each sound, float64 `[sounds]`.
      probabilities: Means over draws, float32 `[sounds, labels]`.
      label_total, label_aleatoric, label_epistemic: Uncertainty of each label in nats, float32
        `[sounds, labels]`.
      total, aleatoric, epistemic: Uncertainty of each sound in nats, float32 `[sounds]`.
      draws: Probabilities of each draw, float32 `[draws, sounds, labels]`, if they were asked for.
      notices: What is to be known of each sound, such as that it was padded; `[sounds]`.
    """

    sounds: list[str]
    labels: list[str]
    num_draws: int
    seed: int
    seconds: NDArray[np.float64]
    probabilities: Floats
    label_total: Floats
    label_aleatoric: Floats
    label_epistemic: Floats
    total: Floats
    aleatoric: Floats
    epistemic: Floats
    draws: Floats | None
    notices: list[tuple[Notice, ...]]

    @classmethod
    def of(
        cls, answers: Sequence[Answer], labels: Sequence[str], num_draws: int, seed: int
    ) -> "Prediction":
        """Return the prediction that one or more answers make."""

        def stacked(name: str) -> Floats:
            return np.stack([np.asarray(getattr(answer, name), np.float32) for answer in answers])

        each = [answer.draws for answer in answers if answer.draws is not None]
        return cls(
            sounds=[answer.path for answer in answers],
            labels=list(labels),
            num_draws=num_draws,
            seed=seed,
            seconds=np.array([answer.seconds for answer in answers]),
            probabilities=stacked("probabilities"),
            label_total=stacked("label_total"),
            label_aleatoric=stacked("label_aleatoric"),
            label_epistemic=stacked("label_epistemic"),
            total=stacked("total"),
            aleatoric=stacked("aleatoric"),
            epistemic=stacked("epistemic"),
            draws=np.stack(each, axis=1) if each else None,
            notices=[answer.notices for answer in answers],
        )

    def __len__(self) -> int:
        return len(self.sounds)

    def __getitem__(self, index: int) -> "Prediction":
        i = range(len(self))[index]  # raises IndexError, and counts from the end
        row = slice(i, i + 1)
        return Prediction(
            sounds=self.sounds[row],
            labels=self.labels,
            num_draws=self.num_draws,
            seed=self.seed,
            seconds=self.seconds[row],
            probabilities=self.probabilities[row],
            label_total=self.label_total[row],
            label_aleatoric=self.label_aleatoric[row],
            label_epistemic=self.label_epistemic[row],
            total=self.total[row],
            aleatoric=self.aleatoric[row],
            epistemic=self.epistemic[row],
            draws=None if self.draws is None else self.draws[:, row],
            notices=self.notices[row],
        )

    def __iter__(self) -> Iterator["Prediction"]:
        return (self[i] for i in range(len(self)))

    def top(self, k: int = _SHOWN_LABELS) -> list[list[TopLabel]]:
        """Return the k most probable labels of each sound, the most probable first.

        Raises:
          UserError: `k` is below 1.
        """
        if k < 1:
            raise UserError(f"k is {k}; use 1 or more")
        order = np.argsort(-self.probabilities, axis=1, kind="stable")[:, :k]
        return [
            [
                TopLabel(
                    self.labels[i],
                    float(self.probabilities[row, i]),
                    float(self.label_aleatoric[row, i]),
                    float(self.label_epistemic[row, i]),
                )
                for i in chosen
            ]
            for row, chosen in enumerate(order.tolist())
        ]

    def to_dataframe(self) -> "pd.DataFrame":
        """Return a pandas table with a row for each sound and label.

        Its columns are those of `vipann-tf predict --format csv`, with `seconds` and `label_total`;
        `total`, `aleatoric` and `epistemic` are those of the sound.

        Raises:
          UserError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise UserError("to_dataframe needs pandas: pip install pandas") from error
        many = len(self.labels)
        columns: dict[str, Any] = {
            "file": np.repeat(np.array(self.sounds, object), many),
            "seconds": np.repeat(self.seconds, many),
            "label": np.tile(np.array(self.labels, object), len(self)),
        }
        for name in ("probabilities", "label_total", "label_aleatoric", "label_epistemic"):
            columns[name] = getattr(self, name).ravel()
        columns["probability"] = columns.pop("probabilities")
        for name in ("total", "aleatoric", "epistemic"):
            columns[name] = np.repeat(getattr(self, name), many)
        order = ("file", "seconds", "label", "probability")
        return pd.DataFrame({**{name: columns[name] for name in order}, **columns})

    def __repr__(self) -> str:
        lines = [self._heading()]
        for sound, tops in zip(self._shown(), self.top(), strict=False):
            words = ", ".join(f"{x.label} {x.probability:.3f}" for x in tops)
            lines += [
                f"  {sound.sounds[0]} ({sound.seconds[0]:.1f} s): {words}",
                f"    {sound.total[0]:.3f} nats = {sound.aleatoric[0]:.3f} aleatoric"
                f" + {sound.epistemic[0]:.3f} epistemic",
                *(f"    {notice.kind}: {notice.detail}" for notice in sound.notices[0]),
            ]
        return "\n".join([*lines, *self._rest()])

    def _repr_html_(self) -> str:
        """Return a table for notebooks; names of files and labels are escaped."""
        heads = ("sound", "s", "most probable labels", "total", "aleatoric", "epistemic", "notices")
        rows = []
        for sound, tops in zip(self._shown(), self.top(), strict=False):
            numbers = (sound.total[0], sound.aleatoric[0], sound.epistemic[0])
            cells = (
                sound.sounds[0],
                f"{sound.seconds[0]:.1f}",
                ", ".join(f"{x.label} {x.probability:.3f}" for x in tops),
                *(f"{x:.3f}" for x in numbers),
                "; ".join(f"{x.kind}: {x.detail}" for x in sound.notices[0]),
            )
            rows.append("".join(f"<td>{html.escape(cell)}</td>" for cell in cells))
        head = "".join(f"<th>{name}</th>" for name in heads)
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        rest = "".join(f"<p>{html.escape(line.strip())}</p>" for line in self._rest())
        return (
            f"<table><caption>{html.escape(self._heading())}; uncertainty in nats</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{rest}"
        )

    def _heading(self) -> str:
        sounds = "1 sound" if len(self) == 1 else f"{len(self)} sounds"
        draws = "1 draw" if self.num_draws == 1 else f"{self.num_draws} draws"
        return f"Prediction of {sounds}: {len(self.labels)} labels, {draws} (seed {self.seed})"

    def _shown(self) -> Iterator["Prediction"]:
        return (self[i] for i in range(min(len(self), _SHOWN_SOUNDS)))

    def _rest(self) -> list[str]:
        more = len(self) - _SHOWN_SOUNDS
        return [f"  and {more} more sounds"] if more > 0 else []
