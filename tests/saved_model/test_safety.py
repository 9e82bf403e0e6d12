"""SavedModels that do more than compute are refused by name, before anything of them runs."""

import shutil

import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner
from tensorflow.core.protobuf import saved_model_pb2

from tests.helpers.exported_models import KINDS
from tests.helpers.paths import ROOT
from tests.helpers.wav_files import wav_bytes
from vipann_tf.cli import main
from vipann_tf.errors import UserError
from vipann_tf.saved_model import safety
from vipann_tf.saved_model.connection import connect
from vipann_tf.saved_model.load import load_signatures
from vipann_tf.saved_model.safety import ALLOWED, SAVING, check_saved_model
from vipann_tf.saved_model.signatures import OUTPUTS

CLIP = np.full([1, 32000], 0.1, np.float32)
SHIPPED = sorted((ROOT / "saved_models").glob("*/*/saved_model.pb"))


def save(folder, function, **attributes):
    """Write a SavedModel whose `serving_default` runs `function` on its way to an answer."""

    @tf.function(input_signature=[tf.TensorSpec([None, None], name="waveform")], autograph=False)
    def serving_default(waveform):
        with tf.control_dependencies([function()]):
            rows = tf.reduce_mean(waveform, axis=1)
        labels = tf.tile(rows[:, tf.newaxis], [1, 5])
        return {name: labels if "label" in name or "prob" in name else rows for name in OUTPUTS}

    module = tf.Module()
    for name, value in attributes.items():
        setattr(module, name, value)
    tf.saved_model.save(module, str(folder), signatures=serving_default)
    return folder


def changed(model, folder, change):
    """Copy an export and change its graph, a MetaGraphDef."""
    shutil.copytree(model.path / "1", folder)
    file = folder / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    change(saved.meta_graphs[0])
    file.write_bytes(saved.SerializeToString())
    return folder


def refusal(folder) -> str:
    with pytest.raises(UserError) as caught:
        load_signatures(folder)
    return str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_exports_of_every_kind_only_compute(exported, kind):
    """Every export is checked when it is written, too, those of all other tests included."""
    check_saved_model(exported(kind).path / "1", kind)


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.parent.parent.name)
def test_shipped_models_only_compute(file):
    check_saved_model(file.parent, "shipped")


def test_the_allowed_operations_have_no_hidden_state():
    """Those that TensorFlow calls stateful are control flow, checks and reads of variables."""
    from tensorflow.python.framework import op_def_registry

    stateful = {name for name in ALLOWED if op_def_registry.get(name).is_stateful}
    assert stateful == {
        *("Assert", "CheckNumerics", "CheckNumericsV2"),
        *("Case", "If", "StatefulPartitionedCall", "While"),
        *("DisableCopyOnRead", "ReadVariableOp", "VarHandleOp", "VarIsInitializedOp"),
        *("ResourceGather", "ResourceGatherNd", "VariableShape", "StatelessRandomGetAlg"),
    }
    suspicious = ("File", "Save", "Restore", "Print", "Py", "Dataset", "Read", "Write", "Rpc")
    found = {name for name in ALLOWED if any(text in name for text in suspicious)}
    assert found == {"DisableCopyOnRead", "ReadVariableOp"}
    assert not ALLOWED & SAVING


def _in_a_loop(function):
    return tf.while_loop(lambda i: i < 3, lambda i: (i + tf.size(function()),), [0])[0]


def _in_functions(function):
    inner = tf.function(function, autograph=False)
    outer = tf.function(lambda: tf.identity(inner()), autograph=False)
    return tf.cond(tf.random.stateless_uniform([], [1, 2]) < 2, outer, lambda: tf.constant(""))


class TestForeignOperations:
    def test_one_that_writes_a_file_from_the_command_line(self, exported, tmp_path):
        written, clip = tmp_path / "written", tmp_path / "clip.wav"
        version = tmp_path / "model" / "1"
        save(version, lambda: tf.io.write_file(str(written), "mine"))
        for part in ("assets", "assets.extra"):
            shutil.copytree(exported("det").path / "1" / part, version / part, dirs_exist_ok=True)
        clip.write_bytes(wav_bytes(CLIP[0]))
        model = str(tmp_path / "model")
        refused = CliRunner().invoke(main, ["predict", model, str(clip)])
        assert refused.exit_code == 1 and not written.exists()
        assert "operations that ours never have: WriteFile" in refused.output
        assert "add --trust" in refused.output
        with pytest.raises(UserError, match="WriteFile"):
            connect(model).ask(CLIP)
        assert not written.exists()
        trusted = CliRunner().invoke(main, ["predict", model, str(clip), "--trust"])
        assert trusted.exit_code == 0, trusted.output
        assert written.read_bytes() == b"mine"

    @pytest.mark.parametrize(
        "function, operation",
        [
            (lambda: tf.io.read_file("/etc/hostname"), "ReadFile"),
            (lambda: _in_a_loop(lambda: tf.io.read_file("/etc/hostname")), "ReadFile"),
            (lambda: _in_functions(lambda: tf.io.read_file("/etc/hostname")), "ReadFile"),
            (lambda: tf.io.matching_files("/*"), "MatchingFiles"),
            (lambda: tf.py_function(lambda: 1.0, [], tf.float32), "EagerPyFunc"),
            (lambda: tf.numpy_function(lambda: 1.0, [], tf.float32), "PyFunc"),
            (lambda: tf.print("x", output_stream="file:///tmp/x"), "PrintV2"),
            (lambda: tf.raw_ops.RestoreV2(
                prefix="/x", tensor_names=["x"], shape_and_slices=[""], dtypes=[tf.float32]
            )[0], "RestoreV2"),
            (lambda: tf.raw_ops.SaveV2(
                prefix="/x", tensor_names=["x"], shape_and_slices=[""], tensors=[1.0]
            ), "SaveV2"),
        ],
        ids=["read", "loop", "functions", "list", "py", "numpy", "print", "restore", "save"],
    )  # fmt: skip
    def test_others_wherever_they_are(self, tmp_path, function, operation):
        text = refusal(save(tmp_path / "1", function))
        assert f"operations that ours never have: {operation}" in text and "--trust" in text

    def test_a_table_that_loading_would_read_from_a_file(self, tmp_path):
        (tmp_path / "table.txt").write_text("a\nb\n")
        initializer = tf.lookup.TextFileInitializer(
            str(tmp_path / "table.txt"), tf.int64, 0, tf.string, 1, delimiter=" "
        )
        table = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(
                initializer._filename,
                tf.string,
                tf.lookup.TextFileIndex.WHOLE_LINE,
                tf.int64,
                tf.lookup.TextFileIndex.LINE_NUMBER,
            ),
            -1,
        )
        text = refusal(save(tmp_path / "1", lambda: table.lookup(tf.constant("a")), table=table))
        assert "HashTableV2" in text and "InitializeTableFromTextFileV2" in text


class TestFunctionsThatSave:
    """TensorFlow's own are in every export; nothing but the saver may reach them."""

    def saving(self, graph):
        return next(
            function
            for function in graph.graph_def.library.function
            if any(node.op == "SaveV2" for node in function.node_def)
        )

    def test_as_the_function_of_an_object(self, exported, tmp_path):
        def change(graph):
            nodes = graph.object_graph_def.nodes
            node = next(n for n in nodes if n.WhichOneof("kind") == "bare_concrete_function")
            name = self.saving(graph).signature.name
            node.bare_concrete_function.concrete_function_name = name

        assert "MergeV2Checkpoints, SaveV2" in refusal(
            changed(exported("det"), tmp_path / "1", change)
        )

    def test_as_the_function_of_a_call(self, exported, tmp_path):
        def change(graph):
            name = self.saving(graph).signature.name
            function = next(
                function
                for function in graph.graph_def.library.function
                if any("f" in node.attr for node in function.node_def)
            )
            next(n for n in function.node_def if "f" in n.attr).attr["f"].func.name = name

        assert "SaveV2" in refusal(changed(exported("det"), tmp_path / "1", change))

    def test_as_an_output_of_a_signature(self, exported, tmp_path):
        def change(graph):
            output = graph.signature_def["embed"].outputs["embedding"]
            output.name = graph.saver_def.save_tensor_name

        assert "SaveV2" in refusal(changed(exported("det"), tmp_path / "1", change))

    def test_in_the_place_of_another(self, exported, tmp_path):
        def change(graph):
            self.saving(graph).attr["api_implements"].s = b"other"

        assert "api_implements" in refusal(changed(exported("det"), tmp_path / "1", change))

    def test_under_the_name_of_an_operation(self, exported, tmp_path):
        def change(graph):
            self.saving(graph).signature.name = "Relu"

        assert "Relu" in refusal(changed(exported("det"), tmp_path / "1", change))


class TestForeignFiles:
    @pytest.mark.parametrize(
        "change, text",
        [
            (lambda node: node.asset.SetInParent(), "objects that ours never have: asset"),
            (lambda node: node.resource.SetInParent(), "objects that ours never have: resource"),
            (lambda node: setattr(node.user_object, "identifier", "_tf_keras_model"), "_tf_keras_"),
            (lambda node: setattr(node, "registered_name", "Mine.Class"), "Mine.Class"),
        ],
    )
    def test_objects(self, exported, tmp_path, change, text):
        folder = changed(
            exported("det"), tmp_path / "1", lambda graph: change(graph.object_graph_def.nodes[0])
        )
        assert text in refusal(folder)

    @pytest.mark.parametrize("other", ["saved_model.pbtxt", "saved_model.cpb"])
    def test_a_second_graph(self, exported, tmp_path, other):
        folder = changed(exported("det"), tmp_path / "1", lambda graph: None)
        load_signatures(folder)
        (folder / other).write_bytes(b"")
        assert f"beside saved_model.pb is {other}" in refusal(folder)
        (folder / "saved_model.pb").unlink()
        assert "no model at" in refusal(folder)

    @pytest.mark.parametrize(
        "content, text",
        [
            (b"", "damaged or of TensorFlow 1 (it has 0 graphs"),
            (b"\xff" * 100, "its SavedModel is damaged"),
            (saved_model_pb2.SavedModel(meta_graphs=[{}, {}]).SerializeToString(), "has 2 graphs"),
            (saved_model_pb2.SavedModel(meta_graphs=[{}]).SerializeToString(), "of TensorFlow 1"),
        ],
    )
    def test_what_is_no_export(self, tmp_path, content, text):
        (tmp_path / "saved_model.pb").write_bytes(content)
        assert text in refusal(tmp_path)

    def test_a_graph_that_is_cut_off(self, exported, tmp_path):
        folder = changed(exported("det"), tmp_path / "1", lambda graph: None)
        content = (folder / "saved_model.pb").read_bytes()
        for size in (1, 1000, len(content) // 2, len(content) - 1):
            (folder / "saved_model.pb").write_bytes(content[:size])
            assert "damaged" in refusal(folder)

    def test_a_huge_graph(self, exported, monkeypatch):
        monkeypatch.setattr(safety, "_MOST_BYTES", 1000)
        assert "bytes; ours have less than 1000" in refusal(exported("det").path)
