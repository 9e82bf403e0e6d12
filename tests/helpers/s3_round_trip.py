"""Everything a dataset does in a bucket: `... LOCAL_SOURCE LOCAL_OUT`.

A process of its own, since the S3 file system may abort the process that used it at its end.
"""

import contextlib
import os
import re
import sys

import boto3
import numpy as np
import pytest

from vipann_tf import datasets
from vipann_tf.audio.decoding import DecodeError
from vipann_tf.datasets.base import Clip
from vipann_tf.datasets.remote_tree import source_tree
from vipann_tf.errors import UserError
from vipann_tf.records import prepare as prepare_module
from vipann_tf.records import schema
from vipann_tf.records.clip_reading import ClipReader, ClipReading
from vipann_tf.records.pipeline import evaluation_batches, training_batches
from vipann_tf.records.prepare import prepare
from vipann_tf.records.reading import damage_as_user_error

BUCKET = "clips"
OUT = f"s3://{BUCKET}/sets/out"


def objects(client, prefix):
    found = client.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", ())
    return {item["Key"][len(prefix) :]: item["Key"] for item in found}


def content(client, prefix):
    return {
        name: client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        for name, key in objects(client, prefix).items()
    }


def raises(message, function, *arguments, **options):
    with pytest.raises(UserError, match=re.escape(message)):
        function(*arguments, **options)


def main(local_source, local_out):
    client = boto3.client("s3", endpoint_url=os.environ["S3_ENDPOINT"], region_name="us-east-1")
    client.create_bucket(Bucket=BUCKET)
    for folder, _, names in os.walk(local_source):
        for name in names:
            path = os.path.join(folder, name)
            client.upload_file(path, BUCKET, "source/" + os.path.relpath(path, local_source))

    # SOURCE in a bucket: the same clips, the same records.
    tree = source_tree(f"s3://{BUCKET}/source")
    source = datasets.load("folder", tree)
    local = datasets.load("folder", local_source)
    assert [clip.clip_id for clip in source.clips] == [clip.clip_id for clip in local.clips]
    assert tree.audio_seconds("dog/a.wav") == 1.25 and tree.audio_seconds("dog/broken.wav") is None
    raises("there is no directory 's3://clips/nowhere'", source_tree, "s3://clips/nowhere")

    # OUT in a bucket, interrupted once.
    summarize = prepare_module.summarize

    def interrupted(*_):
        raise KeyboardInterrupt

    prepare_module.summarize = interrupted
    with contextlib.suppress(KeyboardInterrupt):
        prepare(source, OUT, seconds=1.0)
    prepare_module.summarize = summarize
    raises("is not a dataset directory", schema.read_dataset_info, OUT)
    info = prepare(source, OUT, seconds=1.0, workers=2)
    expected = prepare(local, local_out, seconds=1.0)
    assert info == expected == schema.read_dataset_info(OUT)
    written = content(client, "sets/out/")
    for name in os.listdir(local_out):
        with open(os.path.join(local_out, name), "rb") as file:
            here = file.read().replace(local_source.encode(), b"s3://clips/source")
        assert written.pop(name) == here, name
    assert not written, list(written)
    raises("s3://clips/sets/out exists", prepare, source, OUT, seconds=1.0)
    raises("holds cat and no dataset.json", prepare, source, f"s3://{BUCKET}/source", seconds=1.0)

    # --data in a bucket.
    def ids(batches):
        return [i for batch in batches for i in batch["clip_id"].numpy().tolist()]

    assert ids(evaluation_batches(OUT, ["train"], 2)) == ids(
        evaluation_batches(local_out, ["train"], 2)
    )
    options = {"batch_size": 2, "seed": 3, "cache": False}
    assert ids(training_batches(OUT, ["train"], **options).take(5)) == ids(
        training_batches(local_out, ["train"], **options).take(5)
    )

    # Damage, and objects that vanish.
    name = schema.shard_name("train", 0, info.splits["train"].shards)
    damaged = bytearray(client.get_object(Bucket=BUCKET, Key=f"sets/out/{name}")["Body"].read())
    damaged[1000] ^= 1
    client.put_object(Bucket=BUCKET, Key=f"sets/out/{name}", Body=bytes(damaged))
    with_damage = evaluation_batches(OUT, ["train"], 2)

    def read_all():
        with damage_as_user_error():
            ids(with_damage)

    raises(f"{OUT}/{name}: the record at byte 0 is damaged", read_all)
    reader = ClipReader(ClipReading(), 1.0, 16_000)
    with pytest.raises(DecodeError) as gone:
        reader.read(Clip("x", f"s3://{BUCKET}/gone.wav", ("a",), "train"))
    assert gone.value.reason == "missing-file"
    waveform, _ = reader.read(source.clips[0])
    assert np.abs(waveform).max() > 0

    prepare(source, OUT, seconds=0.5, overwrite=True, shards=1)
    assert sorted(objects(client, "sets/out/")) == sorted(
        ["dataset.json", "notices.csv", "rejected.csv", schema.shard_name("train", 0, 1)]
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
    print("ok", flush=True)
    os._exit(0)
