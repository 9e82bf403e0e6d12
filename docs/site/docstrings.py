"""Docstrings and types as the code writes them, for the reference of the site."""

import ast
import inspect
import re
import textwrap
from collections.abc import Mapping
from typing import Any

from sphinx.application import Sphinx
from sphinx.util.inspect import TypeAliasForwardRef, stringify_signature


class TypeAsWritten(TypeAliasForwardRef):
    """A type that Sphinx shows as the code writes it, and not as what its aliases stand for."""

    def __init__(self, node: ast.expr) -> None:
        text = node.value if isinstance(node, ast.Constant) else ast.unparse(node)
        super().__init__(str(text))

    def __repr__(self) -> str:
        return self.name


def keep_types(thing: Any) -> None:
    """Have the types of a function's arguments, or of a class's attributes, as they are written."""
    try:
        node = ast.parse(textwrap.dedent(inspect.getsource(thing))).body[0]
    except (OSError, TypeError, SyntaxError):  # without a source, such as a dataclass's `__init__`
        return
    written: dict[str, ast.expr | None] = {}
    if isinstance(node, ast.FunctionDef):
        written = {x.arg: x.annotation for x in ast.walk(node.args) if isinstance(x, ast.arg)}
        written["return"] = node.returns
    elif isinstance(node, ast.ClassDef):
        fields = [x for x in node.body if isinstance(x, ast.AnnAssign)]
        written = {ast.unparse(x.target): x.annotation for x in fields}
    for name, type_ in written.items():
        if type_ is not None and name in thing.__annotations__:
            thing.__annotations__[name] = TypeAsWritten(type_)


def before_signature(app: Sphinx, thing: Any, bound: bool) -> None:
    """Keep the types of a function."""
    keep_types(thing)


def before_docstring(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]
) -> None:
    """Keep the types of a class, and the lines of indented blocks (formulas, tables)."""
    if what == "class":
        keep_types(thing)
    text = "\n".join(lines)
    text = re.sub(r"(?<!`)(`[^`\n]+`)(?=\w)", r"\1\\ ", text)  # a plural, such as `Draw`s
    text = re.sub(r":\n\n(?= )", "::\n\n", text)
    if what == "module":  # a table, without a colon before it
        text = re.sub(r"^([^\s:*-].*[^:])\n\n(?= )", r"\1\n\n::\n\n", text, flags=re.M)
    lines[:] = text.split("\n")


def process_signature(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, arguments: str, returned: str
) -> tuple[str, str] | None:
    """Give Keras's classes, whose metaclass takes anything, the arguments of their constructor."""
    if what != "class" or arguments != "(*args, **kwargs)":
        return None
    signature = inspect.signature(thing.__init__)
    own = list(signature.parameters.values())[1:]
    return stringify_signature(signature.replace(parameters=own), show_annotation=False), returned


def skip_member(
    app: Sphinx, what: str, name: str, thing: Any, skip: bool, options: Any
) -> bool | None:
    """Skip the fields of named tuples, of which Python knows the number alone."""
    return True if str(thing.__doc__).startswith("Alias for field number") else None


def setup(app: Sphinx) -> Mapping[str, Any]:
    """Register what is defined here."""
    app.connect("autodoc-before-process-signature", before_signature)
    app.connect("autodoc-process-docstring", before_docstring, priority=400)  # Napoleon has 500
    app.connect("autodoc-process-signature", process_signature)
    app.connect("autodoc-skip-member", skip_member)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
