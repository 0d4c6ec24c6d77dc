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

# `hold slope` with the error of each sample: near k_1 the stages cancel in it, so seen from a parameter it is a kink of width
# h, where no width of differences is right. So the term is written by hand, with k_1 behind stop_gradient, and taken off: what
# is left of the gradient, as part of that of a second term, is rounding, which cancels more digits the smaller h is.
awk 'BEGIN { for (i = 0; i < 240; i++) printf "%s%s", sin(i * i), i % 24 == 23 ? "\n" : "," }' >24.csv
cut -d , -f 1-6 24.csv >6.csv
held() { # components, step size
    cat <<END
precision f64
data x : real[$1]
const h = $2
fn field(z : real[$1]) -> real[$1] {
  layer hidden = dense(3, tanh)
  layer out    = dense($1)
  return out(hidden(z))
}
fn bosh3_error(k1 : real[$1], u : real[$1]) -> real {
  let k2  = field(u + h / 2 * k1)
  let k3  = field(u + 3 / 4 * h * k2)
  let u1  = u + h * (2 / 9 * k1 + 1 / 3 * k2 + 4 / 9 * k3)
  let err = h * (-5 / 72 * k1 + 1 / 12 * k2 + 1 / 9 * k3 - 1 / 8 * field(u1))
  return h * rms(err / (1e-4 + 1e-3 * max(abs(u), abs(u1))))
}
solve flow {
  dz   = field(z) dt
  z(0) = x
  time 0 .. h
  method bosh3
  tolerance abs 1e-4 rel 1e-3
  step fixed h
  batching sample
  regularize error, biased, at accepted, hold slope, weight 1
}
loss -bosh3_error(stop_gradient(field(x)), x)
train {
  data  csv("$1.csv")
  batch 8
  steps 1
}
END
}
# The largest entry of the gradient.
largest() { awk '$1 ~ /^field/ { n++; if ($4 > m) m = $4 } END { print n == 4 ? m : "no" }' "$1"; }
for n in 6 24; do # 24: reduced, and for the term not
    for h in 1 0.01; do
        name=held_${n}_$h
        held $n $h >"$name.nde"
        "$ndec" build --draft "$name.nde" -o "$name" >out 2>err || fail "$name: build"
        for weight in 1 2; do # what is left is no gradient, and no difference is like it
            ./"$name" check-gradient --entries 1 --set flow.regularize.weight=$weight >"$name.$weight" 2>err
        done
        left=$(largest "$name.1") all=$(largest "$name.2")
        holds "$name: $left of $all is left" "$all > 1e-4 && $left < (1e-13 / $h ^ 3) * $all"
    done
done
