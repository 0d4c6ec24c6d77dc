# Integrals along the path as regularisers: check-gradient, and the same training as of the model with the further states
# written out, in the same steps. One solve runs backwards; a quantity of a step does not see the further states.
. "$NDEC_ROOT/tests/case.sh"
model() { # clauses of flow, clauses of back, further equations of flow, of back, further losses
    cat <<END
precision f64
quantity bend(power : int) = h * sum(u1 - u0)^power           # of one state
quantity slow(a : real) = integral(a * t * sum(state^2))
data x : real[4]
sample e : real[4] ~ rademacher()
fn field(z : real[4], t : real) -> real[4] {
  layer hidden = dense(5, tanh)
  layer out = dense(4)
  return out(hidden([z, sin(t)]))
}
solve flow {
  let f = field(z, t)
  dz   = f dt
  z(0) = x
  time 0 .. 1
  method heun
  tolerance 1e-3
  $1
  $3
}
solve back {
  let g = field(q, t) * v
  dq   = g dt
  dv   = -v dt
  q(1) = flow.z(1)
  v(1) = 1 + x[0]^2
  time 1 .. 0
  method heun
  tolerance 1e-3
  $2
  $4
}
loss sum(back.q(0)^2) $5
train {
  data  csv("x.csv")
  batch 4
  steps 5
}
END
}
awk 'BEGIN { for (i = 0; i < 4; i++) for (k = 0; k < 4; k++) printf "%g%s", sin(3 * i + 5 * k), k < 3 ? "," : "\n" }' >x.csv
model 'regularize kinetic, weight 0.3
  regularize jacobian(e), weight 0.2
  regularize bend(2), global, weight 0
  regularize taylor(3), weight 0.1' 'regularize kinetic of q, weight 0.5
  regularize slow(2) of q
  regularize integral(v * sum(g)), weight linear(0.7, 0.5)' '' '' '' >clause.nde
model '' '' \
    'let j = vjp(f, z, e)
  let f1 = jvp(f, z, f) + jvp(f, t, 1)
  let f2 = jvp(f1, z, f) + jvp(f1, t, 1)
  dk = sum(f^2) / 4 dt
  dj2 = sum(j^2) / 4 dt
  dr = sum(f2^2) / 4 dt
  k(0) = 0
  j2(0) = 0
  r(0) = 0' \
    'dk = sum(g^2) / 4 dt
  dm = 2 * t * sum(q^2) dt
  dr = v * sum(g) dt
  k(1) = 0
  m(1) = 0
  r(1) = 0' \
    '+ where(training, 0.3 * flow.k(1) + 0.2 * flow.j2(1) + 0.1 * flow.r(1) - 0.5 * back.k(0) - back.m(0) - linear(0.7, 0.5) * back.r(0), 0)' >written.nde
for name in clause written; do
    "$ndec" build --draft $name.nde -o $name >out 2>err || fail "$name: build"
    ./$name train --quiet --data . --out $name.run >out 2>err || fail "$name: train"
    tr ':,' '  ' <$name.run/log.jsonl | awk '!/evaluation/ { printf "%d %.11g %d %d %d\n", $2, $4, $8, $10, $12 }' >$name.log
done
if ./clause check-gradient --data . >out 2>err; then ok "clause: $(tail -n 1 out)"; else fail "clause: $(tail -n 1 out)"; fi
[ "$(wc -l <clause.log)" -eq 5 ] || fail 'clause: five steps'
same 'loss and steps of training' clause.log written.log
