# check-gradient: the compiled gradient of a model's own loss, with its regulariser, against finite differences in float64,
# to 1e-6. A small field with two states and a second solve after the first; one program for each kind of term.
. "$NDEC_ROOT/tests/case.sh"

model() { # regularize clauses, solve clauses
    cat <<END
precision f64
quantity bend = h * rms(k[stages] - k[1]) + 0.1 * rms(stage[2] - u0)

data x : real[3]
data y : real[2]
sample noise : real[3] ~ normal()

fn field(z : real[3], v : real[2], t : real) -> real[3] {
  layer hidden = dense(7, tanh)
  layer out    = dense(3)
  return out(hidden([z, v, t]))
}
fn force(z : real[3], v : real[2]) -> real[2] {
  layer out = dense(2, softplus)
  return out([z, v]) - v
}

solve flow {
  dz   = field(z, v, t) dt
  dv   = force(z, v) dt
  z(0) = x + 0.1 * noise
  v(0) = [x[0], 0.5]
  time 0 .. 1.5
  tolerance abs 1e-4 rel 1e-3
$2
$1
}
param pull : real = 0.3
solve after {
  du   = -pull * u^3 dt
  u(0) = flow.v(1.5) + y
  time 0 .. 1
  method bosh3
}
loss mse(after.u(1), y) + 0.1 * sum(flow.z(1.5)^2)
train {
  data  npz("points.npz")
  batch 5
  steps 100
  optimizer adam(0.01)
}
END
}

check() { # name, regularize clauses, solve clauses, arguments
    model "$2" "$3" >"$1.nde"
    if ! "$ndec" build --draft "$1.nde" -o "$1" >out 2>err; then fail "$1: build"; return; fi
    # shellcheck disable=SC2086
    if ./"$1" check-gradient ${4:-} >out 2>err; then ok "$1: $(tail -n 1 out)"
    else fail "$1: $(tail -n 1 out)"; fi
}
i=0
for quantity in error stiffness bend; do
    for sampling in unbiased biased global 'unbiased, through state' 'biased, through state' 'unbiased, at accepted' \
        'unbiased(3), through state, at accepted' 'global(mean)' 'global(max)'; do
        i=$((i + 1))
        # Not each quantity needs each way of sampling again.
        [ "$quantity" = error ] || case $sampling in *accepted* | *mean*) continue ;; esac
        name=$(echo "${quantity}_$sampling" | sed 's/[^a-z0-9]\{1,\}/_/g; s/_$//')
        check "$name" "  regularize $quantity, $sampling, weight exponential(3, 0.5)" ''
    done
done
check two_terms "  regularize error, unbiased, weight 2
  regularize stiffness, biased(2), through state, weight 0.1
  regularize error, unbiased, weight 1
  regularize error2, global, weight 0.01" ''
check backwards '  regularize error, unbiased, weight 2' '  method dopri5
  controller sciml'
check user_expression '  regularize rms(scaled(err)) * rms(u1 - u0), unbiased, weight 2' '  method bosh3'
check fixed_steps '  regularize rms(k[2] - k[1]), unbiased, weight 2' '  method rk4
  step fixed 0.11'
check without '' '  step initial 0.02 max 0.2'
