"""Clips with the features of a trunk: what a head is trained on, without their sound."""

import dataclasses
import os
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vipann_tf.errors import UserError
from vipann_tf.files import atomic
from vipann_tf.files.paths import StrPath

__all__ = ["Clips"]


@dataclasses.dataclass(frozen=True)
class Clips:
    """Clips of a data set, or of anything that a trunk has heard.

    Attributes:
      ids: Names, str [clips].
      splits: Name of each clip's split, str [clips].
      features: Pooled features, float32 [clips, 2048 x width].
      labels: Multi-hot labels, float32 [clips, labels].
      source: What the features were computed from: hashes of the network and of the data set.
      groups: What each clip shares with others, such as its recording, or its own id, str [clips];
        `None` if no clip shares anything.
    """

    ids: npt.NDArray[np.str_]
    splits: npt.NDArray[np.str_]
    features: npt.NDArray[np.float32]
    labels: npt.NDArray[np.float32]
    source: str = ""
    groups: npt.NDArray[np.str_] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, which: npt.ArrayLike) -> "Clips":
        """Return some clips, by indices or by a mask."""
        at = np.asarray(which)
        arrays = {name: x[at] for name, x in vars(self).items() if isinstance(x, np.ndarray)}
        return dataclasses.replace(self, **arrays)

    def of(self, splits: list[str]) -> "Clips":
        """Return the clips of some splits, in their order here."""
        return self[np.isin(self.splits, splits)]

    def save(self, path: StrPath) -> None:
        """Write them to a file of NumPy's format `.npz`, as a whole or not at all."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic.replacing(path, path.with_name(f".{path.name}.{os.getpid()}")) as file:
            np.savez(file, **{name: x for name, x in vars(self).items() if x is not None})

    @classmethod
    def load(cls, path: StrPath) -> "Clips":
        """Read what `save` wrote.

        Raises:
          UserError: There is no such file, or it is not one of clips.
        """
        try:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:
                names = cls.__dataclass_fields__.keys() - ({"groups"} - {*stored.files})
                values = {name: stored[name] for name in names}
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise UserError(
                f"{path} holds no features of clips ({error}); delete it, and it is made again"
            ) from error
        return cls(**{**values, "source": str(values["source"])})
