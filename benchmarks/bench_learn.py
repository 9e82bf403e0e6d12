"""How long "learn now" takes: a head from kept features, its answers, and its model directory.

    python -m benchmarks.bench_learn --data DIR [--base everyday-sounds] [--strategy det-flip]

Prints wall seconds and seconds of CPU of each part in turn, as an app meets them: the base is read,
the features of all clips are computed, a head is trained for the first time (which compiles) and
again with one clip more, it answers all clips, and its model directory is written.
"""

import argparse
import pathlib
import tempfile
import time
from collections.abc import Callable
from typing import TypeVar

from vipann_tf.active.learner import HeadLearner
from vipann_tf.active.learning import write_model
from vipann_tf.active.trunk import Trunk
from vipann_tf.recipes import TransferRecipe, load_recipe
from vipann_tf.records.schema import read_dataset_info
from vipann_tf.saved_model.metadata import TrainingData

T = TypeVar("T")


def timed(what: str, work: Callable[[], T]) -> T:
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"| {what} | {wall:.2f} | {cpu:.2f} |", flush=True)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="dataset directory")
    parser.add_argument("--base", default="everyday-sounds")
    parser.add_argument("--strategy", default="det-flip")
    parser.add_argument("--steps", type=int, default=300)
    args = parser.parse_args()
    dataset = read_dataset_info(args.data)
    settings = [f"strategy={args.strategy}", f"training.steps={args.steps}"]
    recipe = load_recipe(TransferRecipe, "transfer/small_fixed", settings)
    print(f"## Learn now: {args.strategy} on {dataset.clips} clips, {args.steps} steps\n")
    print("| part | wall, s | CPU, s |\n| --- | --- | --- |")
    trunk = timed("read the base", lambda: Trunk.open(args.base))
    clips = timed("features of all clips", lambda: trunk.clips(args.data))
    learner = HeadLearner(recipe, trunk.architecture, dataset.labels, dataset.task)
    some = clips[range(1, len(clips))]
    timed("first head, compiled", lambda: learner.train(some.features, some.labels))
    head = timed("each later head", lambda: learner.train(clips.features, clips.labels))
    timed("first answers, compiled", lambda: learner.answer(head, some.features))
    timed("each later answers to all clips", lambda: learner.answer(head, clips.features))
    data = TrainingData(dataset=dataset.name, splits=["labelled"], clips=len(clips))
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "model"
        timed("model directory", lambda: write_model(learner, head, trunk, out, data))


if __name__ == "__main__":
    main()
