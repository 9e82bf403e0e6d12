"""Write the lists of clips that the study on real sound is prepared from.

    python -m benchmarks.upstream_lists ../shared/data/upstream lists

`open.csv` has the recordings of open licences with the labels that at least 15 of them have, ten or
more in training: what the shipped base is trained on. `others.csv` has every third recording of the
eval split, of any licence, that sounds like none of ESC-10's classes: a network for ESC-10 has no
answer for it. Both name files by absolute paths, for `vipann-tf prepare csv`.
"""

import collections
import csv
import pathlib
from collections.abc import Iterable

import click

OTHERS_EVERY = 3  # as many as two cores evaluate in a while; sources follow each other in the list
LEAST_CLIPS, LEAST_TRAINING_CLIPS = 15, 10

# AudioSet's labels of the sounds that ESC-10's ten classes are, or that are hardly different.
ESC10 = frozenset(
    """Dog;Bark;Yip;Howl;Bow-wow;Growling;Whimper (dog);Canidae, dogs, wolves
    Chicken, rooster;Cluck;Crowing, cock-a-doodle-doo;Fowl
    Rain;Raindrop;Rain on surface;Thunderstorm;Thunder
    Ocean;Waves, surf;Stream;Waterfall;Spray;Splash, splatter;Water
    Fire;Crackle;Crumpling, crinkling
    Baby cry, infant cry;Crying, sobbing;Whimper
    Sneeze;Sniff;Cough
    Clock;Tick;Tick-tock;Alarm clock;Clicking
    Helicopter;Aircraft;Propeller, airscrew
    Chainsaw;Power tool;Sawing;Lawn mower;Light engine (high frequency)""".replace("\n", ";")
    .replace("    ", "")
    .split(";")
)


@click.command()
@click.argument("upstream", type=click.Path(exists=True, file_okay=False, path_type=pathlib.Path))
@click.argument("out", type=click.Path(file_okay=False, path_type=pathlib.Path))
def main(upstream: pathlib.Path, out: pathlib.Path) -> None:
    """Write OUT/open.csv and OUT/others.csv from the recordings in UPSTREAM."""
    with open(upstream / "clips.csv", newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    out.mkdir(parents=True, exist_ok=True)
    free = [row for row in rows if is_open(row)]
    all_counts = collections.Counter(label for row in free for label in labels_of(row))
    training = [row for row in free if row["split"] == "train"]
    training_counts = collections.Counter(label for row in training for label in labels_of(row))
    kept = {
        label
        for label, count in all_counts.items()
        if count >= LEAST_CLIPS and training_counts[label] >= LEAST_TRAINING_CLIPS
    }
    chosen = [(row, [x for x in labels_of(row) if x in kept]) for row in free]
    write(out / "open.csv", upstream, [(row, labels) for row, labels in chosen if labels])
    others = [row for row in rows if row["split"] == "eval" and not ESC10 & {*labels_of(row)}]
    others = others[::OTHERS_EVERY]
    write(out / "others.csv", upstream, [(row, labels_of(row)) for row in others])
    click.echo(f"{len(free)} open recordings, {len(kept)} labels; {len(others)} other sounds")


def is_open(row: dict[str, str]) -> bool:
    """Return whether a recording may be used for any purpose."""
    return not row["source"].endswith("-nc") and "GPL" not in row["licence"]


def labels_of(row: dict[str, str]) -> list[str]:
    """Return the labels of a row."""
    return row["labels"].split(";")


def write(
    file: pathlib.Path, upstream: pathlib.Path, rows: Iterable[tuple[dict[str, str], list[str]]]
) -> None:
    """Write a list for `vipann-tf prepare csv`."""
    with open(file, "w", newline="", encoding="utf-8") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(["filename", "labels", "split"])
        for row, labels in rows:
            path = (upstream / row["filename"]).resolve()
            writer.writerow([path, ";".join(labels), row["split"]])


if __name__ == "__main__":
    main()
