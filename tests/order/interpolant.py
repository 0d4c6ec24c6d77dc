"""The rows `interpolant` of vern6 to vern9 in compiler/prelude/high_order.nde, from their other rows. No test runs this: it
needs mpmath.

    python3 tests/order/interpolant.py vern7

The conditions of order q (Hairer, Norsett & Wanner 1993, II.6) are linear in the weights b_i(theta) and leave one
direction v free:  b(theta) = w(theta) + v p(theta),  p any polynomial. b meets both ends of the step with their slopes if
p(0) = p'(0) = 0 and p(1), p'(1) have certain values, so p is a cubic and theta^2 (1 - theta)^2 times a polynomial. That is
chosen so that the squared error terms of order q + 1, over their symmetries, have the least integral.
"""
import re
import sys
from collections import Counter

from mpmath import lu_solve, matrix, mp, mpf, nstr

mp.dps = 60


def read(name):
    text = re.search(rf"tableau {name} {{(.*?)\n}}", open("compiler/prelude/high_order.nde").read(), re.S)[1]
    rows = dict(re.findall(r"^  (\w+) +=(.*?)(?=^  \w)", text, re.S | re.M))
    number = lambda t: mpf(t.split("/")[0]) / mpf((t + "/1").split("/")[1])
    entries = lambda t: [number(x) for x in re.findall(r"[-.\d/]+", t)]
    order = int(re.search(r"dense (\d)", text)[1])
    return entries(rows["c"]), [[]] + [entries(r) for r in rows["a"].split("],")], entries(rows["b"]), order


def trees(order):
    """(nodes, gamma, symmetry, subtrees), smaller ones first."""
    all_trees = [(1, 1, 1, ())]

    def grow(n, kids, last, left):
        if left:
            for i in range(last + 1):
                if all_trees[i][0] <= left:
                    yield from grow(n, kids + (i,), i, left - all_trees[i][0])
            return
        gamma, symmetry = n, 1
        for kid, times in Counter(kids).items():
            gamma *= all_trees[kid][1] ** times
            symmetry *= all_trees[kid][2] ** times * mp.factorial(times)
        yield n, gamma, symmetry, kids

    for n in range(2, order + 1):
        all_trees += list(grow(n, (), len(all_trees) - 1, n - 1))
    return all_trees


def weighed(c, a, all_trees):
    phi, up = [], []
    for t, (_, _, _, kids) in enumerate(all_trees):
        row = [mpf(1)] * len(c)
        for kid in kids:
            row = [x * y for x, y in zip(row, up[kid])]
        phi.append(row)
        up.append(c if t == 0 else [sum(x * y for x, y in zip(a[i], row)) for i in range(len(c))])
    return phi


def solve(rows, n):
    """Gauss-Jordan with full pivoting: the rows, the column of each pivot, the free column."""
    pivot = []
    while True:
        size, r, i = max((abs(rows[r][i]), r, i) for r in range(len(pivot), len(rows)) for i in range(n) if i not in pivot)
        if size < mpf(10) ** -24:
            return rows, pivot, next(i for i in range(n) if i not in pivot)
        rows[len(pivot)], rows[r] = rows[r], rows[len(pivot)]
        at = rows[len(pivot)] = [x / rows[len(pivot)][i] for x in rows[len(pivot)]]
        for q, row in enumerate(rows):
            if q != len(pivot) and row[i]:
                rows[q] = [x - row[i] * y for x, y in zip(row, at)]
        pivot.append(i)


def inner(p, q):
    return sum(x * y / (i + j + 1) for i, x in enumerate(p) for j, y in enumerate(q))


def interpolant(name):
    c, a, b, q = read(name)
    n, last, all_trees = len(c), len(b) - 1, trees(q + 1)
    phi = weighed(c, a, all_trees)
    low = [t for t, tree in enumerate(all_trees) if tree[0] <= q]
    right = lambda t: [mpf(k == all_trees[t][0]) / all_trees[t][1] for k in range(1, q + 1)]
    rows, pivot, free = solve([phi[t] + right(t) for t in low], n)
    v, w = [mpf(i == free) for i in range(n)], [[mpf(0)] * (q + 1) for _ in range(n)]
    for row, i in zip(rows, pivot):
        v[i], w[i][1:] = -row[free], row[n:]
    slope = w[free][1] - (free == 0)
    for i in range(n):
        w[i][1] -= slope * v[i]
    at_end = (b[free] if free <= last else 0) - sum(w[free])
    slope_there = (free == last) - sum(k * x for k, x in enumerate(w[free]))
    p = [mpf(0), mpf(0), 3 * at_end - slope_there, slope_there - 2 * at_end] + [mpf(0)] * (q - 3)
    basis = [[mpf(0)] * (j + 2) + [mpf(1), mpf(-2), mpf(1)] for j in range(q - 3)]
    gram, force = matrix(q - 3, q - 3), matrix(q - 3, 1)
    for t in range(len(low), len(all_trees)):
        move = sum(x * y for x, y in zip(v, phi[t]))
        error = [sum(w[i][k] * phi[t][i] for i in range(n)) + move * p[k] for k in range(q + 1)]
        error.append(-mpf(1) / all_trees[t][1])
        for i in range(q - 3):
            force[i] -= move * inner(basis[i], error) / all_trees[t][2] ** 2
            for j in range(q - 3):
                gram[i, j] += move**2 * inner(basis[i], basis[j]) / all_trees[t][2] ** 2
    for part, polynomial in zip(lu_solve(gram, force), basis):
        p = [x + part * y for x, y in zip(p, polynomial + [mpf(0)] * (q + 1 - len(polynomial)))]
    return [[x + v[i] * y for x, y in zip(w[i], p)][1:] for i in range(n)]


for powers in interpolant(sys.argv[1]):
    print([nstr(x, 28) if abs(x) > mpf(10) ** -20 else "0" for x in powers])
