# Exact reduction of several states in compiled programs: check-gradient for each kind of regularisation, and the first
# steps of training against the same model with --no-reduce: the same attempts of each solve, loss and regulariser to
# rounding. q and v: a position and its velocity, both reduced, q with the start of v; y: reduced, with a gate; r and e:
# integrated themselves.
. "$NDEC_ROOT/tests/case.sh"

model() { # regularize clauses, solve clauses
    cat <<END
precision f64
quantity bend = h * rms(k[stages] - k[1]) + 0.1 * rms(stage[2] - u0)

data x : real[3]
data y : real[2]
sample noise : real[3] ~ normal()
param k : real = 0.4

layer lift   = dense(32)
layer first  = dense(3, tanh)
layer second = dense(2, softplus)
layer force  = dense(32)
layer drift  = dense(24)
solve flow {
  let a = first([q, v, t])
  let b = second([a, p, r])
  dq   = v dt
  dv   = (force([a, b]) - k * v) / (1 + e^2) dt
  dp   = sigmoid(e) * drift([b, t]) dt
  dr   = (y - k * r * b) dt
  de   = -e * r[0] dt
  q(0) = lift(x + 0.1 * noise)
  v(0) = 0.3 * sin(lift(x))
  p(0) = zeros(24)
  r(0) = y
  e(0) = x[0]
  time 0 .. 1.5 save [0.4, 1]
  tolerance abs 1e-4 rel 1e-3
$2
$1
}
layer answer = dense(2)
loss mse(answer(flow.q(1.5)), y) + mse(flow.r([0.4, 1]), ones(2, 2)) + 0.1 * rms(flow.q([0.4, 1])) + rms(flow.p(1.5))
train {
  data  csv("points.csv")
  batch 5
  steps 3
  optimizer adam(0.01)
}
END
}

points 'sin(i), cos(2 * i), sin(3 * i + 1), cos(i), 0.5 * sin(5 * i)' 20
# The numbers of a training log as step, loss, reg, nfe, accepted, rejected.
numbers() { sed -n 's/^{"step":\([0-9]*\),"loss":\([^,]*\),"reg":\([^,]*\),"nfe":\([^,]*\),"accepted":\([^,]*\),"rejected":\([^,]*\),.*/\1 \2 \3 \4 \5 \6/p' "$1"; }

# The same attempts of each solve, loss and regulariser to rounding, in three steps.
alike() { # what, log, log, limit
    far=$(paste -d ' ' "$2" "$3" | awk 'function far(a, b) { d = a - b; return (d < 0 ? -d : d) / (b < 0 ? -b : b > 1e-9 ? b : 1) }
               { for (i = 2; i <= 3; i++) if (far($i, $(i + 6)) > m) m = far($i, $(i + 6))
                 if ($4 != $10 || $5 != $11 || $6 != $12) m = 1 } END { print NR == 3 ? m + 0 : 1 }')
    holds "$1: the same training (to $far)" "$far < $4"
}

check() { # name, regularize clauses, solve clauses, arguments
    model "$2" "$3" >"$1.nde"
    if ! "$ndec" build --draft "$1.nde" -o "$1" >out 2>err; then fail "$1: build"; return; fi
    if ! "$ndec" build --draft --no-reduce "$1.nde" -o "$1_plain" >out 2>err; then fail "$1: build --no-reduce"; return; fi
    for form in "$1" "$1_plain"; do
        "./$form" train --out "$form.run" >out 2>err || fail "$form: train"
        numbers "$form.run/log.jsonl" >"$form.log"
    done
    alike "$1, with and without reduction" "$1.log" "$1_plain.log" 1e-8
    # shellcheck disable=SC2086
    if ./"$1" check-gradient ${4:-} >out 2>err; then ok "$1: $(tail -n 1 out)"
    else fail "$1: $(tail -n 1 out)"; fi
}
check unbiased '  regularize error, unbiased, weight exponential(3, 0.5)
  regularize bend, unbiased(2), through state, at accepted, weight 0.1
  regularize error, global(max)' ''
check biased '  regularize stiffness, biased, weight 0.01
  regularize error2, biased, hold slope, weight 0.1
  regularize error2, global(mean)' '  method dopri5
  controller sciml'
check fixed_steps '  regularize rms(k[2] - k[1]), unbiased, weight 2
  regularize bend, global
  regularize kinetic of p, weight 0.1
  regularize integral(sum(b * y)^2)' '  method rk4
  step fixed 0.11'

# A trajectory names and gives the states as written.
for form in unbiased unbiased_plain; do
    "./$form" solve --weights unbiased.run/weights.safetensors --sample 3 --points 6 -o "$form.csv" >out 2>err || fail "$form: solve"
done
far=$(paste -d , unbiased.csv unbiased_plain.csv | awk -F, 'NR == 1 { for (i = 1; i <= NF / 2; i++) if ($i != $(i + NF / 2)) m = 1 }
    NR > 1 { for (i = 1; i <= NF / 2; i++) { d = $i - $(i + NF / 2); if (d < 0) d = -d; if (d > m) m = d } } END { print m + 0 }')
holds "the same trajectory of all states without reduction (to $far)" \
    "$far < 1e-9 && $(wc -l <unbiased.csv) == 7 && $(head -n 1 unbiased.csv | tr , '\n' | wc -l) == 92"

"$ndec" explain unbiased.nde >out 2>err || fail explain
for line in 'q: reduced from 32 numbers to 7' 'v: reduced from 32 numbers to 7' 'p: reduced from 24 numbers to 4' 'r: integrated itself: its right-hand side is not' \
    'e: integrated itself: it is not a vector'; do
    if grep -q "^    $line" out; then ok "explain says '$line'"
    else fail "explain does not say '$line'"; fi
done

# A field that is integrated itself, of vectors joined from what differs from sample to sample and what does not: large
# weights are split for them. It trains like the same field whose products are written apart.
joined() { # weights and vector of the first layer, of the second
    cat <<END
precision f64
data x : real[2]
data y : real[3]
layer lift = dense(60)
param W : real[70, 120] = normal(0.1)
param V : real[60, 142] = normal(0.1)
param b : real[70] = normal(0.1)
param c : real[60] = normal(0.1)
param s : real[56] = normal(0.5)
fn field(z : real[60], x : real[2], s : real[56], t : real) -> real[60] {
  let a = tanh($1 + b)
  return $2 + c
}
solve flow {
  dz   = field(z, x, s, t) dt
  z(0) = lift(x)
  time 0 .. 1
  regularize error, unbiased, at accepted, weight 1
}
loss mse(flow.z(1)[0:3], y) + 0.01 * mse(flow.z(1), zeros(60))
train {
  data  csv("points.csv")
  batch 5
  steps 3
  optimizer adam(0.01)
}
END
}
joined 'W @ [s, t, z, x, 2 * t]' 'V @ [a, t, a, sin(t)]' >whole.nde
joined 'W[:, 0:56] @ s + W[:, 56] * t + W[:, 57:117] @ z + W[:, 117:119] @ x + W[:, 119] * (2 * t)' \
    'V[:, 0:70] @ a + V[:, 70] * t + V[:, 71:141] @ a + V[:, 141] * sin(t)' >apart.nde
for form in whole apart; do
    passes "$form: build" "$ndec" build --draft $form.nde -o $form
    passes "$form: train" "./$form" train --out $form.run
    numbers $form.run/log.jsonl >$form.log
done
alike 'joined vectors, written so and apart' whole.log apart.log 1e-9
passes 'joined vectors: check-gradient' ./whole check-gradient
"$ndec" explain whole.nde >out 2>err || fail explain
if grep -q 'z: integrated itself' out; then ok 'is not reduced'; else fail 'is reduced, and no test of this'; fi
"$ndec" emit whole.nde -o emitted >out 2>err || fail 'emit whole'
sed -n '/^static void part_flow_step_[a-z0-9_]*tile/,/^}/p' emitted/whole.c >step.c
holds 'joined vectors: nothing shared is put into those of samples at a stage' \
    "$(grep -c '[pw]_mm_nn(' step.c) > 0 && $(grep -c 'w_put(' step.c) == 0"
