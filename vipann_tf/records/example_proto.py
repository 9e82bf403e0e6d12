"""`tf.train.Example` without TensorFlow: the same wire format from the protobuf library alone.

A preparation worker thus need not import TensorFlow, which takes seconds and half a gigabyte. The
field numbers are those of tensorflow/core/example/{example,feature}.proto; a test parses the bytes
with TensorFlow.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE = "vipann_tf.records"
_FIELD = descriptor_pb2.FieldDescriptorProto


def _message(
    file: descriptor_pb2.FileDescriptorProto,
    name: str,
    *fields: tuple[int, str, int, int, str | None],
) -> descriptor_pb2.DescriptorProto:
    message = file.message_type.add(name=name)
    for number, field_name, label, kind, type_name in fields:
        field = message.field.add(name=field_name, number=number, label=label, type=kind)
        if type_name:
            field.type_name = f".{_PACKAGE}.{type_name}"
    return message


def _example_class() -> type:
    file = descriptor_pb2.FileDescriptorProto(
        name="vipann_tf/records/example.proto", package=_PACKAGE, syntax="proto3"
    )
    one, many = _FIELD.LABEL_OPTIONAL, _FIELD.LABEL_REPEATED
    _message(file, "BytesList", (1, "value", many, _FIELD.TYPE_BYTES, None))
    _message(file, "Int64List", (1, "value", many, _FIELD.TYPE_INT64, None))
    feature = _message(
        file,
        "Feature",
        (1, "bytes_list", one, _FIELD.TYPE_MESSAGE, "BytesList"),
        (3, "int64_list", one, _FIELD.TYPE_MESSAGE, "Int64List"),
    )
    feature.oneof_decl.add(name="kind")
    for field in feature.field:
        field.oneof_index = 0
    features = _message(
        file, "Features", (1, "feature", many, _FIELD.TYPE_MESSAGE, "Features.FeatureEntry")
    )
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, label=one, type=_FIELD.TYPE_STRING)
    entry.field.add(
        name="value",
        number=2,
        label=one,
        type=_FIELD.TYPE_MESSAGE,
        type_name=f".{_PACKAGE}.Feature",
    )
    _message(file, "Example", (1, "features", one, _FIELD.TYPE_MESSAGE, "Features"))
    pool = descriptor_pool.DescriptorPool()  # not the default one, where TensorFlow registers
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Example"))


Example: Any = _example_class()  # its fields are known only at run time
