"""ResNet-54 in PyTorch with bayesian-torch's Flipout convolutions, as the reference is made.

Shapes are PyTorch's: [batch, channels, time, frequency].
"""

from bayesian_torch.layers import Conv2dFlipout
from torch import nn
from torch.nn import functional
from torchlibrosa.stft import LogmelFilterBank, Spectrogram

from vipann_tf.audio import logmel
from vipann_tf.models.architecture import (
    EXPANSION,
    STAGE_BLOCKS,
    STAGE_PLANES,
    STEM_FILTERS,
    TOP_FILTERS,
    Architecture,
)


class Frontend(nn.Module):
    """Log-mel of torchlibrosa, set as in PANNs: [batch, samples] -> [batch, 1, time, mel]."""

    def __init__(self):
        super().__init__()
        self.spectrogram = Spectrogram(
            n_fft=logmel.FFT_LENGTH,
            hop_length=logmel.HOP_SAMPLES,
            window="hann",
            center=True,
            pad_mode="reflect",
            freeze_parameters=True,
        )
        self.mel = LogmelFilterBank(
            sr=logmel.SAMPLE_RATE_HZ,
            n_fft=logmel.FFT_LENGTH,
            n_mels=logmel.MEL_BANDS,
            fmin=logmel.MIN_HZ,
            fmax=logmel.MAX_HZ,
            ref=1.0,
            amin=1e-10,
            top_db=None,
            freeze_parameters=True,
        )

    def forward(self, waveform):
        return self.mel(self.spectrogram(waveform))


class Network(nn.Module):
    """The same layers in the same order; `kl` collects the divergence of the last pass."""

    def __init__(self, architecture: Architecture):
        super().__init__()
        self.bayesian = architecture.trunk == "flipout"
        self.kl = []
        channels = architecture.channels
        self.frontend = Frontend()
        self.norm0 = nn.BatchNorm2d(logmel.MEL_BANDS)
        self.stem = nn.ModuleList(self._conv_block(1, channels(STEM_FILTERS)))
        inputs, blocks = channels(STEM_FILTERS), []
        stages = zip(STAGE_PLANES, STAGE_BLOCKS[54], strict=True)
        for stage, (planes, count) in enumerate(stages, start=1):
            planes, outputs = channels(planes), channels(planes) * EXPANSION[54]
            for index in range(count):
                blocks.append(
                    nn.ModuleDict(
                        {
                            "convs": nn.ModuleList(
                                [
                                    self._conv(inputs, planes, 1),
                                    self._conv(planes, planes, 3),
                                    self._conv(planes, outputs, 1),
                                ]
                            ),
                            "norms": nn.ModuleList(
                                [nn.BatchNorm2d(n) for n in (planes, planes, outputs)]
                            ),
                            "pool": nn.AvgPool2d(2) if stage > 1 and not index else nn.Identity(),
                            "shortcut": nn.ModuleList(
                                [self._conv(inputs, outputs, 1), nn.BatchNorm2d(outputs)]
                                if inputs != outputs
                                else []
                            ),
                        }
                    )
                )
                inputs = outputs
        self.blocks = nn.ModuleList(blocks)
        self.top = nn.ModuleList(self._conv_block(inputs, channels(TOP_FILTERS)))
        self.fc1 = nn.Linear(channels(TOP_FILTERS), architecture.embedding_size)
        self.fc_out = nn.Linear(architecture.embedding_size, architecture.labels)

    def _conv(self, inputs, outputs, size):
        if self.bayesian:
            return Conv2dFlipout(
                inputs, outputs, size, padding=size // 2, posterior_rho_init=-3.0, bias=False
            )
        return nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=False)

    def _conv_block(self, inputs, outputs):
        return [
            self._conv(inputs, outputs, 3),
            nn.BatchNorm2d(outputs),
            self._conv(outputs, outputs, 3),
            nn.BatchNorm2d(outputs),
        ]

    def _convolve(self, layer, x):
        if not self.bayesian:
            return layer(x)
        x, kl = layer(x)
        self.kl.append(kl)
        return x

    def _block(self, parts, x):
        conv1, norm1, conv2, norm2 = parts
        x = functional.relu(norm1(self._convolve(conv1, x)))
        return functional.relu(norm2(self._convolve(conv2, x)))

    def forward(self, waveform):
        self.kl = []
        x = self.frontend(waveform)
        x = self.norm0(x.transpose(1, 3)).transpose(1, 3)
        x = functional.dropout(
            functional.avg_pool2d(self._block(self.stem, x), 2), 0.2, self.training
        )
        for block in self.blocks:
            x = block["pool"](x)
            shortcut = x
            if len(block["shortcut"]):
                shortcut = block["shortcut"][1](self._convolve(block["shortcut"][0], x))
            for index, (conv, norm) in enumerate(zip(block["convs"], block["norms"], strict=True)):
                x = norm(self._convolve(conv, x))
                x = functional.relu(x) if index < 2 else x
                x = functional.dropout(x, 0.1, self.training) if index == 1 else x
            x = functional.relu(x + shortcut)
        x = functional.dropout(functional.avg_pool2d(x, 2), 0.2, self.training)
        x = functional.dropout(self._block(self.top, x), 0.2, self.training)
        x = x.mean(dim=3)
        x = x.amax(dim=2) + x.mean(dim=2)
        x = functional.relu(self.fc1(functional.dropout(x, 0.5, self.training)))
        return self.fc_out(functional.dropout(x, 0.5, self.training))
