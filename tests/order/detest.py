"""What SciPy takes for the problems of detest.nde: makes detest.csv, the columns problem, method, tolerance, evaluations,
error of SciPy's solve_ivp, then the solution at the end, by DOP853 at 1e-13. No test runs this: it needs python3-scipy.

    python3 tests/order/detest.py >tests/order/detest.csv
"""
import numpy as np
import scipy
from scipy.integrate import solve_ivp

ORDER = np.arange(1.0, 10.0)
MU = 0.012277471


def shifted(y, fall, rise):
    """fall and rise: what leaves each compartment of a chain for the next."""
    return np.concatenate([[-fall[0] * y[0]], rise * y[:-1] - np.append(fall[1:], 0) * y[1:]])


def orbit(_, y):
    return np.concatenate([y[2:], -y[:2] / np.hypot(y[0], y[1]) ** 3])


def stars(_, y):
    x, z = y[:7], y[7:14]
    dx, dz = x[:, None] - x, z[:, None] - z
    d = (dx**2 + dz**2 + np.eye(7)) ** 1.5
    mass = np.arange(1, 8)[:, None]
    return np.concatenate([y[14:], (mass * dx / d).sum(0), (mass * dz / d).sum(0)])


def satellite(_, y):
    a = (1 - MU) / ((y[0] + MU) ** 2 + y[1] ** 2) ** 1.5
    b = MU / ((y[0] - 1 + MU) ** 2 + y[1] ** 2) ** 1.5
    return np.array(
        [
            y[2],
            y[3],
            y[0] + 2 * y[3] - a * (y[0] + MU) - b * (y[0] - 1 + MU),
            y[1] - 2 * y[2] - (a + b) * y[1],
        ]
    )


def cone(_, y):
    r = np.hypot(y[0], y[1])
    return np.array([-y[1] - y[0] * y[2] / r, y[0] - y[1] * y[2] / r, y[0] / r])


def ring(_, y):
    return np.append(0, y[:-1]) - 2 * y + np.append(y[1:], 0)


ONE_OF_TEN = [1.0] + [0.0] * 9
PROBLEM = {
    "a1": (lambda t, y: -y, [1], 20),
    "a2": (lambda t, y: -(y**3) / 2, [1], 20),
    "a3": (lambda t, y: y * np.cos(t), [1], 20),
    "a4": (lambda t, y: y / 4 * (1 - y / 20), [1], 20),
    "a5": (lambda t, y: (y - t) / (y + t), [4], 20),
    "b1": (lambda t, y: np.array([2 * (y[0] - y[0] * y[1]), y[0] * y[1] - y[1]]), [1, 3], 20),
    "b2": (lambda t, y: np.array([y[1] - y[0], y[0] - 2 * y[1] + y[2], y[1] - y[2]]), [2, 0, 1], 20),
    "b3": (lambda t, y: np.array([-y[0], y[0] - y[1] ** 2, y[1] ** 2]), [1, 0, 0], 20),
    "b4": (cone, [3, 0, 0], 20),
    "b5": (lambda t, y: np.array([y[1] * y[2], -y[0] * y[2], -0.51 * y[0] * y[1]]), [0, 1, 1], 20),
    "c1": (lambda t, y: shifted(y, np.ones(9), np.ones(9)), ONE_OF_TEN, 20),
    "c2": (lambda t, y: shifted(y, ORDER, ORDER), ONE_OF_TEN, 20),
    "c3": (ring, ONE_OF_TEN, 20),
    "e1": (
        lambda t, y: np.array([y[1], -(y[1] / (t + 1) + (1 - 0.25 / (t + 1) ** 2) * y[0])]),
        [0.6713967071418030, 0.09540051444747446],
        20,
    ),
    "e2": (lambda t, y: np.array([y[1], (1 - y[0] ** 2) * y[1] - y[0]]), [2, 0], 20),
    "e3": (lambda t, y: np.array([y[1], y[0] ** 3 / 6 - y[0] + 2 * np.sin(2.78535 * t)]), [0, 0], 20),
    "e4": (lambda t, y: np.array([y[1], 0.032 - 0.4 * y[1] ** 2]), [30, 0], 20),
    "e5": (lambda t, y: np.array([y[1], np.sqrt(1 + y[1] ** 2) / (25 - t)]), [0, 0], 20),
    "pleiades": (
        stars,
        [3, 3, -1, -3, 2, -2, 2, 3, -3, 2, 0, 0, -4, 4, 0, 0, 0, 0, 0, 1.75, -1.5, 0, 0, 0, -1.25, 1, 0, 0],
        3,
    ),
    "arenstorf": (satellite, [0.994, 0, 0, -2.00158510637908252240537862224], 17.0652165601579625588917206249),
}
for i, e in enumerate([0.1, 0.3, 0.5, 0.7, 0.9]):
    PROBLEM[f"d{i + 1}"] = (orbit, [1 - e, 0, 0, np.sqrt((1 + e) / (1 - e))], 20)

print(f"# SciPy {scipy.__version__}; max norm of the error at the end")
for name, (f, start, end) in sorted(PROBLEM.items()):
    true = solve_ivp(f, (0, end), start, method="DOP853", rtol=1e-13, atol=1e-13).y[:, -1]
    for method in ["RK23", "RK45", "DOP853"]:
        for tolerance in ["1e-3", "1e-6", "1e-9"]:
            if method == "RK23" and tolerance == "1e-9":
                continue  # minutes
            s = solve_ivp(f, (0, end), start, method=method, rtol=float(tolerance), atol=float(tolerance))
            error = np.max(np.abs(s.y[:, -1] - true))
            print(name, method, tolerance, s.nfev, f"{error:.3e}", *[f"{x:.14g}" for x in true], sep=",")
