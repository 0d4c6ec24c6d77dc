"""SciPy's solve_ivp, RK45: solve_ivp.py PROBLEM TOLERANCE prints as the peers in C do (problems.h)."""
import sys
import time

import numpy as np
from scipy.integrate import solve_ivp

MASS = np.arange(1.0, 8.0)


def lorenz(t, u):
    x, y, z = u
    return [10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z]


def vanderpol(t, u):
    return [u[1], 5 * (1 - u[0] * u[0]) * u[1] - u[0]]


def pleiades(t, u):
    x, y = u[:7], u[7:14]
    dx, dy = x[None, :] - x[:, None], y[None, :] - y[:, None]
    r2 = dx * dx + dy * dy + np.eye(7)
    w = MASS / (r2 * np.sqrt(r2))
    return np.concatenate([u[14:], (w * dx).sum(1), (w * dy).sum(1)])


STARTS = {
    "lorenz": (lorenz, 10, [1, 0, 0]),
    "vanderpol": (vanderpol, 20, [2, 0]),
    "pleiades": (pleiades, 3, [3, 3, -1, -3, 2, -2, 2, 3, -3, 2, 0, 0, -4, 4,
                               0, 0, 0, 0, 0, 1.75, -1.5, 0, 0, 0, -1.25, 1, 0, 0]),
}
field, end, start = STARTS[sys.argv[1]]
tolerance, best = float(sys.argv[2]), 1e9
for _ in range(3):
    began = time.perf_counter()
    found = solve_ivp(field, (0, end), np.array(start, float), method="RK45", rtol=tolerance, atol=tolerance)
    best = min(best, time.perf_counter() - began)
print(f"{1e6 * best:.4f} {found.nfev}", *(repr(float(v)) for v in found.y[:, -1]))
