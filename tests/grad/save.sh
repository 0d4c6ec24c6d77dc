# Saved times that are parameters or made of them: the closed form of u' = -r u for every adjoint; check-gradient, whose
# differences move the times over the steps that were taken, at tolerances where an interpolant is far from the
# solution; times of each sample, in a learned span, at ends of steps and of the span; what is said of times that leave
# the span; training that finds times.
. "$NDEC_ROOT/tests/case.sh"
points 'sin(i), cos(2 * i), 0.1 * i, 1.5 * sin(i), 1.5 * cos(2 * i)'
train='train {
  data  csv("points.csv")
  batch 5
  steps 1
  optimizer sgd(0.001)
}'

# ---- u = 2 exp(-r t): of u(t1) - 3 u(t2), d/dt = -r (u(t1), -3 u(t2)), read off the step that it makes ----
closed() { # name, clauses, exactly, tolerance, times
    cat <<END
const first_$1 = ${5:-[0.3, 0.8]}
param at_$1 : real[2] = first_$1
param rate_$1 : real = 1.3
solve $1 {
  du   = -rate_$1 * u dt
  u(0) = 2 + 0 * y[0]
  time 0 .. 1 save at_$1 $3
  tolerance ${4:-1e-10}
$2
}
loss $1.u(at_$1)[0] - 3 * $1.u(at_$1)[1]
output 1000 * (at_$1 - first_$1) - 2.6 * exp(-1.3 * first_$1) * [1, -3], $1.u(at_$1) - 2 * exp(-rate_$1 * at_$1)
END
}
{
    printf '%s\n' "$points"
    closed discrete '  adjoint discrete'
    closed turned '' '' '' '[0.8, 0.3]'
    closed slots '  adjoint discrete checkpoints 4'
    closed bytes '  memory 512 KiB'
    closed back '  adjoint backsolve'
    closed path '  adjoint interpolating'
    closed area '  adjoint quadrature'
    closed forth '  adjoint forward'
    closed each '  batching sample'
    closed both '  batching sample
  adjoint forward'
    closed stops '' exactly
    closed undone '  method alf' '' 1e-6
    printf 'output x[0]\n%s\n' "$train"
} >closed.nde
passes 'closed form: build' "$ndec" build --draft closed.nde -o closed
passes 'closed form: check-gradient' ./closed check-gradient
passes 'closed form: a step' ./closed train --out w
passes 'closed form: predict' ./closed predict --weights w/weights.safetensors -i one.csv -o out.csv
awk -F, 'NR > 1 { for (i = 1; i <= NF; i++) { d = $i < 0 ? -$i : $i; if (i > 44 && i < 49) { if (d > u) u = d } else if (d > m) m = d }
                  print NF == 49 ? m : 1, NF == 49 ? u : 1 }' out.csv >most
read -r most undone <most
holds "gradients of times, and states there, are off by $most" "$most < 5e-8"
holds "with 'adjoint reversible' by $undone" "$undone < 5e-5"

# ---- states of many kinds, terms, integrals, both directions, the ends of the span, spans that are learned ----
solve() { # name, times, clauses, start, end
    cat <<END
layer hidden_$1 = dense(2, tanh)
layer out_$1 = dense(8)
solve $1 {
  let w = gap(x)[0]
  let a = hidden_$1([z, v, t])
  dz   = out_$1(a) dt
  dv   = (w * sin(t) - v * a[0]) dt
  z(${4:-0}) = [x, x^2, sin(y)]
  v(${4:-0}) = pull + x[0]
  time ${4:-0} .. ${5:-1} save $2
  tolerance 1e-3
$3
}
loss mse($1.v(${5:-1}), y[0]) + 0.1 * sum($1.z(${2%% [ec]*})) + sum($1.v(${2%% [ec]*})^2)
END
}
{
    cat <<END
$points
param pull : real = 0.3
param first : real = 0.15
param T : real = 1.1
param scale : real[3] = [0.2, 0.3, 0.1]
layer gap = dense(3)
fn sums(d : real[3]) -> real[3] {
  return [d[0], d[0] + d[1], d[0] + d[1] + d[2]]
}
let shared = sums(scale)
let each = sums(0.3 * sigmoid(gap(x)))
let down = 1 - shared
let two = [each[0:2], -99 * scale[0]]
let twice = [0, 0, each[0], each[0], 1]
let number = 2 + 0 * x[0]
let onset = 0.05 * first * (1 + 0.2 * x[0])
let last = T + 0.1 * x[1]
END
    solve one shared '  method bosh3
  regularize error, unbiased, through state, weight 0.1
  regularize kinetic of z, weight 0.1'
    solve drawn '[first, 0.5, 2 * first]' '  adjoint discrete checkpoints 3
  step max 0.1
  regularize error, biased(2), at accepted, weight 0.1
  regularize error, global(mean), weight 0.2'
    solve own each '  batching sample
  regularize error, unbiased, through state, weight 0.1
  regularize error, global(mean), weight 0.2
  regularize kinetic of z, weight 0.1'
    solve some 'two count number' '  batching sample'
    solve same twice '  batching sample'
    solve both shared '  batching sample
  method heun
  regularize error, biased, at accepted, weight 0.1'
    solve back down '  method bosh3' 1 0
    solve ends '[0, first, 1]' ''
    solve forth shared '  adjoint forward'
    solve alone each '  adjoint forward
  batching sample'
    solve span shared '  regularize error, unbiased, through state, weight 0.1' first-0.05 T
    solve spans 'shared exactly' '  step max 0.2' first-0.05 T
    solve mine 'each count number' '  batching sample' onset last
    solve known '[0.25,0.5] exactly' '  batching sample' onset last
    solve stop 'shared exactly' ''
    solve stops 'each exactly' '  batching sample'
    solve undone shared '  method reversible_heun
  regularize error, unbiased, weight 0.1'
    echo "$train"
} >kinds.nde
passes 'kinds: build' "$ndec" build --draft kinds.nde -o kinds
passes 'kinds: check-gradient' ./kinds check-gradient --entries 2

# ---- adjoints of the equation: the same rate beside a gradient of the states that is close ----
{
    printf '%s\nparam when : real[2] = [0.3, 0.7]\nlayer gap = dense(1)\nparam pull : real = 0.3\n' "$points"
    for adjoint in backsolve interpolating quadrature; do
        solve $adjoint when "  adjoint $adjoint
  tolerance 1e-8" | sed '/1e-3$/d'
    done
    echo "$train"
} >equation.nde
passes 'adjoints of the equation: build' "$ndec" build --draft equation.nde -o equation
passes 'adjoints of the equation: check-gradient' ./equation check-gradient --entries 2 --tolerance 1e-6

# ---- times that leave the span ----
leaves() { # times, clauses
    cat <<END
data x : real
param when : real[2] = $1
solve flow {
  dz   = -z dt
  z(0) = x
  time 0 .. 1 save when
$2
}
loss sum(flow.z(when))
train {
  data  csv("column.csv")
  steps 3
}
END
}
cut -d, -f1 points.csv >column.csv
leaves '[0.5, 1.25]' '' >beyond.nde
leaves '[0.5, 0.25]' '  batching sample' >order.nde
leaves '[0.05, 0.1]' '' | sed 's/0 .. 1/0 .. 0.1/' >rounded.nde # 0.1 as a float32 is more
for name in beyond order rounded; do
    passes "$name: build" "$ndec" build --draft $name.nde -o $name
done
ends 3 'a time outside of the span' "save time 1.25 of 'flow' is outside of its span 0 .. 1" ./beyond train
ends 3 'times that go back' "entry 1 of the save times of 'flow' is 0.25, but the one before it is 0.5" ./order train
passes 'a time that is the end but for rounding' ./rounded gradient -o rounded.safetensors

# ---- where exp(-t) is seen: in float32, from far away ----
cat >found.nde <<END
data x : real
param when : real[2] = [0.5, 0.5]
solve flow {
  du   = -u dt
  u(0) = 1 + 0 * x
  time 0 .. 2 save when
}
loss sum((flow.u(when) - exp(-[0.25, 1.5]))^2)
output when, x
train {
  data  csv("column.csv")
  steps 400
  optimizer adam(0.02)
}
END
sed 's/time .*/&\n  batching sample/' found.nde >found_each.nde
for name in found found_each; do
    passes "$name: build" "$ndec" build --draft $name.nde -o $name
    passes "$name: train" ./$name train --out $name.run
    passes "$name: predict" ./$name predict --weights $name.run/weights.safetensors -i column.csv -o $name.csv
    awk -F, 'NR == 2 { print ($1 - 0.25)^2 + ($2 - 1.5)^2 }' $name.csv >off
    holds "$name: square of the error of the times: $(cat off)" "$(cat off) < 1e-6"
done
