"""The command line: parse, call one function, print. TensorFlow is imported inside commands."""

import os
import sys

import click

from vipann_tf import __version__
from vipann_tf.errors import UserError

STRATEGIES = ("det", "drop", "flip", "det-flip")
DEVICES = ("auto", "none", "mirrored", "multiworker")
# The exit status of a process that an interrupt ended.
INTERRUPTED = 130


def _set_debug(context: click.Context, _, value: bool) -> None:
    if value:
        context.find_root().meta["debug"] = True


class Command(click.Command):
    """A command with `--debug`, which shows the traceback of an error."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.params.append(
            click.Option(
                ["--debug"],
                is_flag=True,
                expose_value=False,
                callback=_set_debug,
                help="Show the traceback of an error.",
            )
        )


class Group(click.Group):
    """Commands whose `UserError`s are one line and exit status 1."""

    command_class = Command

    def invoke(self, context: click.Context):
        try:
            return super().invoke(context)
        except UserError as error:
            if context.find_root().meta.get("debug"):
                raise
            click.echo(f"Error: {error}", err=True)
            context.exit(1)
        except KeyboardInterrupt:
            click.echo("Interrupted; nothing unfinished was left as finished.", err=True)
            context.exit(INTERRUPTED)


def _common(*names):
    """Options that several commands have, each written once."""
    options = {
        "data": click.option("--data", required=True, metavar="DIR", help="Dataset directory."),
        "out": click.option("--out", required=True, metavar="DIR", help="Directory to make."),
        "overwrite": click.option("--overwrite", is_flag=True, help="Replace what is at --out."),
        "set": click.option(
            "--set",
            "settings",
            multiple=True,
            metavar="KEY=VALUE",
            help="Override a value of the recipe, e.g. training.epochs=5; may be repeated.",
        ),
        "devices": click.option(
            "--devices",
            type=click.Choice(DEVICES),
            default="auto",
            show_default=True,
            help="GPUs of this machine (mirrored), machines of TF_CONFIG (multiworker), or one.",
        ),
        "samples": click.option(
            "--samples", type=int, metavar="T", help="Draws; by default those of the export."
        ),
        "seed": click.option(
            "--seed", type=int, metavar="N", help="Seed of the draws; by default the export's."
        ),
    }

    def decorate(function):
        for name in reversed(names):
            function = options[name](function)
        return function

    return decorate


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="vipann-tf")
def main():
    """Bayesian audio tagging: train, transfer, evaluate and serve networks that know when they do
    not know."""
    # TensorFlow's start-up notices would drown a command's own output.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


class _Prepare(Command):
    """Lists the datasets below the options."""

    def format_epilog(self, context, formatter):
        from vipann_tf.datasets import DATASETS

        with formatter.section("Datasets"):
            formatter.write_dl(
                [
                    (item.name, f"{item.summary}. {('SOURCE: ' + item.layout) if item.layout else 'No SOURCE.'}")
                    for item in DATASETS.values()
                ]
            )


@main.command(cls=_Prepare, context_settings={"ignore_unknown_options": True})
@click.argument("dataset")
@click.argument("paths", nargs=-1, required=True, metavar="[SOURCE] OUT [BEAM OPTIONS]")
@click.option("--seconds", type=float, metavar="S", help="Clip length; clips are cut or padded to it.")
@click.option("--workers", type=int, metavar="N", help="Processes; by default all cores.")
@click.option("--subset", help="esc50: esc10 for its ten-class subset.")
@click.option("--task", help="folder, csv: multiclass or multilabel. synthetic: also ood.")
@click.option("--clips", type=int, help="synthetic: number of clips.")
@click.option("--seed", type=int, help="synthetic: seed.")
@click.option("--folds", type=int, help="synthetic: folds of the multiclass task.")
@click.option("--dry-run", is_flag=True, help="Say what would be written; decode and write nothing.")
@_common("overwrite")
def prepare(dataset, paths, seconds, workers, dry_run, overwrite, **options):
    """Turn labelled audio into a dataset directory of TFRecords.

    Options that are not listed go to Apache Beam, such as --runner=FlinkRunner.
    """
    from vipann_tf import datasets, terminal
    from vipann_tf.records.storage import source_tree

    first = next((i for i, path in enumerate(paths) if path.startswith("--")), len(paths))
    paths, beam_options = paths[:first], paths[first:]
    needs_source = datasets.find(dataset).needs_source
    if len(paths) != 1 + needs_source:
        wanted = "SOURCE OUT" if needs_source else "OUT"
        raise UserError(f"prepare {dataset} takes {wanted}, but {len(paths)} paths were given")
    if "seconds" in datasets.find(dataset).options:
        options["seconds"] = seconds
    source = datasets.load(dataset, source_tree(paths[0]) if needs_source else None, **options)
    if dry_run:
        _print_plan(source, paths[-1], seconds)
        return

    from vipann_tf.records.prepare import prepare as run

    with terminal.progress("Preparing") as show:
        info = run(
            source,
            paths[-1],
            seconds=seconds,
            workers=workers,
            overwrite=overwrite,
            beam_options=beam_options,
            on_progress=show,
        )
    _print_dataset(paths[-1], info)


@main.command()
@click.argument("recipe")
@_common("data", "out", "set", "devices", "overwrite")
def pretrain(recipe, data, out, settings, devices, overwrite):
    """Train a network from scratch, as RECIPE (a YAML file) says."""
    from vipann_tf.recipe import PretrainRecipe, load_recipe

    resolved = load_recipe(PretrainRecipe, recipe, settings)

    from vipann_tf import terminal
    from vipann_tf.training.distribution import make_strategy
    from vipann_tf.training.pretrain import pretrain as run

    with terminal.progress("Pretraining") as show:
        version = run(
            resolved,
            data,
            out,
            strategy=make_strategy(devices),
            overwrite=overwrite,
            on_progress=_training_note(show),
        )
    if version is not None:
        _print_model(out)


@main.command()
@click.option("--strategy", type=click.Choice(STRATEGIES), help="What is Bayesian, and how.")
@click.option("--base", required=True, metavar="MODEL", help="Model directory of the pretrained network.")
@click.option("--mode", type=click.Choice(["fixed", "finetune"]), help="Train the head alone, or all.")
@click.option("--test-fold", type=int, metavar="K", help="Fold to hold out.")
@click.option(
    "--folds",
    metavar="all|K,K,...",
    help="Cross-validate: hold out each fold in turn, train, evaluate, and give mean and interval.",
)
@click.option("--final", is_flag=True, help="With --folds: train a model on all folds, too.")
@click.option("--recipe", metavar="FILE", help="YAML file; the defaults without.")
@_common("data", "out", "set", "devices", "overwrite")
def transfer(strategy, base, mode, test_fold, folds, final, recipe, data, out, settings, devices, overwrite):
    """Transfer a pretrained network to the labels of another dataset."""
    from vipann_tf.recipe import TransferRecipe, load_recipe

    if folds and test_fold is not None:
        raise UserError("--test-fold holds out one fold and --folds each in turn; give one of them")
    if final and not folds:
        raise UserError("--final goes with --folds; without it, name all folds: --set data.train=[...]")
    chosen = {"strategy": strategy, "mode": mode}
    settings = [*settings, *(f"{key}={value}" for key, value in chosen.items() if value)]
    resolved = load_recipe(TransferRecipe, recipe, settings)

    from vipann_tf import terminal
    from vipann_tf.training.distribution import make_strategy

    common = dict(strategy=make_strategy(devices), overwrite=overwrite)
    if folds:
        from vipann_tf.training.cross_validation import cross_validate

        with terminal.progress("Cross-validating") as show:
            summary = cross_validate(
                resolved,
                base,
                data,
                out,
                folds=_fold_numbers(folds),
                final=final,
                on_progress=lambda name, progress: _training_note(show, f"{name}: ")(progress),
                **common,
            )
        _print_cross_validation(out, summary)
        return
    from vipann_tf.training.transfer import transfer as run

    with terminal.progress("Transferring") as show:
        version = run(
            resolved,
            base,
            data,
            out,
            test_fold=test_fold,
            on_progress=_training_note(show),
            **common,
        )
    if version is not None:
        _print_model(out)


@main.command()
@click.argument("model")
@click.option("--split", help="Split to score; by default what was held out, or eval.")
@click.option(
    "--ood",
    multiple=True,
    metavar="DIR",
    help="Dataset directory of sounds that the model was not made for; may be repeated.",
)
@_common("data", "samples", "seed", "out", "overwrite")
def evaluate(model, data, split, ood, samples, seed, out, overwrite):
    """Score a model: accuracy, calibration and uncertainty, as numbers and as a report."""
    import shlex

    from vipann_tf import terminal
    from vipann_tf.evaluation.evaluate import evaluate as run
    from vipann_tf.findings import print_evaluation

    with terminal.progress("Evaluating") as show:
        summary = run(
            model,
            data,
            out,
            split=split,
            samples=samples,
            seed=seed,
            ood=ood,
            command=shlex.join(["vipann-tf", *sys.argv[1:]]),
            overwrite=overwrite,
            on_progress=show,
        )
    print_evaluation(summary)
    click.echo(f"Wrote {out}: read {os.path.join(out, 'report.html')}")


@main.command()
@click.argument("results", nargs=-1, required=True, metavar="RESULTS_DIR...")
@_common("out", "overwrite")
def compare(results, out, overwrite):
    """Compare models by what evaluate wrote: numbers, and differences on the same clips."""
    from vipann_tf import terminal
    from vipann_tf.evaluation.compare import compare as run
    from vipann_tf.findings import print_comparison

    with terminal.progress("Comparing") as show:
        rows = run(results, out, overwrite=overwrite, on_progress=show)
    print_comparison(rows)
    click.echo(f"Wrote {out}: read {os.path.join(out, 'compare.md')}")


@main.command()
@click.argument("model")
@click.option(
    "--split",
    "splits",
    multiple=True,
    metavar="NAME",
    help="Split to fit on, none that trained the model; by default a validation split, else what "
    "was held out. May be repeated.",
)
@click.option(
    "--coverage",
    type=float,
    default=0.9,
    show_default=True,
    help="Probability that a prediction set is to hold the truth.",
)
@click.option(
    "--method",
    type=click.Choice(["aps", "threshold"]),
    default="aps",
    show_default=True,
    help="Multiclass sets: aps grows on hard clips, threshold is smallest on average.",
)
@_common("data", "samples", "seed", "out")
def calibrate(model, splits, coverage, method, data, samples, seed, out):
    """Make a model's confidence right: a temperature and prediction sets, in a new version at
    --out."""
    from vipann_tf import terminal
    from vipann_tf.evaluation.calibrate import calibrate as run
    from vipann_tf.findings import print_calibration

    with terminal.progress("Calibrating") as show:
        found = run(
            model,
            data,
            out,
            splits=splits,
            samples=samples,
            seed=seed,
            coverage=coverage,
            method=method,
            on_progress=show,
        )
    print_calibration(found)
    _print_model(out)


@main.command()
@click.argument("model")
@click.option(
    "--by",
    type=click.Choice(["epistemic", "aleatoric", "total"]),
    default="epistemic",
    show_default=True,
    help="Uncertainty to rank by.",
)
@click.option("--top", type=int, default=20, show_default=True, metavar="K", help="Clips to name.")
@click.option("--diversity", is_flag=True, help="Prefer clips unlike those ranked before.")
@click.option(
    "--split",
    "splits",
    multiple=True,
    metavar="NAME",
    help="Split to choose from; by default all that the model was not trained on. May be repeated.",
)
@_common("data", "samples", "seed")
@click.option(
    "--format", "style", type=click.Choice(["table", "csv"]), default="table", show_default=True
)
def rank(model, by, top, diversity, splits, data, samples, seed, style):
    """Say which clips of a dataset are most worth labelling next."""
    from vipann_tf import terminal
    from vipann_tf.evaluation.rank import rank as run
    from vipann_tf.findings import print_ranking

    with terminal.progress("Ranking") as show:
        ranked = run(
            model,
            data,
            by=by,
            top=top,
            diversity=diversity,
            splits=splits,
            samples=samples,
            seed=seed,
            on_progress=show,
        )
    print_ranking(ranked, by, style)


@main.command()
@click.argument("model")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@_common("samples", "seed")
@click.option("--top", type=click.IntRange(1), default=3, show_default=True, metavar="K", help="Labels to show a file.")
@click.option(
    "--format",
    "style",
    type=click.Choice(["table", "json", "csv", "raven", "audacity"]),
    default="table",
    show_default=True,
    help="With --window: csv and json hold every window; table, a Raven selection table and "
    "Audacity labels what was detected.",
)
@click.option(
    "--window",
    type=float,
    metavar="S",
    help="Listen to a long recording by windows of this length, one FILE; memory does not grow.",
)
@click.option(
    "--hop",
    type=float,
    metavar="S",
    help="With --window: from one window to the next; by default a quarter of it.",
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    metavar="P",
    help="With --window: probability from which a label counts as detected.",
)
@click.option("--plot", metavar="FILE.png", help="With --window: draw the timeline.")
@click.option(
    "--server",
    metavar="HOST:PORT",
    help="Ask a running TensorFlow Serving (gRPC) that serves MODEL; HOST:PORT/NAME where it calls it "
    "otherwise.",
)
@click.option(
    "--deadline",
    type=float,
    default=60.0,
    show_default=True,
    metavar="S",
    help="With --server: seconds that a request may take.",
)
def predict(
    model, files, samples, seed, top, style, window, hop, threshold, plot, server, deadline
):
    """Label audio files, and say how sure the model is of each."""
    if window is not None:
        asked = {"samples": samples, "seed": seed, "server": server, "deadline_s": deadline}
        if len(files) != 1:
            raise UserError(f"--window takes one FILE, but {len(files)} were given")
        hop = window / 4 if hop is None else hop
        _listen(model, files[0], window, hop, asked, style, top, threshold, plot)
        return
    for name, given in {"--hop": hop, "--plot": plot}.items():
        if given is not None:
            raise UserError(f"{name} is for long recordings; give --window too, such as --window 10")
    if style in ("raven", "audacity"):
        raise UserError(f"--format {style} needs --window, such as --window 10")

    from vipann_tf.answers import print_answers
    from vipann_tf.saved_model.predict import Predictor

    predictor = Predictor(model, samples=samples, seed=seed, server=server, deadline_s=deadline)
    answers = predictor.answer(files)
    print_answers(answers, predictor.labels, top=top, style=style)
    for answer in answers:
        if answer.error:
            click.echo(f"Error: {answer.path}: {answer.error}", err=True)
    if any(answer.error for answer in answers):
        sys.exit(1)


@main.command()
@click.argument("model")
@_common("samples", "seed", "out")
@click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16"]),
    help="What it computes with; its variables stay float32.",
)
@click.option(
    "--draws",
    type=click.Choice(["sampled", "stored"]),
    help="Draw the networks in each request, or keep them in the SavedModel.",
)
@click.option("--seconds", type=float, metavar="S", help="Take waveforms of this length only.")
@click.option(
    "--version", type=int, metavar="N", help="Number of the version; by default the next one."
)
@click.option(
    "--metrics",
    multiple=True,
    metavar="FILE",
    help="metrics.json of an evaluation, for the model card; may be repeated.",
)
@click.option("--licence", metavar="TEXT", help="Of the weights, for the model card.")
def export(model, samples, seed, out, precision, draws, seconds, version, metrics, licence):
    """Write a version of a model with other settings of serving, at --out."""
    from vipann_tf.saved_model.reexport import reexport

    folder = reexport(
        model,
        out,
        samples=samples,
        seed=seed,
        precision=precision,
        draws=draws,
        fixed_seconds=seconds,
        evaluations=metrics,
        licence=licence,
        version=version,
    )
    _print_model(folder)


@main.command()
@click.argument("path")
def info(path):
    """Say what a model or dataset directory is."""
    from vipann_tf.records import schema
    from vipann_tf.records.storage import join, size

    if size(join(path, schema.INFO_FILE)) is not None:
        _print_dataset(path, schema.read_info(path))
        return
    from vipann_tf.training.run import unfinished

    if run := unfinished(path):
        _print_unfinished(path, run)
    else:
        _print_model(path)


@main.command("import")
@click.argument("checkpoint")
@click.option("--labels", metavar="CSV", help="Label names; by default AudioSet's 527.")
@click.option(
    "--signs",
    type=click.Choice(["channel", "activation"]),
    help="Of Flipout layers; by default as the weights were trained.",
)
@_common("out", "overwrite")
def import_(checkpoint, labels, signs, out, overwrite):
    """Turn a published PANNs or VI-PANN checkpoint (.pth) into a model directory."""
    from vipann_tf.checkpoints.importing import import_checkpoint

    import_checkpoint(checkpoint, out, labels=labels, signs=signs, overwrite=overwrite)
    _print_model(out)


@main.command()
@click.argument("out", metavar="FILE.wav")
@click.option("--task", type=click.Choice(["multilabel", "multiclass", "ood"]), default="multiclass", show_default=True)
@click.option("--index", type=click.IntRange(0), default=0, show_default=True, help="Number of the clip.")
@click.option("--seconds", type=float, default=5.0, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
def synthesize(out, task, index, seconds, seed):
    """Write one clip of the synthetic dataset as a WAV file."""
    from vipann_tf.datasets import synthetic

    clip = synthetic.write_wav(out, task, index, seconds=seconds, seed=seed)
    click.echo(f"Wrote {out}: {', '.join(clip.labels)}")


@main.command()
@click.option("--out", default="quickstart", show_default=True, metavar="DIR", help="Directory to make.")
@_common("overwrite")
def quickstart(out, overwrite):
    """Do the main job once, on synthetic sounds: prepare, pretrain, transfer, evaluate, predict."""
    from vipann_tf import quickstart as steps

    steps.run(main, out, overwrite=overwrite)


def _listen(model, path, window, hop, asked, style, top, threshold, plot) -> None:
    """Prints the timeline of a recording."""
    from vipann_tf import terminal
    from vipann_tf.audio.decoding import DecodeError, duration_s
    from vipann_tf.evaluation.timeline_files import timeline
    from vipann_tf.evaluation.timeline_figure import TimelineFigure
    from vipann_tf.saved_model.timeline import Listener

    listener = Listener(model, window_s=window, hop_s=hop, **asked)
    try:
        seconds = duration_s(path)
        shown = timeline(
            style, sys.stdout, path, listener.labels, top=top, threshold=threshold
        )
        figure = TimelineFigure(listener.labels, seconds) if plot else None
        with terminal.progress("Listening") as show:
            for heard in listener.listen(path, show):
                shown.add(heard)
                if figure is not None:
                    figure.add(heard)
    except DecodeError as error:
        raise UserError(f"{path}: {error}") from error
    shown.close()
    if figure is not None:
        figure.write(plot)
        click.echo(f"Wrote {plot}", err=True)


def _training_note(show, prefix=""):
    """Progress of a training as one line."""

    def on_progress(progress):
        note = (
            f"{prefix}loss {progress.loss:.3f} = NLL {progress.nll:.3f} + KL {progress.kl_term:.3f}, "
            f"{progress.steps_per_s:.2g} steps/s, {progress.clips_per_s:.0f} clips/s"
        )
        if progress.scores:
            name, value = next(iter(progress.scores.items()))
            note += f", validation {name} {value:.3f}"
        show(progress.step, progress.steps, note)

    return on_progress


def _fold_numbers(text: str) -> list[int] | None:
    if text == "all":
        return None
    try:
        return [int(number) for number in text.split(",")]
    except ValueError:
        raise UserError(f"--folds is {text!r}; give all, or numbers such as 1,2,3") from None


def _print_cross_validation(out, summary) -> None:
    from vipann_tf import terminal

    numbers = summary["metrics"] | {
        f"mean {name} (nats)": value for name, value in summary["uncertainty"].items()
    }
    columns = {"metric": "left", "mean": "right", "95 % from": "right", "to": "right"}
    columns |= {name: "right" for name in summary["folds"]}
    rows = [
        (
            name,
            *(terminal.number(value[key]) for key in ("mean", "low", "high")),
            *(terminal.number(x) for x in value["values"]),
        )
        for name, value in numbers.items()
    ]
    terminal.table(columns, rows, f"{summary['dataset']}, {len(summary['folds'])} folds")
    click.echo(f"Wrote {os.path.join(out, 'cross_validation.json')}")


def _print_plan(source, out, seconds) -> None:
    from vipann_tf import terminal
    from vipann_tf.records.plan import plan_shards

    plan = plan_shards(source, seconds=seconds)
    click.echo(
        f"{out} would hold dataset {source.name}, {source.task}, {len(source.labels)} labels, "
        f"{plan.clips} clips of {plan.seconds:g} s ({plan.hours:.2f} h), {plan.bytes / 1e9:.2f} GB"
    )
    rows = [(name, str(clips)) for name, clips in plan.splits.items()]
    terminal.table({"split": "left", "clips": "right"}, rows)
    rows = [(name, str(clips)) for name, clips in plan.label_counts.items()]
    terminal.table({"label": "left", "clips": "right"}, rows)
    if plan.rejected:
        click.echo(f"{len(plan.rejected)} of {plan.inputs} inputs would be rejected before decoding")


def _print_dataset(path, info) -> None:
    from vipann_tf import terminal

    hours = info.clips * info.clip_seconds / 3600
    click.echo(
        f"{path}: dataset {info.name}, {info.task}, {len(info.labels)} labels, {info.clips} clips of "
        f"{info.clip_seconds:g} s ({hours:.2f} h) at {info.sample_rate_hz} Hz"
    )
    rows = [(name, str(split.clips), str(split.shards)) for name, split in info.splits.items()]
    terminal.table({"split": "left", "clips": "right", "shards": "right"}, rows)
    if info.rejected:
        reasons = ", ".join(f"{count} {reason}" for reason, count in info.rejected.items())
        click.echo(f"Rejected: {reasons} (see rejected.csv)")


def _print_unfinished(path, run) -> None:
    recipe = run["description"]["recipe"]
    what = f"transfer {recipe['strategy']} ({recipe['mode']})" if "strategy" in recipe else "pretrain"
    click.echo(
        f"{path}: unfinished {what}, step {run['step']} of {run['steps']}, "
        f"last written {run['seconds_ago']:.0f} s ago"
    )
    for name in ("log", "scores"):
        if run[name]:
            click.echo(", ".join(f"{key} {float(value):.4g}" for key, value in run[name].items()))
    click.echo("The command that began it goes on with it.")


def _print_model(path) -> None:
    from vipann_tf.saved_model import metadata

    info = metadata.read_info(path)
    network = info.architecture
    click.echo(
        f"{metadata.version_directory(path)}: ResNet-{network.depth} of width {network.width:g}, "
        f"{network.trunk} trunk, {network.head} head, {network.task}, {network.labels} labels"
    )
    made = info.recipe.get("strategy")
    if info.data is not None:
        how = f"{info.origin} {made} ({info.recipe['mode']})" if made else info.origin
        held = f", held out {', '.join(info.data.held_out)}" if info.data.held_out else ""
        click.echo(
            f"{how} on {info.data.dataset}: {info.data.clips} clips of {', '.join(info.data.splits)}{held}; "
            f"{info.training['steps']} steps in {info.training['seconds']:.0f} s, "
            f"last loss {info.training['loss']:.3f}"
        )
    click.echo(
        f"takes waveforms at {info.sample_rate_hz} Hz; serving_default averages "
        f"{info.samples if network.stochastic else 1} draws of seed {info.seed}"
    )


def run() -> None:
    """The console script."""
    try:
        main()
    except SystemExit as end:
        storage = sys.modules.get("vipann_tf.records.storage")
        if storage is None or not storage.aborts_at_exit():
            raise
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code if isinstance(end.code, int) else 1)


if __name__ == "__main__":
    run()
