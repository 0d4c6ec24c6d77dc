#!/usr/bin/env python3
"""Makes spiral.npz, pairs.npz, moons.npy and gaussians.npy, which lie beside this script: run it to see where they come from, or to change them.

Needs nothing but Python. The files are the same on every run: exact solutions by many small steps of the classical
Runge-Kutta method, starts from a generator with a fixed seed, archives without dates.
"""
import io
import math
import pathlib
import random
import struct
import zipfile

HERE = pathlib.Path(__file__).resolve().parent


def npy(shape, values):
    """Bytes of a NumPy file, version 1.0, float32."""
    dims = "".join(f"{n}, " for n in shape)
    head = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + dims + "), }"
    head += " " * (63 - (10 + len(head)) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + struct.pack(f"<{len(values)}f", *values)


def save(name, **arrays):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, (shape, values) in arrays.items():
            assert len(values) == math.prod(shape)
            archive.writestr(zipfile.ZipInfo(key + ".npy", (1980, 1, 1, 0, 0, 0)), npy(shape, values))
    (HERE / name).write_bytes(data.getvalue())


def advance(f, u, time, steps):
    """u after `time`, by `steps` steps of the classical Runge-Kutta method."""
    h = time / steps
    for _ in range(steps):
        k1 = f(u)
        k2 = f([x + h / 2 * k for x, k in zip(u, k1)])
        k3 = f([x + h / 2 * k for x, k in zip(u, k2)])
        k4 = f([x + h * k for x, k in zip(u, k3)])
        u = [x + h / 6 * (a + 2 * b + 2 * c + d) for x, a, b, c, d in zip(u, k1, k2, k3, k4)]
    return u


def spiral():
    """240 snippets of u' = A u^3 from (2, 0), each of ten points over a quarter of a unit of time."""
    def f(u):
        x, y = u[0] ** 3, u[1] ** 3
        return [-0.1 * x + 2 * y, -2 * x - 0.1 * y]

    start, path, u = [], [], [2.0, 0.0]
    for _ in range(240):
        start += u
        point = u
        path += point
        for _ in range(9):
            point = advance(f, point, 0.25 / 9, 20)
            path += point
        u = advance(f, u, 0.1, 80)
    save("spiral.npz", start=((240, 2), start), path=((240, 10, 2), path))


def pendulums():
    """Two pendulums of length 1 with a weak spring between them: angles and velocities now, and after one unit."""
    def f(u):
        a, b, va, vb = u
        return [va, vb, -math.sin(a) + 0.5 * (b - a), -math.sin(b) + 0.5 * (a - b)]

    rng = random.Random(1)
    start, goal = [], []
    for _ in range(500):
        u = [rng.uniform(-1, 1) for _ in range(4)]
        start += u
        goal += advance(f, u, 1.0, 100)
    save("pairs.npz", start=((500, 4), start), goal=((500, 4), goal))


def planes():
    """4000 points of two half circles, and of eight spots on a circle, both with a normal noise of 0.2."""
    rng = random.Random(2)
    moons, gaussians = [], []
    for i in range(4000):
        angle = math.pi * rng.random()
        x, y = math.cos(angle), math.sin(angle)
        if i % 2:
            x, y = 1 - x, 0.5 - y
        moons += [2 * x - 1 + rng.gauss(0, 0.2), 2 * y - 0.5 + rng.gauss(0, 0.2)]
        angle = math.pi / 4 * (i % 8)
        gaussians += [2 * math.cos(angle) + rng.gauss(0, 0.2), 2 * math.sin(angle) + rng.gauss(0, 0.2)]
    (HERE / "moons.npy").write_bytes(npy((4000, 2), moons))
    (HERE / "gaussians.npy").write_bytes(npy((4000, 2), gaussians))


spiral()
pendulums()
planes()
