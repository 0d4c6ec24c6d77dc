# Derivatives in the language. Each in a term of the loss that is 0 where it equals its closed form, nested, through a
# fn, a let, with respect to what is shared; the exact trace in a solve against the determinant of the map of the flow by
# differences, and Hutchinson's trace; and that training differentiates all of them again.
. "$NDEC_ROOT/tests/case.sh"
check() { # name
    "$ndec" build --draft "$1.nde" -o "$1" >out 2>err || fail "$1: build"
    if ./"$1" check-gradient --data . >out 2>err; then ok "$1: $(tail -n 1 out)"; else fail "$1: $(tail -n 1 out)"; fi
}
cat >x.csv <<'END'
0.5,-0.3,0.7,1.1
1.2,0.4,-0.6,0.3
-0.8,0.9,0.2,-0.4
0.1,0.2,0.3,0.4
END

# y = (sin(a) b s^2, a^3 + e^b sin s), J its matrix of derivatives; H v = d/dx (J v) is symmetric in what it is applied to.
cat >closed.nde <<'END'
precision f64
data x : real[2]
data v : real[2]
param w : real[2] = [0.3, -0.7]
fn g(p : real[2], s : real) -> real[2] {
  return [sin(p[0]) * p[1] * s^2, p[0]^3 + exp(p[1]) * sin(s)]
}
fn rate(p : real[2], s : real) -> real[2] {
  return jvp(g(p, s), s, 1)
}
fn gap(p : tensor, q : tensor) -> real {
  return sum((p - q)^2)
}
let f  = g(x, 1)
let a  = x[0]
let b  = x[1]
let e1 = exp(b) * sin(1)
let J  = stack([cos(a) * b, sin(a)], [3 * a^2, e1])
let push = jvp(f, x, v)
let back = vjp(f, x, v)
let square_of = x^2
let two = vjp(2 * a, a, 1)
let total = sum(w * x)^2
let error = (gap(push, J @ v) + gap(back, v @ J) + gap(divergence(f, x), J[0, 0] + J[1, 1])
          + gap(jvp(push, x, v), [-sin(a) * b * v[0]^2 + 2 * cos(a) * v[0] * v[1], 6 * a * v[0]^2 + e1 * v[1]^2])
          + gap(vjp(back, x, v), v[0] * [-sin(a) * b * v[0] + cos(a) * v[1], cos(a) * v[0]]
                               + v[1] * [6 * a * v[0], e1 * v[1]])
          + gap(vjp(vjp(sum(square_of^3), square_of, 1), square_of, v), 6 * x^2 * v)
          + gap(rate(x, 2), [4 * sin(a) * b, exp(b) * cos(2)])
          + gap(vjp(total, w, 1), 2 * sum(w * x) * x) + gap(jvp(vjp(total, w, 1), w, v), 2 * sum(x * v) * x)
          + gap(jvp(sum(w^3), w, [1, 2]), 3 * w[0]^2 + 6 * w[1]^2) + gap(vjp(x, x, v), v) + gap(vjp(3 * a * two, two, 1), 3 * a)
          + gap(vjp(relu(x), x, 1), x > 0) + gap(divergence(a^3 * w[0], a), 3 * a^2 * w[0])
          + gap(vjp(stop_gradient(f) + x, x, v), v))
loss error
loss sum(vjp(sum(g(w * x, 2)^2), x, 1) * v) + sum(jvp(g(w, 2), w, v)^2) + divergence(g(w * x, 1), x)
metric error
train {
  data  csv("x.csv")
  batch 4
  steps 1
}
END
check closed
./closed train --quiet --data . --out closed.run --set train.optimizer.rate=1e-30 >out 2>err || fail 'closed: train'
./closed eval --weights closed.run/weights.safetensors --data . >out 2>err || fail 'closed: eval'
error=$(sed -n 's/^error *\([-0-9.e]*\).*/\1/p' out)
holds "closed forms: squared error $error" "${error:-1} >= 0 && ${error:-1} < 1e-24"

# Along a flow: d/dt log det = trace, by central differences of its map; with the noise (1, 1) and (1, -1) the mean of
# Hutchinson's estimates is the trace in two dimensions.
cat >flow.nde <<'END'
precision f64
data x : real[2]
data e : real[2]
fn field(z : real[2], t : real) -> real[2] {
  layer hidden = dense(6, tanh)
  layer out = dense(2)
  return 2 * out(hidden([z, sin(t)]))
}
solve flow {
  let f = field(z, t)
  let second = jvp(f, z, f) + jvp(f, t, 1)
  dz     = f dt
  dexact = divergence(f, z) dt
  dguess = dot(e, vjp(f, z, e)) dt
  dbend  = sum(second^2) dt
  z(0)     = x
  exact(0) = 0
  guess(0) = 0
  bend(0)  = 0
  time 0 .. 1
  method bosh3
  tolerance 1e-9
  step limit 100000
}
output flow.z(1), flow.exact(1), flow.guess(1)
loss sum(flow.z(1)^2) + flow.exact(1) * flow.guess(1) + flow.bend(1) * vjp(sum(field(x, 1)^2), x, 1)[0]
train {
  data  csv("pairs.csv")
  batch 6
  steps 1
}
END
cat >pairs.csv <<'END'
0.4,-0.6,1,1
0.4,-0.6,1,-1
0.40001,-0.6,1,1
0.39999,-0.6,1,1
0.4,-0.59999,1,1
0.4,-0.60001,1,1
END
check flow
./flow train --quiet --data . --out flow.run --set train.optimizer.rate=1e-30 >out 2>err || fail 'flow: train'
./flow predict --weights flow.run/weights.safetensors -i pairs.csv -o flow.csv >out 2>err || fail 'flow: predict'
result=$(awk -F, 'NR > 1 { for (i = 1; i <= 4; i++) z[NR - 1, i] = $i }
    END { h = 2e-5
          det = ((z[3, 1] - z[4, 1]) * (z[5, 2] - z[6, 2]) - (z[3, 2] - z[4, 2]) * (z[5, 1] - z[6, 1])) / (h * h)
          printf "%.12g %.12g %.12g", log(det), z[1, 3], (z[1, 4] + z[2, 4]) / 2 }' flow.csv)
# shellcheck disable=SC2086
set -- $result
holds "log det $1 of the map, trace $2" "($1 - $2) ^ 2 < 1e-16 && ($2)^2 > 1e-4"
holds "trace $2, Hutchinson's mean $3" "($2 - $3) ^ 2 < 1e-18"
