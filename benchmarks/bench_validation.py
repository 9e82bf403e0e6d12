"""What more draws cost the validation of a training, where the trunk is deterministic (det-flip).

    python -m benchmarks.bench_validation [--source DIR] [--width 0.125]

`Validation.score` on the clips of ESC-10, decoding included, by a network with weights by its
initializers. Both parts score once before, which traces. The bar compares the best score of each,
since a machine can be disturbed but not hurried.
"""

import argparse
import pathlib
import time

from benchmarks import harness
from benchmarks.bench_data import ESC10

DRAWS = 20
SCORES = 8


def validation(draws: int):
    """Seconds of each score with so many draws."""

    def part(args) -> dict:
        from vipann_tf import datasets
        from vipann_tf.models.architecture import Architecture
        from vipann_tf.models.vipann import VIPANN
        from vipann_tf.recipes import Validation as Settings
        from vipann_tf.records.prepare import prepare
        from vipann_tf.training.validation import Validation

        data = pathlib.Path(args.scratch) / "data"
        if not data.exists():
            prepare(datasets.load("esc50", args.source, subset="esc10"), data, workers=2)
        settings = Settings(splits=[f"fold{i}" for i in range(1, 6)], num_draws=draws)
        scoring = Validation(settings, data, [], [], steps_per_epoch=1, seed=0)
        architecture = Architecture(width=args.width, head="flipout", labels=10, task="multiclass")
        scoring.start(VIPANN(architecture))
        scoring.score(0)
        seconds = []
        for step in range(1, SCORES + 1):
            began = time.perf_counter()
            scoring.score(step)
            seconds.append(time.perf_counter() - began)
        return {"seconds": seconds}

    return part


ONE, MANY = "1 draw", f"{DRAWS} draws"
PARTS = {ONE: validation(1), MANY: validation(DRAWS)}


def report(found, args) -> str:
    rows = [[name, row.text(digits=2), f"{row.peak_gib:.2f}"] for name, row in found.items()]
    return "\n".join(
        [
            f"## Validation of det-flip while it is trained: ESC-10, width {args.width:g}",
            "",
            harness.table(["", "seconds", "peak GiB"], rows),
            "",
            harness.bar(
                f"{DRAWS} draws against 1, the best of each",
                min(found[MANY].seconds) / min(found[ONE].seconds),
                most=1.2,
            ),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", default=str(ESC10), help="ESC-50, of which ESC-10 is taken")
    parser.add_argument("--width", type=float, default=0.125)
    harness.run(__file__, parser, PARTS, report, rounds=3)


if __name__ == "__main__":
    main()
