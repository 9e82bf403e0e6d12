"""PyTorch files: what is read, and one clear error for each thing that is none."""

import os
import pickle
import sys
import zipfile

import numpy as np
import pytest

from vipann_tf.errors import UserError
from vipann_tf.published import read_checkpoint
from vipann_tf.published.torch_file import read_state_dict

torch = pytest.importorskip("torch", reason="needs the extra torch")


class RunsCode:
    """A pickle of this creates a file when it is loaded carelessly."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "checkpoint.pth"


def tensors():
    random = np.random.default_rng(4)
    return {
        "a.weight": torch.from_numpy(random.normal(size=[3, 5]).astype(np.float32)),
        "a.count": torch.tensor(7),
    }


@pytest.mark.parametrize("zipped", [True, False], ids=["current", "before-1.6"])
@pytest.mark.parametrize("wrap", [lambda x: {"iteration": 1, "model": x}, lambda x: x])
def test_tensors_are_read_from_both_formats(path, zipped, wrap):
    saved = tensors()
    torch.save(wrap(saved), path, _use_new_zipfile_serialization=zipped)
    read = read_state_dict(path)
    assert list(read) == ["a.weight", "a.count"]
    np.testing.assert_array_equal(read["a.weight"], saved["a.weight"].numpy())
    assert read["a.count"] == 7 and read["a.count"].shape == ()


def test_half_precision_parameters_and_prefixes_are_normalised(path):
    values = torch.arange(6.0).reshape(2, 3)
    saved = {
        "module.a": torch.nn.Parameter(values),
        "module.b": values.bfloat16(),
        "module.c": values.double().T,
    }
    torch.save(saved, path)
    read = read_state_dict(path)
    assert list(read) == ["a", "b", "c"]
    assert {array.dtype for array in read.values()} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(read["b"], values.numpy())
    np.testing.assert_array_equal(read["c"], values.numpy().T)


@pytest.mark.parametrize("kind", ["resnet22", "flipout"])
def test_a_whole_checkpoint(path, stand_in, kind):
    # Tensors of stride 0 save one number each: the layout of 800 MB in a few.
    model = {
        name: torch.from_numpy(array)
        if array.strides and array.strides[-1]
        else torch.tensor(0.25).expand(array.shape)
        for name, array in stand_in(kind).items()
    }
    torch.save({"iteration": 600000, "model": model}, path)
    checkpoint = read_checkpoint(path)
    assert checkpoint.kind == kind and checkpoint.labels == 527
    assert checkpoint.tensors["fc1.bias"].shape == (2048,)


@pytest.mark.parametrize("protocol", ["pickle", "torch", "torch-before-1.6"])
def test_code_is_refused_and_not_run(tmp_path, path, protocol):
    trap = tmp_path / "trap"
    content = {"model": {"a": torch.zeros(1)}, "sampler": RunsCode(trap)}
    if protocol == "pickle":
        path.write_bytes(pickle.dumps(RunsCode(trap), protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=protocol == "torch")
    with pytest.raises(
        UserError, match="is refused: its pickle refers to posix.mkdir, .* and loading"
    ):
        read_state_dict(path)
    assert not trap.exists()


def test_a_pickle_of_another_protocol_is_not_run_either(tmp_path, path):
    path.write_bytes(pickle.dumps(RunsCode(tmp_path / "trap"), protocol=4))
    with pytest.raises(UserError, match=r"not a PyTorch checkpoint \(Unsupported operand 149\)"):
        read_state_dict(path)
    assert not (tmp_path / "trap").exists()


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_truncated_files(path, zipped, share):
    content = {"model": {"a": torch.ones([300, 40]), "b": torch.ones([70])}}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(UserError, match="checkpoint.pth is (truncated|damaged).*download it again"):
        read_state_dict(path)


def test_damaged_files_end_in_one_clear_error_or_tensors(path):
    random, messages = np.random.default_rng(0), []
    for zipped in (True, False):
        torch.save({"model": tensors()}, path, _use_new_zipfile_serialization=zipped)
        whole = np.frombuffer(path.read_bytes(), np.uint8)
        for _ in range(150):
            broken = whole.copy()
            broken[random.integers(0, broken.size, 3)] = random.integers(0, 256, 3)
            path.write_bytes(broken.tobytes())
            try:
                read_state_dict(path)
            except UserError as error:
                messages.append(str(error))
    assert messages and all("checkpoint.pth" in message for message in messages)


def test_files_that_are_something_else(tmp_path, path):
    path.write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(UserError, match="is not a PyTorch checkpoint: it begins with b'version "):
        read_state_dict(path)
    path.write_bytes(b"")
    with pytest.raises(UserError, match="checkpoint.pth is empty; download it again"):
        read_state_dict(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "no tensors")
    with pytest.raises(UserError, match="checkpoint.pth is damaged or not a PyTorch checkpoint"):
        read_state_dict(path)
    with pytest.raises(UserError, match="absent.pth cannot be read: No such file"):
        read_state_dict(tmp_path / "absent.pth")
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        read_state_dict(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.zeros(2)], "holds a list where a state dict"),
        ({}, "holds a dict of nothing where a state dict"),
        ({"model": {"a": torch.zeros(2), "b": 3}}, "holds a int under 'b' where a tensor is exp"),
        ({"epoch": 3, "weights": {}}, "holds a int under 'epoch' where a tensor is expected"),
        (
            {"a": torch.eye(2).to_sparse()},
            "torch.float32 tensor under 'a' that is not a plain array",
        ),
    ],
)
def test_content_that_is_no_state_dict(path, content, message):
    torch.save(content, path)
    with pytest.raises(UserError, match=message):
        read_state_dict(path)


def test_without_torch_the_extra_is_named(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UserError, match=r"needs torch, .* pip install 'vipann-tf\[torch\]'"):
        read_state_dict(path)
