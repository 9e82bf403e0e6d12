import dataclasses

import pytest

from vipann_tf.datasets.base import Clip, Rejection, Source
from vipann_tf.errors import UserError
from vipann_tf.records.plan import TARGET_SHARD_BYTES, plan_shards


def source(clips=30, task="multiclass", **changes):
    listed = tuple(
        Clip(f"clip{n}", f"/x/{n}.wav", ("ab"[n % 2],), "eval" if n % 3 == 0 else "train")
        for n in range(clips)
    )
    values = {
        "name": "mine",
        "task": task,
        "labels": ("a", "b"),
        "clips": listed,
        "clip_seconds": 2.0,
    }
    return Source(**{**values, **changes})


def test_every_clip_lies_in_one_shard_of_its_split():
    plan = plan_shards(source(), shards=4)
    assert [shard.name for shard in plan.shards[:4]] == [
        f"eval-0000{n}-of-00004.tfrecord" for n in range(4)
    ]
    placed = [clip.clip_id for shard in plan.shards for clip in shard.clips]
    assert sorted(placed) == sorted(f"clip{n}" for n in range(30))
    for shard in plan.shards:
        assert {clip.split for clip in shard.clips} == {shard.split}
        assert len(shard.clips) in (2, 3, 5)


def test_the_order_of_listing_does_not_matter():
    clips = source().clips
    turned = plan_shards(dataclasses.replace(source(), clips=clips[::-1]))
    assert turned.shards == plan_shards(source()).shards


def test_shards_mix_classes_that_were_listed_one_after_the_other():
    clips = [Clip(f"{label}{n}", "x", (label,), "train") for label in "ab" for n in range(400)]
    plan = plan_shards(dataclasses.replace(source(), clips=clips))
    shares = [sum(clip.labels == ("a",) for clip in s.clips) / len(s.clips) for s in plan.shards]
    # 100 clips a shard at a share of a half: standard error 0.05.
    assert all(0.3 < share < 0.7 for share in shares), shares


def test_number_of_shards():
    counts = dict.fromkeys(("eval", "train"), 0)
    for shard in plan_shards(source()).shards:
        counts[shard.split] += 1
    assert counts == {"eval": 8, "train": 8}
    assert len(plan_shards(source(clips=3)).shards) == 3  # no more than clips
    many = [Clip(str(n), "x", ("a",), "train") for n in range(10_000)]
    plan = plan_shards(dataclasses.replace(source(), clips=many), seconds=10)
    assert len(plan.shards) == -(-10_000 * 640_000 // TARGET_SHARD_BYTES)
    assert plan.size_bytes == pytest.approx(10_000 * 640_000, rel=0.01)
    assert plan.hours == pytest.approx(10_000 / 360)


def test_summary_of_a_dry_run():
    listed = source(rejected=(Rejection("p", "gone", "missing-file"),))
    plan = plan_shards(listed)
    assert (plan.clips, plan.inputs, plan.splits) == (30, 31, {"eval": 10, "train": 20})
    assert plan.label_counts == {"a": 15, "b": 15}
    assert plan.seconds == 2.0


def test_contradictions_are_rejected_by_name():
    good = Clip("one", "/1.wav", ("a",), "train")
    listed = dataclasses.replace(
        source(),
        clips=[
            good,
            dataclasses.replace(good, path="/2.wav"),
            Clip("two", "/3.wav", ("a", "b"), "train"),
            Clip("three", "/4.wav", (), "train"),
            Clip("four", "/5.wav", ("c",), "train"),
        ],
    )
    plan = plan_shards(listed)
    assert plan.clips == 1 and plan.inputs == 5
    assert [(r.clip_id, r.reason) for r in plan.rejected] == [
        ("one", "duplicate-id"),
        ("two", "label-count"),
        ("three", "label-count"),
        ("four", "unknown-label"),
    ]
    several = plan_shards(dataclasses.replace(listed, task="multilabel"))
    assert [r.reason for r in several.rejected] == ["duplicate-id", "unknown-label"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"seconds": 0.01}, "seconds is 0.01; use a length from 0.1 to 600"),
        ({"seconds": float("nan")}, "seconds is nan"),
        ({"seconds": 1e6}, "seconds is 1000000.0"),
        ({"sample_rate_hz": 10}, "sample_rate_hz is 10; use a sample rate from 1000 to 192000"),
        ({"shards": 0}, "shards is 0; use 1 to 99999"),
    ],
)
def test_arguments_out_of_range(arguments, message):
    with pytest.raises(UserError, match=message):
        plan_shards(source(), **arguments)


def test_unusable_split_name():
    clips = [Clip("1", "x", ("a",), "my split")]
    with pytest.raises(UserError, match="dataset mine: split 'my split' is not a usable name"):
        plan_shards(dataclasses.replace(source(), clips=clips))
