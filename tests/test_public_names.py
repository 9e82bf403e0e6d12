"""The public names of the package, and what importing it costs."""

import ast
import pathlib
import subprocess
import sys

import pytest

import vipann_tf


def test_every_public_name_is_what_its_module_defines():
    for name in vipann_tf.__all__:
        assert getattr(vipann_tf, name) is not None
        assert name in dir(vipann_tf)
    assert set(vipann_tf._HOMES) == set(vipann_tf.__all__) - {"__version__"}


def test_type_checkers_see_the_same_names():
    tree = ast.parse(pathlib.Path(vipann_tf.__file__).read_text(encoding="utf-8"))
    (checking,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        alias.asname: node.module
        for node in checking.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == vipann_tf._HOMES


def test_no_module_takes_the_place_of_a_function():
    """Python sets a package's attribute to each submodule that is imported."""
    folder = pathlib.Path(vipann_tf.__file__).parent
    for name, home in vipann_tf._HOMES.items():
        is_module = (folder / name).is_dir() or (folder / f"{name}.py").is_file()
        assert is_module == (home == "vipann_tf"), name


def test_an_unknown_name():
    with pytest.raises(AttributeError, match="module 'vipann_tf' has no attribute 'predictor'"):
        _ = vipann_tf.predictor


def test_importing_the_package_imports_no_tensorflow():
    command = "import sys, vipann_tf; print('tensorflow' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", command],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert done.stdout.split() == ["False", "False"]
