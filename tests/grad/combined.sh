# check-gradient of models that combine what other scripts test alone: adjoints, methods with stages of their interpolant,
# integrals along the path, drawn spans, tolerances of components, own steps.
. "$NDEC_ROOT/tests/case.sh"

model() { # solve clauses, tolerance, words of time, further loss
    cat <<END
precision f64
data x : real[2]
data y : real[2]
const at = [0.3, 0.7]
sample e : real[2] ~ rademacher()
fn field(z : real[2], t : real) -> real[2] {
  layer hidden = dense(4, tanh)
  layer out    = dense(2)
  return out(hidden([z, t]))
}
solve flow {
  dz   = field(z, t) dt
  z(0) = x
  time 0 .. 1$3
  tolerance $2
$1
}
loss mse(flow.z(1), y)$4 + 0.01 * sum(e)
train {
  data  npz("points.npz")
  batch 5
  steps 10
  optimizer adam(0.01)
}
END
}
check() { # name, then as above
    model "$2" "$3" "$4" "$5" >"$1.nde"
    if ! "$ndec" build --draft "$1.nde" -o "$1" >out 2>err; then fail "$1: build"; return; fi
    if ./"$1" check-gradient >out 2>err; then ok "$1: $(tail -n 1 out)"
    else fail "$1: $(tail -n 1 out)"; fi
}
saved=' save at' of_saved=' + mse(flow.z(at)[0], y)'
check integrals_quadrature '  regularize kinetic, weight 0.1
  regularize jacobian(e), weight 0.1
  regularize error, unbiased, at accepted, through state, weight 1
  adjoint quadrature' 1e-8 "$saved end uniform(0.05)" "$of_saved"
check dop853_interpolating '  method dop853
  adjoint interpolating seminorm' 1e-8 "$saved" "$of_saved"
check vern7_checkpoints '  method vern7
  regularize stiffness, biased, at accepted, through state, weight 1
  adjoint discrete checkpoints 3' 1e-7 "$saved" "$of_saved"
check own_steps '  method dop853
  batching sample
  regularize taylor(2), weight 0.1
  regularize error, global, weight 3' 'abs [1e-6, 1e-3] rel 1e-4' "$saved end uniform(0.05)" "$of_saved"
check reversible '  method alf
  regularize kinetic, weight 0.1
  regularize error, unbiased, weight 2
  controller pid' 'abs [1e-4, 1e-3] rel 1e-4' "$saved" "$of_saved"

# Each adjoint with each kind of sampling, and with each three quantities of a step: the error, the stiffness and one's own.
every() { # name, sampling, tolerance, solve clauses
    check "$1_$2" "  regularize error, $2, weight 1
  regularize stiffness, $2, weight 0.1
  regularize rms(k[2] - k[1]), $2, at accepted, through state, weight 0.1
$4" "$3" '' ''
}
for sampling in unbiased biased; do
    every backsolve $sampling 1e-8 '  adjoint backsolve'
    every seminorm $sampling 1e-8 '  adjoint backsolve seminorm'
    every interpolating $sampling 1e-8 '  adjoint interpolating'
    every quadrature $sampling 1e-8 '  adjoint quadrature'
    every checkpoints $sampling 1e-6 '  adjoint discrete checkpoints 3'
done
every checkpoints global 1e-6 '  adjoint discrete checkpoints 3'
for sampling in unbiased biased global; do # no stiffness: alf has no two stages at the same time
    check "alf_$sampling" "  regularize error, $sampling, weight 1
  regularize rms(k[2] - k[1]), $sampling, weight 0.1
  method alf" 1e-4 '' ''
done

# A call that hands a hundred values to its reverse.
cat >calls.nde <<END
precision f64
data x : real[2]
data y : real[2]
param p : real[2] = [0.3, -0.2]
fn ten(z : real[2]) -> real[2] {
  let a = z
  for i in 0 .. 10 {
    a = a + 0.1 * sin(a)
  }
  return a
}
fn hundred(z : real[2]) -> real[2] {
  let a = z
  for i in 0 .. 10 {
    a = ten(a)
  }
  return a
}
solve flow {
  dz        = (hundred(z + p) - z) dt
  z(0)      = x
  time      0 .. 1
  tolerance 1e-4
}
loss mse(flow.z(1), y)
train {
  data  npz("points.npz")
  batch 5
  steps 10
}
END
if "$ndec" build --draft calls.nde -o calls >out 2>err; then passes 'calls: check-gradient' ./calls check-gradient
else fail 'calls: build'; fi
