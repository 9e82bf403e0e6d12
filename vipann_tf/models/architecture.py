"""The description of a network, as data from which a `VIPANN` is built."""

from typing import Literal

import pydantic

from vipann_tf.task import Task

Kind = Literal["deterministic", "dropout", "flipout"]
# A head can also have a Laplace posterior around the trained weights of its last layer.
Head = Literal["deterministic", "dropout", "flipout", "laplace"]
Depth = Literal[22, 38, 54]
Signs = Literal["channel", "activation"]

# Channels of the published network at width 1.0 (Kong et al., arXiv 1912.10211, section III-A).
STEM_FILTERS = 64
STAGE_PLANES = (64, 128, 256, 512)
TOP_FILTERS = 2048

# Residual blocks in each stage and the expansion of a block's output, by depth.
STAGE_BLOCKS = {22: (2, 2, 2, 2), 38: (3, 4, 6, 3), 54: (3, 4, 6, 3)}
EXPANSION = {22: 1, 38: 1, 54: 4}


class Architecture(pydantic.BaseModel):
    """The shape of a network and which of its parts are random.

    Attributes:
      depth: Number of layers as PANNs count them: 22, 38 (basic blocks) or 54 (bottlenecks).
      width: Multiplier of every channel count, a multiple of 1/64; 1.0 is the published network.
      trunk: Kind of all layers up to the pooled features.
      head: Kind of the two dense layers. With `laplace` the last one has a Laplace posterior
        (`LaplaceDense`), and the first one and the trunk are deterministic.
      labels: Number of labels.
      task: `multilabel` (one sigmoid per label) or `multiclass` (a softmax over labels).
      signs: Flipout signs per example and `channel`, or per `activation` as in the training of the
        published checkpoint (see `FlipoutConv2D`).
      dropout_conv, dropout_dense: Rates after convolution blocks and around the first dense layer,
        active in training, and also at inference if the kind is `dropout`.
      dropout_block: Rate inside residual blocks, active in training only.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    depth: Depth = 54
    width: float = 1.0
    trunk: Kind = "deterministic"
    head: Head = "deterministic"
    labels: int = pydantic.Field(ge=1)
    task: Task
    signs: Signs = "channel"
    dropout_conv: float = pydantic.Field(default=0.2, ge=0, lt=1)
    dropout_dense: float = pydantic.Field(default=0.5, ge=0, lt=1)
    dropout_block: float = pydantic.Field(default=0.1, ge=0, lt=1)

    @pydantic.field_validator("width")
    @classmethod
    def _whole_channels(cls, width: float) -> float:
        if not 0 < width <= 4 or (width * STEM_FILTERS) % 1:
            raise ValueError(
                f"width {width} does not give whole channel counts; "
                "use a multiple of 1/64 above 0 and up to 4, such as 0.125, 0.25 or 1.0"
            )
        return width

    @pydantic.model_validator(mode="after")
    def _laplace_needs_a_deterministic_trunk(self) -> "Architecture":
        if self.head == "laplace" and self.trunk != "deterministic":
            raise ValueError(
                f"a laplace head needs a deterministic trunk, but trunk is {self.trunk!r}: its "
                "posterior is that of one trained network"
            )
        return self

    def channels(self, published: int) -> int:
        """Return the channel count of a layer that has `published` channels at width 1.0."""
        return int(published * self.width)

    @property
    def embedding_size(self) -> int:
        """Length of the embedding, the first dense layer's output."""
        return self.channels(TOP_FILTERS)

    @property
    def pooled_size(self) -> int:
        """Length of the pooled features, the trunk's output."""
        return self.channels(TOP_FILTERS)

    @property
    def trained(self) -> "Architecture":
        """The network that is trained for this one; a Laplace head follows a deterministic one."""
        return self.model_copy(update={"head": "deterministic"}) if self.head == "laplace" else self

    @property
    def summary(self) -> str:
        """The network in words."""
        return f"ResNet-{self.depth} of width {self.width:g}, {self.trunk} trunk, {self.head} head"

    @property
    def stochastic(self) -> bool:
        """Whether two draws can differ."""
        return self.trunk != "deterministic" or self.head != "deterministic"

    def draw_indices(self, num_draws: int) -> range:
        """Return the numbers of the draws to make: 1 to `num_draws`, or 1 if nothing is random.

        >>> Architecture(labels=10, task="multiclass", head="flipout").draw_indices(20)
        range(1, 21)
        >>> Architecture(labels=10, task="multiclass").draw_indices(20)
        range(1, 2)
        """
        return range(1, num_draws + 1) if self.stochastic else range(1, 2)
