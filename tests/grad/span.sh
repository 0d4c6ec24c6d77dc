# Time spans with a learned bound: the closed form of u' = -r u and of its derivative; a learned span against the same
# one of constants, steps and quantities included; check-gradient for every kind of adjoint; training through a span of
# length 0, and what is said where a span is not finite; saved times, which have no gradient for the
# bound behind them.
. "$NDEC_ROOT/tests/case.sh"
points 'sin(i), cos(2 * i), 0.1 * i, 1.5 * sin(i), 1.5 * cos(2 * i)'
sed 3q points.csv >three.csv
train='train {
  data  csv("points.csv")
  batch 5
  steps 200
  optimizer sgd(0.05)
}'

# ---- the same span, learned and of constants: results are differences, and quantities cancel ----
pair() { # name, clauses, global quantities
    for kind in learned known; do
        span='0.3 .. 1.7' weight=-1
        [ $kind = known ] || span='A .. B' weight=1
        printf 'solve %s_%s {\n  dz = (out(hidden(z)) + sin(3 * t)) dt\n' "$1" $kind
        printf '  z(%s) = x\n  time %s\n%s\n' "${span%% *}" "$span" "$2"
        for quantity in 'integral(t * sum(z^2))' $3; do
            case $quantity in integral*) sampling= ;; *) sampling=' global,' ;; esac
            printf '  regularize %s,%s weight %s\n' "$quantity" "$sampling" $weight
        done
        printf '}\n'
    done
    printf 'output %s_learned.z(B) - %s_known.z(1.7), %s_learned.nfe - %s_known.nfe\n' "$1" "$1" "$1" "$1"
}
{
    cat <<END
$points
param A : real = 0.3
param B : real = 1.7
param first : real = 1.4
param rate : real = 1.3
layer hidden = dense(4, tanh)
layer out = dense(3)
quantity seen = t * h * rms(k[1]) + h^2
solve decay {
  du = -rate * u dt
  u(first) = 1 + 0 * y[0]
  time first .. first / 2
  tolerance 1e-10
}
output decay.u(first / 2) - exp(rate * first / 2)
END
    pair plain '  tolerance 1e-6' 'error stiffness seen'
    pair given '  step initial 0.01 max 0.1' 'error seen'
    pair fixed '  method bosh3
  step fixed 0.03' seen
    printf 'loss decay.u(first / 2) + 0.1 * sum(given_learned.z(B)^2)\n%s\n' "$train"
} >units.nde
passes 'units: build' "$ndec" build --draft units.nde -o units
passes 'units: check-gradient' ./units check-gradient
largest=$(awk '$1 == "first" { print $4 }' out)
holds "dL/d first = $largest = r/2 exp(r first / 2)" "($largest / (0.65 * exp(0.91)) - 1)^2 < 1e-6"
passes 'units: gradient' ./units gradient -o units.safetensors
reg=$(awk '/^reg/ { print $2 }' out)
holds "the quantities of both spans cancel: $reg" "($reg)^2 < 1e-20"
passes 'units: train' ./units train --out w --set train.steps=1 --set train.optimizer.rate=1e-30
for samples in three one; do # one alone: as one function
    passes "units: $samples" ./units predict --weights w/weights.safetensors -i $samples.csv -o out.csv
    awk -F, 'NR > 1 { for (i = 1; i <= NF; i++) { d = $i < 0 ? -$i : $i; if (d > m) m = d } n = NF }
             END { print n == 13 ? m : 1 }' out.csv >most
    holds "results of both spans differ by $(cat most)" "$(cat most) < 1e-9"
done
passes 'a path' ./units solve --equation decay --points 3 -o path.csv --weights w/weights.safetensors
holds 'is over the times of the model' "($(awk -F, 'NR == 3 { print $1 }' path.csv) - 1.05)^2 < 1e-20"

# ---- every adjoint, with bounds that are shared and that differ between samples ----
solve() { # name, span, clauses
    cat <<END
solve $1 {
  dz = out(hidden([z, t])) dt
  z(${2%% *}) = [x, x^2, sin(y)]
  time $2
$3
}
END
}
{
    cat <<END
$points
param T : real = 0.8
param S : real = 2
param onset : real = 0.1
param beyond : real = 1.6
const at = [0.25, 0.5, 0.7]
layer hidden = dense(2, tanh)
layer out = dense(8)
let half = 0.5 * T
let last = S + 0.2 * x[0] * T
END
    solve back 'S .. T' '  tolerance 1e-8
  adjoint backsolve
  regularize error, unbiased, through state, weight 0.1'
    solve path 'T .. 0.1 save [0.7, 0.5, 0.25]' '  tolerance 1e-8
  adjoint interpolating
  regularize kinetic, weight 0.1'
    solve area '0 .. S' '  tolerance 1e-8
  adjoint quadrature'
    solve undone '0 .. half' '  method alf
  step fixed 0.03'
    solve slots '0 .. half' '  adjoint discrete checkpoints 3
  step max 0.05'
    solve kept 'T .. 3 save [1, 3] exactly' '  tolerance 1e-8'
    solve each 'half .. last' '  batching sample
  step initial 0.02 max 0.1
  regularize error, unbiased, weight 0.1'
    solve begun 'last .. half' '  batching sample'
    cat <<END
solve begin {
  du = -1.3 * u * t dt
  u(onset) = 2 + 0 * y[0]
  time onset .. beyond save at
  tolerance 1e-10
}
loss begin.u(at)[1]
output begin.u(at) - 2 * exp(0.65 * (onset^2 - at^2))
loss mse(back.z(T)[0:2], y) + sum(path.z(0.1)^2) + sum(path.z([0.7, 0.5, 0.25])^3) + sum(area.z(S)) + sum(undone.z(half)^2) + sum(slots.z(half)^3)
loss mse(each.z(last)[0:2], y) + sum(begun.z(half)) + sum(kept.z([1, 3])^2)
$train
END
} >adjoints.nde
passes 'adjoints: build' "$ndec" build --draft adjoints.nde -o adjoints
# The derivative for `beyond` is 0 but for the tolerance, and what differences say of it is rounding of the whole loss.
passes 'adjoints: check-gradient' ./adjoints check-gradient --entries 1 --tolerance 1e-4
awk '/^(T|S|onset|hidden|out)/ { n++; if ($5 > m) m = $5 } END { print n == 7 ? m : 1 }' out >worst
holds "but for that of 'beyond': $(cat worst)" "$(cat worst) < 1e-7"
for bound in onset beyond; do awk -v name=$bound '$1 == name { print $4 }' out >largest.$bound; done
exact='1.3 * 0.1 * 2 * exp(0.65 * (0.1^2 - 0.5^2))'
holds "dL/d onset = $(cat largest.onset)" "($(cat largest.onset) / ($exact) - 1)^2 < 1e-6"
holds "dL/d beyond = $(cat largest.beyond) = 0" "$(cat largest.beyond) < 1e-8"
passes 'adjoints: train' ./adjoints train --out kept --set train.steps=1 --set train.optimizer.rate=1e-30
passes 'saved times' ./adjoints predict --weights kept/weights.safetensors -i one.csv -o saved.csv
awk -F, 'NR == 2 { for (i = 1; i <= NF; i++) m += $i * $i } END { print NF == 3 ? m : 1 }' saved.csv >most
holds "are those of the closed form: $(cat most)" "$(cat most) < 1e-16"
ends 3 'one that is outside' "save time 0.01 of 'begin' is outside of its span 0.1 .. 1.6" \
    ./adjoints gradient --set begin.save.1=0.01 -o lost.safetensors

# ---- y = 3/2 x, so the path of dz = -z leads there at T = -log(3/2): from T = 0 backwards ----
cat >turn.nde <<END
$points
param T : real = 0
solve flow {
  dz   = -z dt
  z(0) = x[0:2]
  time 0 .. T
  regularize error, unbiased, weight 1e-9
}
let far = log(T - 1) # no number
solve lost {
  dz     = -z dt
  z(far) = x
  time far .. 0
}
loss mse(flow.z(T), y)
metric T
output lost.z(0)
$train
END
passes 'turn: build' "$ndec" build --draft turn.nde -o turn
passes 'a span of length 0: check-gradient' ./turn check-gradient
passes 'turn: train' ./turn train --out turned
passes 'turn: eval' ./turn eval --weights turned/weights.safetensors
T=$(awk '$1 == "T" { print $2 }' out)
holds "T = $T" "($T + log(1.5))^2 < 1e-8"
ends 3 'a span that is not finite' "the span of 'lost' is not finite" \
    ./turn predict --weights turned/weights.safetensors -i three.csv -o lost.csv

# ---- saved times that are constants, as other parts of the span when a bound moves: methods with an interpolant, with stages of
# its own, with the cubic. No time is on the grid of fixed steps, where the interpolant has a kink ----
cat >saved.nde <<'END'
precision f64
data x : real[3]
data y : real[2]
param onset : real = -0.3
param T : real = 1.2
const at = [0.25, 0.5, 0.7]
layer hidden = dense(2, tanh)
layer out = dense(8)
solve flow {
  dz       = out(hidden([z, t])) dt
  z(onset) = [x, y, x]
  time onset .. T save at
}
loss sum(flow.z(at)^2) + mse(flow.z(T)[0:2], y)
train {
  data  csv("points.csv")
  batch 5
  steps 3
}
END
saved() { # name, words behind the times, further clauses
    sed "s/save at/&$2/; s/^  time.*/&\\n  $3/" saved.nde >"saved_$1.nde"
    "$ndec" build --draft "saved_$1.nde" -o "saved_$1" >out 2>err || fail "saved, $1: build"
    passes "saved, $1" "./saved_$1" check-gradient --entries 3
}
saved tsit5 '' 'tolerance 1e-5'
saved exactly ' exactly' 'tolerance 1e-5'
saved dop853 '' 'method dop853'
saved vern7 '' 'method vern7\n  adjoint discrete checkpoints 2'
saved alf '' 'method alf\n  tolerance 1e-3'
saved rk4 '' 'method rk4\n  step fixed 0.13\n  adjoint forward'
saved sample '' 'batching sample'
