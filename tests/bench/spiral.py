"""The spiral's training loop in PyTorch: Dormand-Prince 5(4) with one step size for the batch, snippets by the continuous
extension, gradients by backpropagation through the accepted steps. spiral.py SPIRAL.csv ITERATIONS prints iterations a
second, evaluations of an iteration, and the last loss."""
import sys
import time

import numpy as np
import torch

A = [[1 / 5], [3 / 40, 9 / 40], [44 / 45, -56 / 15, 32 / 9],
     [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729],
     [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656],
     [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84]]
ERR = [71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40]
# The continuous extension's last column (Hairer, Norsett & Wanner 1993, II.6).
DENSE = [-12715105075 / 11282082432, 0, 87487479700 / 32700410799, -10690763975 / 1880347072,
         701980252875 / 199316789632, -1453857185 / 822651844, 69997945 / 29380423]
RTOL, ATOL = 1e-7, 1e-9


def combine(weights, k):
    return sum(w * v for w, v in zip(weights, k) if w)


def rms(x):
    return float(x.detach().pow(2).mean().sqrt())


class Spiral:
    def __init__(self, field):
        self.field, self.count = field, 0

    def f(self, u):
        self.count += 1
        return self.field(u**3)

    def first_step(self, u, k):
        """Hairer, Norsett & Wanner, II.4"""
        scale = ATOL + RTOL * u.abs()
        d0, d1 = rms(u / scale), rms(k / scale)
        h0 = 1e-6 if min(d0, d1) < 1e-5 else 0.01 * d0 / d1
        with torch.no_grad():
            d2 = rms((self.f(u + h0 * k) - k) / scale) / h0
        return min(100 * h0, (0.01 / max(d1, d2)) ** 0.2)

    def solve(self, u, times):
        t, out = float(times[0]), [u]
        k1 = self.f(u)
        with torch.no_grad():
            h = self.first_step(u, k1)
        while len(out) < len(times):
            k = [k1]
            for row in A:
                k.append(self.f(u + h * combine(row, k)))
            new = u + h * combine(A[-1], k)
            error = rms(h * combine(ERR, k) / (ATOL + RTOL * torch.maximum(u, new).abs()))
            if error <= 1:
                while len(out) < len(times) and times[len(out)] <= t + h:
                    out.append(self.between(u, new, k, h, (times[len(out)] - t) / h))
                t, u, k1 = t + h, new, k[-1]
            h *= min(10.0, max(0.2, 0.9 * max(error, 1e-10) ** -0.2))
        return torch.stack(out, 1)

    @staticmethod
    def between(u, new, k, h, x):
        change = new - u
        bend = h * k[0] - change
        back = change - h * k[-1] - bend
        return u + x * (change + (1 - x) * (bend + x * (back + (1 - x) * h * combine(DENSE, k))))


def main():
    data, iterations = torch.tensor(np.loadtxt(sys.argv[1], delimiter=",")).float(), int(sys.argv[2])
    start, path = data[:, :2], data[:, 2:].reshape(-1, 10, 2)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    field = torch.nn.Sequential(torch.nn.Linear(2, 50), torch.nn.Tanh(), torch.nn.Linear(50, 2))
    rule = torch.optim.RMSprop(field.parameters(), lr=1e-3)
    spiral, times = Spiral(field), np.linspace(0, 25 * 9 / 999, 10)
    began = None
    for i in range(iterations + 1):
        if i == 1:  # the first one sets things up
            began, spiral.count = time.perf_counter(), 0
        which = torch.randint(len(start), (20,))
        rule.zero_grad()
        loss = (spiral.solve(start[which], times) - path[which]).abs().mean()
        loss.backward()
        rule.step()
    print(iterations / (time.perf_counter() - began), spiral.count / iterations, float(loss))


main()
