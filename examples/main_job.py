"""The main job in Python: from labelled sounds to a model and its answers.

    python examples/main_job.py runs/main_job

It takes some minutes on two cores. The folds of `sounds.csv` are seconds of the same recordings, so
the scores are those of a demonstration: hold out whole recordings of your own.
"""

import argparse
from pathlib import Path

import vipann_tf as vt

HERE = Path(__file__).parent


def main(out: Path, *, base: str = "everyday-sounds", steps: int = 60) -> vt.Prediction:
    """Prepare, transfer, evaluate, export, load, predict.

    Args:
      out: Directory to make.
      base: The network to start from.
      steps: Steps of training.

    Returns:
      The answers for all example sounds.
    """
    data, model, results = out / "data", out / "model", out / "results"
    written = vt.prepare("csv", HERE / "sounds.csv", data, seconds=1.0)
    print(f"{len(written.labels)} labels: {', '.join(written.labels)}")

    vt.transfer(
        base,
        data,
        model,
        strategy="det-flip",
        mode="fixed",
        test_fold=5,
        settings={"training.steps": steps, "export.num_draws": 20},
    )
    scores = vt.evaluate(model, data, results)["metrics"]
    print(f"accuracy {scores['accuracy']['value']:.2f}, ECE {scores['ece']['value']:.2f}")

    fast = vt.load(vt.export(model, out / "fast", num_draws=5))
    print(fast)
    answers = fast.predict(sorted((HERE / "sounds").glob("*.ogg")))
    print(answers)
    return answers


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="directory to make")
    main(parser.parse_args().out)
