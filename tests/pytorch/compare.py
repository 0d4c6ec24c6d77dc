#!/usr/bin/env python3
"""Loss and gradients of the MNIST model once more, by a plain PyTorch program, compared with those of `gradient`.

    compare.py GRADIENTS.safetensors FOLDER TOLERANCE STEPS WEIGHT_FIRST WEIGHT_LAST LIMIT STEP

GRADIENTS is what the command `gradient` wrote; FOLDER holds the training files of MNIST; TOLERANCE is that of the solve;
STEPS and the weights are those of the schedule of the regulariser, whose first step is taken; LIMIT is the largest
difference that passes, over the largest entry of a gradient; STEP is `automatic` or `accepted`, the size of the step of the
regulariser. Weights of 0 leave it out, also from the comparison. The same accepted steps are taken and the same time is drawn,
with all arithmetic in float64. The method is Tsitouras' 5(4) pair (2011) with his interpolant; the regularisation term is that of
Pal, Edelman & Rackauckas (2023): one step from the drawn time with the automatic initial step (Hairer, Norsett & Wanner
1993, II.4), the state, the first stage and the step size held constant.
"""
import json
import math
import struct
import sys

import torch

A = [
    [0.161],
    [-0.008480655492356989, 0.335480655492357],
    [2.8971530571054935, -6.359448489975075, 4.3622954328695815],
    [5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525],
    [5.86145544294642, -12.92096931784711, 8.159367898576159, -0.071584973281401, -0.028269050394068383],
    [0.09646076681806523, 0.01, 0.4798896504144996, 1.379008574103742, -3.290069515436081, 2.324710524099774],
]
C = [0, 0.161, 0.327, 0.9, 0.9800255409045097, 1, 1]
ERROR = [-0.00178001105222577714, -0.0008164344596567469, 0.007880878010261995, -0.1447110071732629,
         0.5823571654525552, -0.45808210592918697, 1 / 66]
DENSE = [
    [1, -2.763706197274826, 2.913255461821913, -1.053088497729022],
    [0, 0.1317, -0.2234, 0.1017],
    [0, 3.930296236894752, -5.941033872131505, 2.490627285651253],
    [0, -12.41107716693368, 30.33818863028232, -16.5481028892449],
    [0, 37.50931341651104, -88.1789048947664, 47.37952196281928],
    [0, -27.89652628919729, 65.09189467479366, -34.87065786149661],
    [0, 1.5, -4, 2.5],
]


def read_safetensors(path):
    with open(path, "rb") as file:
        data = file.read()
    (size,) = struct.unpack("<Q", data[:8])
    tensors = {}
    for name, entry in json.loads(data[8:8 + size]).items():
        if name == "__metadata__":
            continue
        kind = {"F32": torch.float32, "F64": torch.float64}[entry["dtype"]]
        first, last = entry["data_offsets"]
        values = torch.frombuffer(bytearray(data[8 + size + first:8 + size + last]), dtype=kind)
        tensors[name] = values.double().reshape(entry["shape"])
    return tensors


def read_idx(path):
    with open(path, "rb") as file:
        data = file.read()
    rank = data[3]
    shape = struct.unpack(f">{rank}I", data[4:4 + 4 * rank])
    return torch.frombuffer(bytearray(data[4 + 4 * rank:]), dtype=torch.uint8).reshape(shape)


def field(p, z, t):
    column = torch.full((len(z), 1), t, dtype=z.dtype)
    hidden = torch.tanh(torch.cat([z, column], 1) @ p["field.hidden.W"].T + p["field.hidden.b"])
    return torch.cat([hidden, column], 1) @ p["field.out.W"].T + p["field.out.b"]


def stages(p, u, t, h, k1):
    k = [k1]
    for row, c in zip(A, C[1:]):
        k.append(field(p, u + h * sum(a * k_j for a, k_j in zip(row, k)), t + c * h))
    return k


def rms(x):
    return torch.sqrt(torch.mean(x * x))


def initial_step(p, u, t, left, tolerance):
    scale = tolerance + u.abs() * tolerance
    f0 = field(p, u, t)
    d0, d1 = float(rms(u / scale)), float(rms(f0 / scale))
    h0 = 1e-6 if d0 < 1e-5 or d1 < 1e-5 else 0.01 * d0 / d1
    h0 = min(h0, left)
    d2 = float(rms((field(p, u + h0 * f0, t + h0) - f0) / scale)) / h0
    m = max(d1, d2)
    h1 = max(1e-6, 1e-3 * h0) if m <= 1e-15 else 10 ** (-(2 + math.log10(m)) / 5)
    return min(100 * h0, h1, left)


def regulariser(p, u, t, h, tolerance):
    with torch.no_grad():
        h = h or initial_step(p, u, t, 1 - t, tolerance)
    k1 = field(p, u, t)
    k = stages(p, u, t, h, k1)
    u1 = u + h * sum(a * k_j for a, k_j in zip(A[-1], k))
    err = h * sum(e * k_j for e, k_j in zip(ERROR, k))
    return h * rms(err / (tolerance + tolerance * torch.maximum(u.abs(), u1.abs())))


def loss_of(p, images, labels, given, tolerance, weight, is_accepted):
    times, sizes = given["flow.t"].tolist(), given["flow.h"].tolist()
    drawn = float(given["flow.drawn"][0]) if "flow.drawn" in given else None
    u, at_drawn, h_drawn = images, None, None
    for t, h in zip(times, sizes):
        k = stages(p, u, t, h, field(p, u, t))
        if drawn is not None and t <= drawn <= t + h and at_drawn is None:
            theta = (drawn - t) / h
            b = [sum(c * theta ** (i + 1) for i, c in enumerate(row)) for row in DENSE]
            at_drawn = (u + h * sum(b_i * k_i for b_i, k_i in zip(b, k))).detach()
            h_drawn = h if is_accepted else None
        u = u + h * sum(a * k_j for a, k_j in zip(A[-1], k))
    logits = u @ p["classifier.W"].T + p["classifier.b"]
    loss = torch.nn.functional.cross_entropy(logits, labels)
    reg = weight * regulariser(p, at_drawn, drawn, h_drawn, tolerance) if weight else torch.zeros(())
    return loss, reg


def main():
    path, folder = sys.argv[1:3]
    tolerance, steps, first, last, limit = map(float, sys.argv[3:8])
    weight = first * math.exp(math.log(last / first) / steps) if first else 0.0
    given = read_safetensors(path)
    batch = given["batch"].long()
    images = read_idx(f"{folder}/train-images-idx3-ubyte")[batch].reshape(len(batch), 784).double() / 255
    labels = read_idx(f"{folder}/train-labels-idx1-ubyte")[batch].long()
    p = {k[6:]: v.clone().requires_grad_() for k, v in given.items() if k.startswith("param.")}
    loss, reg = loss_of(p, images, labels, given, tolerance, weight, sys.argv[8] == "accepted")
    (loss + reg).backward()
    worst = 0.0
    rows = [("loss", given["loss"], (loss + reg).detach())]
    if weight:
        rows.append(("reg", given["reg"], reg.detach()))
    rows += [(k, given["grad." + k], v.grad) for k, v in p.items()]
    for name, mine, theirs in rows:
        size = float(theirs.abs().max())
        far = float((mine - theirs).abs().max()) / size
        worst = max(worst, far)
        print(f"{name:20s} largest {size:.3e}  relative difference {far:.2e}")
    print(f"worst {worst:.2e}")
    sys.exit(0 if worst <= limit else 1)


main()
