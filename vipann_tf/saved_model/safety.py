"""What a SavedModel may do when it is loaded and asked: compute, and nothing else.

A SavedModel is a program. Its graph may read and write files, and call Python; loading one may run
parts of it. Before TensorFlow loads a model, its operations are compared here with those that our
exports have. Parsing the file runs nothing.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from vipann_tf.errors import UserError
from vipann_tf.files.paths import StrPath
from vipann_tf.saved_model.metadata import SAVED_MODEL_PB

__all__ = ["ALLOWED", "SAVING", "check_saved_model"]

# Operations of our exports of every kind, by this and former versions, and their relatives that
# other versions of TensorFlow may use instead. All compute on tensors alone; variables are read.
_COMPUTING = """
Abs Add AddN AddV2 All Any ArgMax ArgMin AsString Assert AvgPool BatchMatMul BatchMatMulV2
BatchMatMulV3 BesselI0 BesselI0e BiasAdd Bincount Bitcast BitwiseAnd BitwiseOr BitwiseXor
BroadcastArgs BroadcastTo Case Cast Ceil CheckNumerics CheckNumericsV2 ClipByValue Complex
ComplexAbs Concat ConcatV2 Const Conv2D Cos Cosh Cumsum DecodeRaw DecodeWav DepthwiseConv2dNative
Digamma DisableCopyOnRead Einsum EmptyTensorList EnsureShape Equal Erf Erfc Exp ExpandDims Expm1
FFT Fill Floor FloorDiv FloorMod FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 Gather GatherNd
GatherV2 Greater GreaterEqual IRFFT Identity IdentityN If Igamma Imag Invert InvertPermutation
IsFinite IsInf IsNan LeakyRelu LeftShift Less LessEqual Lgamma Log Log1p LogSoftmax LogicalAnd
LogicalNot LogicalOr MatMul Max MaxPool MaxPoolV2 Maximum Mean Merge Min Minimum MirrorPad Mod Mul
MulNoNan Neg NoOp NotEqual OneHot OnesLike Pack Pad PadV2 ParallelConcat PartitionedCall
Placeholder PlaceholderWithDefault Pow PreventGradient Prod RFFT RFFT2D Range Rank ReadVariableOp
Real RealDiv Reciprocal RegexFullMatch RegexReplace Relu Relu6 Reshape ResourceGather
ResourceGatherNd Reverse ReverseV2 RightShift Rint Round Rsqrt ScatterNd Select SelectV2 Shape
ShapeN Sigmoid Sign Sin Sinh Size Slice Softmax Softplus Softsign Split SplitV Sqrt Square
SquaredDifference Squeeze StatefulPartitionedCall StatelessCase StatelessIf StatelessRandomGetAlg
StatelessRandomGetKeyCounter StatelessRandomGetKeyCounterAlg StatelessRandomNormal
StatelessRandomNormalV2 StatelessRandomUniform StatelessRandomUniformFullInt
StatelessRandomUniformFullIntV2 StatelessRandomUniformInt StatelessRandomUniformIntV2
StatelessRandomUniformV2 StatelessTruncatedNormal StatelessTruncatedNormalV2 StatelessWhile
StaticRegexFullMatch StaticRegexReplace StopGradient StridedSlice StringFormat StringJoin
StringLength StringSplit StringSplitV2 StringStrip StringToNumber Sub Substr Sum Switch Tan Tanh
TensorListConcatV2 TensorListElementShape TensorListFromTensor TensorListGather TensorListGetItem
TensorListLength TensorListPushBack TensorListReserve TensorListSetItem TensorListStack
TensorScatterUpdate Tile TopKV2 Transpose TruncateDiv TruncateMod Unique UniqueV2 Unpack
VarHandleOp VarIsInitializedOp VariableShape Where While Xdivy Xlog1py Xlogy ZerosLike
"""
ALLOWED = frozenset(_COMPUTING.split())
# What TensorFlow itself adds to save and restore variables. Nothing else may call these.
SAVING = frozenset(
    ("AssignVariableOp", "MergeV2Checkpoints", "RestoreV2", "SaveV2", "ShardedFilename")
)
# Attributes of functions that save and restore; others could put them in the place of another.
_SAVING_ATTRIBUTES = {"_construction_context", "_input_shapes", "_noinline"}
# Kinds and types of the objects that `tf.saved_model.load` makes again, all without code of theirs.
_OBJECTS = {"bare_concrete_function", "captured_tensor", "constant", "function", "variable"}
_CONTAINERS = {
    "_generic_user_object",
    "signature_map",
    "trackable_dict_wrapper",
    "trackable_list_wrapper",
    "trackable_tuple_wrapper",
}
# Files in which TensorFlow would look for another form of the graph.
_OTHER_FORMS = ("saved_model.cpb", "saved_model.pbtxt")
# Ours have 1 to 2 MB a network.
_MOST_BYTES = 2**29


def check_saved_model(version: Path, name: StrPath) -> None:
    """Check that a SavedModel only computes, without loading it.

    Args:
      version: Its folder.
      name: The model in messages.

    Raises:
      UserError: It does more, or can't be read.
    """
    size = (version / SAVED_MODEL_PB).stat().st_size
    if size > _MOST_BYTES:
        raise _refusal(name, f"its graph has {size} bytes; ours have less than {_MOST_BYTES}")
    others = [form for form in _OTHER_FORMS if (version / form).exists()]
    if others:
        raise _refusal(name, f"beside {SAVED_MODEL_PB} is {others[0]}, a second graph")
    try:
        saved = saved_model_pb2.SavedModel.FromString((version / SAVED_MODEL_PB).read_bytes())
    except (OSError, DecodeError) as error:
        raise UserError(f"{name} can't be loaded: its SavedModel is damaged ({error})") from error
    if len(saved.meta_graphs) != 1 or not saved.meta_graphs[0].object_graph_def.nodes:
        raise UserError(
            f"{name} can't be loaded: its SavedModel is damaged or of TensorFlow 1 (it has "
            f"{len(saved.meta_graphs)} graphs; an export has one, with objects)"
        )
    (graph,) = saved.meta_graphs
    if operations := sorted(_foreign_operations(graph)):
        raise _refusal(name, f"its graph has operations that ours never have: {_few(operations)}")
    if objects := sorted(_foreign_objects(graph)):
        raise _refusal(name, f"it has objects that ours never have: {_few(objects)}")


def _refusal(name: StrPath, finding: str) -> UserError:
    return UserError(
        f"{name} is not loaded: {finding}. Such a model may read and write files or run programs "
        "on this machine; if you trust those who made it, add --trust (in Python, trust=True)"
    )


def _few(names: list[str]) -> str:
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more


def _foreign_operations(graph: Any) -> set[str]:
    """Return the operations of a MetaGraphDef that are not allowed where they are."""
    functions = {function.signature.name: function for function in graph.graph_def.library.function}
    saver = _saver_nodes(graph)
    # The saver's nodes are called by nobody else, or they are no saver's.
    nodes = [node for node in graph.graph_def.node if node.name not in saver]
    roots = [*_functions_of_objects(graph.object_graph_def)]
    roots += [name for node in nodes for name in _names(node, functions)]
    reached = _reachable(roots, functions)

    found = {node.op for node in nodes}
    for name in reached:
        found |= {node.op for node in functions[name].node_def}
    foreign = found - ALLOWED - functions.keys()

    rest = {node.op for node in graph.graph_def.node if node.name in saver}
    for name in functions.keys() - reached:
        function = functions[name]
        operations = {node.op for node in function.node_def}
        if operations & SAVING and not set(function.attr) <= _SAVING_ATTRIBUTES:
            foreign |= operations & SAVING
        rest |= operations
    foreign |= rest - ALLOWED - SAVING - functions.keys()
    # Grappler may swap functions that have this attribute for one another.
    if any("api_implements" in function.attr for function in functions.values()):
        foreign.add("api_implements")
    # A function of an operation's name could be taken for it, or it for the function.
    return foreign | {name for name in functions if hasattr(tf.raw_ops, name)}


def _functions_of_objects(objects: Any) -> Iterator[str]:
    """Yield the functions that the objects of a SavedObjectGraph call."""
    yield from objects.concrete_functions
    for node in objects.nodes:
        yield node.bare_concrete_function.concrete_function_name
        yield from node.function.concrete_functions
        yield node.captured_tensor.concrete_function


def _saver_nodes(graph: Any) -> set[str]:
    """Return the names of the nodes that save and restore variables, and that nothing else uses."""
    saver = graph.saver_def
    names = {_node_of(saver.save_tensor_name), _node_of(saver.restore_op_name)}
    used = {
        _node_of(source)
        for node in graph.graph_def.node
        if node.name not in names
        for source in node.input
    }
    for signature in graph.signature_def.values():
        used |= {_node_of(tensor.name) for tensor in signature.outputs.values()}
    return names - used


def _node_of(tensor: str) -> str:
    return tensor.removeprefix("^").split(":")[0]


def _reachable(roots: Iterable[str], functions: dict[str, Any]) -> set[str]:
    """Return the functions that roots call, and that these call, and so on."""
    waiting = [name for name in roots if name in functions]
    reached: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            for node in functions[name].node_def:
                waiting.extend(_names(node, functions))
    return reached


def _names(node: Any, functions: dict[str, Any]) -> Iterator[str]:
    """Yield the functions that a node names in any way."""
    if node.op in functions:
        yield node.op
    for value in node.attr.values():
        for function in (value.func, *value.list.func):
            yield from (name for name in _function_names(function) if name in functions)
        for text in (value.s, *value.list.s):
            if (name := text.decode("utf-8", "replace")) in functions:
                yield name


def _function_names(function: Any) -> Iterator[str]:
    """Yield the name of a NameAttrList, and those in its own attributes."""
    yield function.name
    for value in function.attr.values():
        for inner in (value.func, *value.list.func):
            if inner.name:
                yield from _function_names(inner)


def _foreign_objects(graph: Any) -> set[str]:
    """Return the kinds and types of objects of a MetaGraphDef that are not allowed."""
    found = set()
    for node in graph.object_graph_def.nodes:
        kind = node.WhichOneof("kind")
        if kind == "user_object":
            if node.user_object.identifier not in _CONTAINERS:
                found.add(node.user_object.identifier or "user_object")
        elif kind not in _OBJECTS:
            found.add(str(kind))
        if node.registered_name or node.registered_saver:
            found.add(node.registered_name or node.registered_saver)
        if node.saveable_objects:
            found.add("saveable_objects")
    return found
