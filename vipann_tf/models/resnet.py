"""The residual networks of PANNs (Kong et al., arXiv 1912.10211), as a chain with named stages.

Every layer with weights has a unique name ("stage2.block0.conv1"), which identifies its variables
and its random numbers.
"""

import tf_keras

from vipann_tf.models.architecture import (
    EXPANSION,
    STAGE_BLOCKS,
    STAGE_PLANES,
    STEM_FILTERS,
    TOP_FILTERS,
)
from vipann_tf.models.blocks import (
    AveragePool,
    BasicBlock,
    Bottleneck,
    ConvBlock,
    GlobalPool,
    MelNorm,
)
from vipann_tf.models.chain import Chain, parts
from vipann_tf.models.dropout import Dropout
from vipann_tf.models.laplace_dense import LaplaceDense
from vipann_tf.models.layer_factory import LayerFactory
from vipann_tf.models.posterior import KernelPosterior


def network(make: LayerFactory) -> Chain:
    """Make the network from log-mel [batch, frames, mels] to logits [batch, labels].

    It has the stages of `VIPANN.run`, starting at `log_mel`.
    """
    return _with_head(trunk(make), make, {"log_mel": 0})


def head(make: LayerFactory) -> Chain:
    """Make the head alone, from pooled features [batch, 2048 x width] to logits [batch, labels].

    Its layers are those of `network`, by names, initial weights and random numbers. "shared" is a
    stage of it if the trunk is deterministic, which it takes for granted.
    """
    return _with_head([], make, {})


def _with_head(
    pooled: list[tf_keras.layers.Layer], make: LayerFactory, stages: dict[str, int]
) -> Chain:
    """Return the layers up to the pooled features, and the head behind them."""
    architecture = make.architecture

    def dropout(name: str) -> Dropout:
        return make.dropout(architecture.dropout_dense, architecture.head, name)

    embedding = [
        *pooled,
        dropout("dropout4"),
        make.dense(architecture.embedding_size, "fc1"),
        tf_keras.layers.ReLU(name="relu1", dtype=make.dtype),
    ]
    logits = [
        *embedding,
        dropout("dropout5"),
        # Logits are never rounded.
        make.dense(architecture.labels, "fc_out", dtype="float32", last=True),
    ]
    shared = next((i for i, layer in enumerate(logits) if _is_random(layer)), len(logits))
    stages = {
        **stages,
        "shared": shared,
        "pooled": len(pooled),
        "embedding": len(embedding),
        "logits": len(logits),
    }
    return Chain(logits, stages, name="network", dtype=make.dtype)


def trunk(make: LayerFactory) -> list[tf_keras.layers.Layer]:
    """Make the layers from log-mel [batch, frames, mels] to features [batch, 2048 x width]."""
    architecture = make.architecture
    channels = architecture.channels
    block = Bottleneck if architecture.depth == 54 else BasicBlock

    def dropout(name: str) -> Dropout:
        return make.dropout(architecture.dropout_conv, architecture.trunk, name)

    layers = [
        MelNorm(make),
        ConvBlock(make, channels(STEM_FILTERS), pool=True, name="conv_block1"),
        dropout("dropout1"),
    ]
    inputs = channels(STEM_FILTERS)
    for stage, (planes, blocks) in enumerate(
        zip(STAGE_PLANES, STAGE_BLOCKS[architecture.depth], strict=True), start=1
    ):
        outputs = channels(planes) * EXPANSION[architecture.depth]
        for index in range(blocks):
            layers.append(
                block(
                    make,
                    channels(planes),
                    halve=stage > 1 and index == 0,
                    project=inputs != outputs,
                    name=f"stage{stage}.block{index}",
                )
            )
            inputs = outputs
    return [
        *layers,
        AveragePool(name="pool", dtype=make.dtype),
        dropout("dropout2"),
        ConvBlock(make, channels(TOP_FILTERS), pool=False, name="conv_block_after1"),
        dropout("dropout3"),
        GlobalPool(name="global_pool", dtype=make.dtype),
    ]


def _is_random(layer: tf_keras.layers.Layer) -> bool:
    """Return whether two draws can give different outputs of a layer."""
    return any(
        isinstance(part, KernelPosterior | LaplaceDense)
        or (isinstance(part, Dropout) and part.monte_carlo and part.rate > 0)
        for part in parts([layer])
    )
