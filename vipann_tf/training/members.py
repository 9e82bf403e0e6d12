"""Transfer of a deep ensemble: the same training from several seeds, made into one model.

OUT/members/seed0, seed1, ...   model directories, until the ensemble is written
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from vipann_tf.errors import UserError
from vipann_tf.files.paths import StrPath
from vipann_tf.recipes import TransferRecipe
from vipann_tf.saved_model.ensembling import ensemble
from vipann_tf.saved_model.export import check_vacant
from vipann_tf.saved_model.metadata import METADATA_JSON, read_model_info
from vipann_tf.saved_model.versions import check_local, finished_versions
from vipann_tf.training.differences import differing_keys
from vipann_tf.training.processes import run_trainings
from vipann_tf.training.progress import Progress
from vipann_tf.training.run import KEPT_LOG
from vipann_tf.training.transfer import transfer

MEMBERS = "members"
# Called with the name of a member (`seed0`, ...) and its progress.
OnProgress = Callable[[str, Progress], None]


@dataclass(frozen=True)
class _Member:
    """The training of one member.

    Attributes:
      recipe, base, data, out, test_fold, overwrite: Arguments of `transfer`.
    """

    recipe: TransferRecipe
    base: StrPath
    data: StrPath
    out: Path
    test_fold: int | None
    overwrite: bool

    def run(
        self,
        on_progress: Callable[[Progress], None] | None = None,
        distribution: tf.distribute.Strategy | None = None,
    ) -> None:
        """Train the member unless that is done."""
        if not finished_versions(self.out):
            transfer(
                self.recipe,
                self.base,
                self.data,
                self.out,
                test_fold=self.test_fold,
                distribution=distribution,
                overwrite=self.overwrite,
                on_progress=on_progress,
            )

    def check(self) -> None:
        """Raise a `UserError` if the finished member was trained by another recipe."""
        if finished_versions(self.out):
            stored = TransferRecipe.model_validate(read_model_info(self.out).recipe)
            differing = differing_keys(
                stored.model_dump(mode="json"), self.recipe.model_dump(mode="json")
            )
            if differing:
                raise UserError(
                    f"{self.out} holds a member of an unfinished ensemble that differs in "
                    f"{', '.join(differing)}; repeat its command, or start again with --overwrite"
                )


def transfer_members(
    recipe: TransferRecipe,
    base: StrPath,
    data: StrPath,
    out: StrPath,
    *,
    members: int,
    test_fold: int | None = None,
    distribution: tf.distribute.Strategy | None = None,
    parallel: int = 1,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
) -> Path:
    """Transfer a network from several seeds, and write one model whose draws go round them.

    An interrupted call resumes: finished members are kept until the ensemble is written.

    Args:
      recipe: Strategy, mode and settings; the members have the seeds `training.seed` and the next.
      base: Model directory of the pretrained network.
      data: Dataset directory.
      out: Model directory to make.
      members: Number of members.
      test_fold: Number of the fold to hold out.
      distribution: Devices that train each member; by default one.
      parallel: Number of members trained at the same time, each in a process that sees one GPU or
        its share of the cores. The number of threads changes the last digits of the results.
      overwrite: Whether to replace a model, or an unfinished ensemble.
      on_progress: Called after every training step.

    Returns:
      The version folder.

    Raises:
      UserError: An argument is wrong, or a training failed.
    """
    check_local(out)
    check_vacant(out, overwrite=overwrite)
    if members < 1:
        raise UserError(f"members is {members}; use 1 or more")
    if parallel > 1 and distribution is not None:
        raise UserError(
            f"{parallel} members at the same time use one device each; leave --devices out"
        )
    folder = Path(out) / MEMBERS
    parts = {}
    for seed in range(recipe.training.seed, recipe.training.seed + members):
        training = recipe.training.model_copy(update={"seed": seed})
        parts[f"seed{seed}"] = _Member(
            recipe=recipe.model_copy(update={"training": training}),
            base=base,
            data=data,
            out=folder / f"seed{seed}",
            test_fold=test_fold,
            overwrite=overwrite,
        )
    for part in parts.values():
        try:
            part.check()
        except UserError:
            if not overwrite:
                raise
            shutil.rmtree(part.out)
    run_trainings(
        {name: part.run for name, part in parts.items()},
        parallel=parallel,
        distribution=distribution,
        on_progress=on_progress,
    )
    logs = {
        f"{name}_{KEPT_LOG}": finished_versions(part.out)[-1] / METADATA_JSON.parent / KEPT_LOG
        for name, part in parts.items()
    }
    version = ensemble([part.out for part in parts.values()], out, overwrite=overwrite, extras=logs)
    shutil.rmtree(folder)
    return version
