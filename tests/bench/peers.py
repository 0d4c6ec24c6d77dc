"""The work of peers.sh by torchdiffeq or diffrax: peers.py LIBRARY TASK DEVICE TOLERANCE FILES.. prints milliseconds (the
median of repetitions, after the first, which compiles) and evaluations of the field of one solve, or a line
`skip ..`.
  mnist    WEIGHTS FOLDER     a training step of examples/mnist_ode.nde without regulariser, batch 512, float32
  adjoint  WEIGHTS FOLDER     the same with the gradient of the continuous adjoint
  predict  WEIGHTS FOLDER     its predictions
  spiral   WEIGHTS SNIPPETS   a training step of the spiral of spiral.sh, batch 20, float32
  lorenz                      a solve of Lorenz's equations up to 10, float64
DEVICE is cpu (one thread), threads (all processors) or gpu. torchdiffeq's tsit5 goes on with the embedded weights and is of
order 4, so dopri5 stands for it."""
import json
import statistics
import sys
import time

import numpy as np

library, task, device, tolerance, files = *sys.argv[1:4], float(sys.argv[4]), sys.argv[5:]
kind = np.float64 if task == "lorenz" else np.float32


def read_weights(path):
    """By name, from safetensors."""
    data = open(path, "rb").read()
    size = int.from_bytes(data[:8], "little")
    found = {}
    for name, entry in json.loads(data[8:8 + size]).items():
        if name != "__metadata__":
            first, last = entry["data_offsets"]
            number = {"F32": np.float32, "F64": np.float64}[entry["dtype"]]
            found[name] = np.frombuffer(data[8 + size + first:8 + size + last], number).reshape(entry["shape"]).astype(kind)
    return found


def read_idx(path, head):
    return np.frombuffer(open(path, "rb").read()[head:], np.uint8)


def median_ms(step):
    """Of calls that return when their work is done."""
    step()
    step()
    took, end = [], time.perf_counter() + 0.7
    while len(took) < 3 or time.perf_counter() < end:
        began = time.perf_counter()
        step()
        took.append(1e3 * (time.perf_counter() - began))
    return statistics.median(took)


weights = read_weights(files[0]) if task != "lorenz" else {}
if task in ("mnist", "adjoint", "predict"):
    x = (read_idx(files[1] + "/train-images-idx3-ubyte", 16).reshape(-1, 784)[:512] / 255).astype(kind)
    label = read_idx(files[1] + "/train-labels-idx1-ubyte", 8)[:512].astype(np.int64)
elif task == "spiral":
    table = np.loadtxt(files[1], delimiter=",").astype(kind)[:20]
    x, label = table[:, :2], table[:, 2:].reshape(-1, 10, 2)
    times = np.linspace(0, 25 * 9 / 999, 10).astype(kind)
else:
    x = np.array([1, 0, 0], kind)


def by_torchdiffeq():
    import torch
    from torchdiffeq import odeint, odeint_adjoint

    if device == "cpu":
        torch.set_num_threads(1)
    at = torch.device("cuda" if device == "gpu" else "cpu")
    move = lambda a: torch.tensor(a, device=at)
    u, target = move(x), move(label) if task != "lorenz" else None
    count = 0

    class Field(torch.nn.Module):
        def __init__(self):
            super().__init__()
            for name, a in weights.items():
                self.register_parameter(name.replace(".", "_"), torch.nn.Parameter(move(a)))

        def dense(self, name, u):
            return torch.nn.functional.linear(u, getattr(self, name + "_W"), getattr(self, name + "_b"))

        def forward(self, t, u):
            nonlocal count
            count += 1
            if task == "lorenz":
                return torch.stack([10 * (u[1] - u[0]), u[0] * (28 - u[2]) - u[1], u[0] * u[1] - 8 / 3 * u[2]])
            if task == "spiral":
                return self.dense("field_out", torch.tanh(self.dense("field_hidden", u**3)))
            time_column = t.expand(len(u), 1)
            hidden = torch.tanh(self.dense("field_hidden", torch.cat([u, time_column], 1)))
            return self.dense("field_out", torch.cat([hidden, time_column], 1))

    field = Field().to(at)
    solve = odeint_adjoint if task == "adjoint" else odeint
    span = move(times) if task == "spiral" else move(np.array([0, 10 if task == "lorenz" else 1], kind))
    how = {"method": "dopri5", "rtol": tolerance, "atol": tolerance / 100 if task == "spiral" else tolerance}
    rule = torch.optim.Adam(field.parameters(), lr=1e-6) if weights else None

    def loss():
        u1 = solve(field, u, span, **how)
        if task == "spiral":
            return (u1.transpose(0, 1) - target).abs().mean()
        return torch.nn.functional.cross_entropy(field.dense("classifier", u1[-1]), target)

    def step():
        if task in ("lorenz", "predict"):
            with torch.no_grad():
                end = solve(field, u, span, **how)[-1]
                (field.dense("classifier", end).softmax(1) if task == "predict" else end).cpu()
        else:
            rule.zero_grad()
            value = loss()
            value.backward()
            rule.step()
            value.item()

    with torch.no_grad():
        solve(field, u, span, **how)
    return count, step


def by_diffrax():
    import jax

    if device != "gpu":
        jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_enable_x64", task == "lorenz")
    jax.config.update("jax_default_matmul_precision", "highest")  # a GPU's products are otherwise of 10 bits
    import diffrax
    import jax.numpy as jnp
    import optax

    u, target = jnp.asarray(x), None if task == "lorenz" else jnp.asarray(label)
    params = {name: jnp.asarray(a) for name, a in weights.items()}

    def dense(w, name, u):
        return u @ w[name + ".W"].T + w[name + ".b"]

    def field(t, u, w):
        if task == "lorenz":
            return jnp.stack([10 * (u[1] - u[0]), u[0] * (28 - u[2]) - u[1], u[0] * u[1] - 8 / 3 * u[2]])
        if task == "spiral":
            return dense(w, "field.out", jnp.tanh(dense(w, "field.hidden", u**3)))
        column = jnp.full((len(u), 1), t, u.dtype)
        hidden = jnp.tanh(dense(w, "field.hidden", jnp.concatenate([u, column], 1)))
        return dense(w, "field.out", jnp.concatenate([hidden, column], 1))

    method = diffrax.Dopri5() if task in ("spiral", "lorenz") else diffrax.Tsit5()
    control = diffrax.PIDController(rtol=tolerance, atol=tolerance / 100 if task == "spiral" else tolerance)
    saved = diffrax.SaveAt(ts=jnp.asarray(times)) if task == "spiral" else diffrax.SaveAt(t1=True)
    end = 10.0 if task == "lorenz" else float(times[-1]) if task == "spiral" else 1.0
    adjoint = diffrax.BacksolveAdjoint() if task == "adjoint" else diffrax.RecursiveCheckpointAdjoint()

    def solve(w, adjoint=adjoint):
        return diffrax.diffeqsolve(diffrax.ODETerm(field), method, 0.0, end, None, u, w, saveat=saved, adjoint=adjoint,
                                   stepsize_controller=control, max_steps=4096 if task == "lorenz" else 64)

    def loss(w):
        u1 = solve(w).ys
        if task == "spiral":
            return jnp.abs(jnp.swapaxes(u1, 0, 1) - target).mean()
        logits = dense(w, "classifier", u1[-1])
        return optax.softmax_cross_entropy_with_integer_labels(logits, target).mean()

    rule = optax.adam(1e-6)

    @jax.jit
    def train(w, state):
        value, g = jax.value_and_grad(loss)(w)
        change, state = rule.update(g, state)
        return optax.apply_updates(w, change), state, value

    @jax.jit
    def predict(w):
        u1 = solve(w).ys[-1]
        return jax.nn.softmax(dense(w, "classifier", u1)) if task == "predict" else u1

    state = rule.init(params)

    def step():
        nonlocal params, state
        if task in ("lorenz", "predict"):
            np.asarray(predict(params))
        else:
            params, state, value = train(params, state)
            float(value)

    forward = diffrax.RecursiveCheckpointAdjoint()  # which gives counts; the steps are the same
    attempts = int(jax.jit(lambda w: solve(w, forward).stats["num_steps"])(params))
    return 6 * attempts + 2, step  # both methods' last stage is the next step's first


try:
    evaluations, step = {"torchdiffeq": by_torchdiffeq, "diffrax": by_diffrax}[library]()
except ImportError as error:
    print("skip", library, error)
    sys.exit()
print(f"{median_ms(step):.5g} {evaluations}")
