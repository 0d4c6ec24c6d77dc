"""Fits the coefficients of runtime/nde_math.h: python3 tests/fit.py (needs mpmath).

Each is P(x)/Q(x), or a polynomial, whose largest weighted error on an interval is least: Remez exchange, with the rational
problem linearised by the denominator of the round before. The error that is left is printed in units of 2^-24 (float) or
2^-53 (double). Above and below of a quotient have a common factor, chosen so that intermediate results are not just above a power of
two, where rounding is worst. Otherwise rounding is no part of the fit; tests/unit/math.c measures the functions. Of the float
tanh every coefficient was then changed at random in its last bits, as long as the largest measured error fell."""

from mpmath import mp, mpf, matrix, lu_solve, cos, pi, sqrt, tanh, atanh, erf, erfc, sin, exp, expm1, ln, nstr

mp.dps = 80


def value(c, x):
    y = mpf(0)
    for t in reversed(c):
        y = y * x + t
    return y


def points(low, high, n):
    """Dense at both ends, and, from a positive number on, evenly in the root: x is the square of the argument."""
    at = [(1 - cos(pi * (k + mpf(0.5)) / n)) / 2 for k in range(n)]
    if low < 0:
        return [low + (high - low) * c for c in at]
    return [(sqrt(low) + (sqrt(high) - sqrt(low)) * c) ** 2 for c in at]


def extrema(error, wanted):
    """One index for each stretch of equal sign, the smaller of the outer ones left out until as many are left."""
    at = []
    for k, e in enumerate(error):
        if not at or (e > 0) != (error[at[-1]] > 0):
            at.append(k)
        elif abs(e) > abs(error[at[-1]]):
            at[-1] = k
    while len(at) > wanted:
        at.pop(0 if abs(error[at[0]]) < abs(error[at[-1]]) else -1)
    return at


def fit(f, weight, low, high, above, below=0, first=None, n=600):
    """Degrees above and below; first: the first coefficient of P, if it is given; that of Q is 1."""
    x = points(mpf(low), mpf(high), n)
    want, w = [f(t) for t in x], [weight(t) for t in x]
    from_p = 0 if first is None else 1
    size = above + 1 - from_p + below + 1
    at, q_at = [n * (2 * k + 1) // (2 * size) for k in range(size)], [mpf(1)] * n
    for _ in range(30):
        a, b = matrix(size, size), matrix(size, 1)
        for row, k in enumerate(at):
            terms = [x[k] ** j for j in range(from_p, above + 1)] + [-want[k] * x[k] ** j for j in range(1, below + 1)]
            for column, t in enumerate(terms + [(-1) ** row * q_at[k] / w[k]]):
                a[row, column] = t
            b[row] = want[k] - (first or 0)
        c = list(lu_solve(a, b))
        p = [mpf(first or 0)] * from_p + c[: above + 1 - from_p]
        q = [mpf(1)] + c[above + 1 - from_p : -1]
        q_at = [value(q, t) for t in x]
        error = [w[k] * (value(p, x[k]) / q_at[k] - want[k]) for k in range(n)]
        worst = max(abs(e) for e in error)
        at = extrema(error, size)
        if len(at) < size or worst < abs(c[-1]) * mpf("1.001"):
            break
    return p, q, worst


def show(name, c, digits):
    print(f"static const Real {name}[] = {{{', '.join(nstr(t, digits) for t in c)}}};")


def table(bits, digits, degrees):
    print(f"/* {bits} bits */")
    unit = mpf(2) ** bits
    tiny = mpf(10) ** -14

    def of(name, f, weight, low, high, above, below=0, first=None, times=1):
        p, q, worst = fit(f, weight, low, high, above, below, first)
        print(f"/* {name}: {nstr(worst * unit, 3)} */")
        if below:
            show(f"nde_{name}_above", [times * t for t in p], digits)
            show(f"nde_{name}_below", [times * t for t in q], digits)
        else:
            show(f"nde_{name}", p, digits)

    half = ln(2) / 2 * (1 + mpf(2) ** (8 - bits) * 64)
    of("exp", lambda r: (exp(r) - 1 - r) / r**2, lambda r: abs(r**2 / expm1(r)), -half, half, degrees["exp"])
    # e^r = (b + c) / (b - c) with c = r A(r^2), b = B(r^2): c / b = tanh(r / 2)
    t = lambda s: tanh(sqrt(s) / 2) / sqrt(s)
    of("ratio", t, lambda s: 1 / t(s), tiny, half**2, *degrees["ratio"], first=0.5, times=mpf("1.62"))
    log_high = ((sqrt(2) - 1) / (sqrt(2) + 1)) ** 2 * (1 + mpf(2) ** (4 - bits) * 64)
    rest = lambda w: 2 * (atanh(sqrt(w)) / sqrt(w) - 1) / w
    of("log", rest, lambda w: w * sqrt(w) / 2 / atanh(sqrt(w)), tiny, log_high, degrees["log"])
    s = lambda x: sin(sqrt(x)) / sqrt(x)
    of("sin", s, lambda x: 1 / s(x), tiny, (pi / 2 * (1 + mpf(2) ** (10 - bits) * 64)) ** 2, degrees["sin"], first=1)
    e = lambda x: erf(sqrt(x)) / sqrt(x)
    of("erf_near", e, lambda x: 1 / e(x), tiny, mpf(degrees["near"][0]) ** 2, degrees["near"][1])
    if bits == 53:
        of("erf", lambda a: erfc(a) * exp(a * a), lambda a: exp(-a * a) / erf(a), mpf("0.8"), 5.94, 5, 6)
        return
    # y = 2 t / (1 + t^2): an error of t reaches y multiplied by (1 - t^2) / (1 + t^2), and y t' / t.
    t = lambda x: tanh(sqrt(x) / 2) / sqrt(x)
    damped = lambda t: lambda x: (1 - t(x) ** 2 * x) / (1 + t(x) ** 2 * x) / t(x)
    of("tanh", t, damped(t), tiny, mpf("9.02") ** 2, 2, 3, first=0.5, times=2 * mpf("1.77"))
    near = lambda x: tanh(sqrt(x)) / sqrt(x)
    of("tanh_near", near, lambda x: 1 / near(x), tiny, 1, 1, 2, first=1)
    u = lambda x: e(x) / (1 + sqrt(erfc(sqrt(x)) * (1 + erf(sqrt(x)))))
    of("erf", u, damped(u), tiny, mpf("3.92") ** 2, 4, 3, times=2 * mpf("1.684"))


table(24, 12, {"exp": 4, "ratio": (1, 1), "log": 2, "sin": 4, "near": ("1.1", 6)})
table(53, 20, {"exp": 9, "ratio": (2, 2), "log": 6, "sin": 8, "near": ("0.8", 10)})
