# Adjoint systems: check-gradient for each, with local terms and an integral. Their gradient is that of the equation, which
# they solve to the tolerance, and not that of the steps that were taken: it differs from differences by some times the
# tolerance. So what is asked is 100 times the tolerance, at 1e-7; and that the difference falls with the tolerance, by its
# power 1. A program holds two solves with weights of their own; the rows of its table tell them apart.
. "$NDEC_ROOT/tests/case.sh"
points 'sin(i), cos(2 * i), 0.1 * i, sin(3 * i), cos(i)'

# A state that is reduced and one that is not, an argument of each sample that depends on a parameter, saved times.
one() { # letter, adjoint, span, regularize clauses
    cat <<END
layer first_$1 = dense(2, tanh)
layer out_$1   = dense(8)
layer drive_$1 = dense(1)
param pull_$1 : real = 0.3
solve flow_$1 {
  let w = drive_$1(x)[0]
  let a = first_$1([z, v, t])
  dz   = out_$1(a) dt
  dv   = (w * sin(t) - v * a[0]) dt
  z(${3%% *}) = [x, x^2, sin(y)]
  v(${3%% *}) = pull_$1 + x[0]
  time $3 save at_$1
  tolerance 1e-7
  adjoint $2
$4
}
loss mse(flow_$1.v(${3##* }), y[0]) + 0.1 * sum(flow_$1.z(${3##* })^2) + 0.3 * sum(flow_$1.z(at_$1)^2)
END
}
# check FIRST ADJOINT SECOND ADJOINT SAMPLING
check() {
    name=$1_$3
    {
        printf 'precision f64\nconst at_%s = [0, 0.3, 0.7]\nconst at_%s = [0.8, 0.5]\n' "$1" "$3"
        printf 'quantity bend = h * rms(k[stages] - k[1])\ndata x : real[3]\ndata y : real[2]\n'
        one "$1" "$2" '0 .. 1' "  regularize error, $5
  regularize bend, $5(2), through state, weight 0.1
  regularize kinetic of z, weight 0.1"
        one "$3" "$4" '1 .. 0.2' "  regularize stiffness, $5, weight 0.01
  method dopri5"
        printf 'train {\n  data csv("points.csv")\n  batch 5\n  steps 3\n}\n'
    } >"$name.nde"
    "$ndec" build --draft "$name.nde" -o "$name" >out 2>err || fail "$name: build"
    ./"$name" check-gradient --entries 1 >out 2>err || fail "$name: check-gradient"
    for which in "$1" "$3"; do
        holds "$which, $5: $(worst "$which")" "$(worst "$which") < 1e-5"
    done
    for tolerance in 1e-4 1e-10; do
        ./"$name" check-gradient --entries 1 --tolerance "$(awk "BEGIN { print 100 * $tolerance }")" \
            --set "flow_$1.tolerance=$tolerance" --set "flow_$3.tolerance=$tolerance" >out 2>err || fail "$name: tolerance $tolerance"
        for which in "$1" "$3"; do worst "$which" >"$which.$tolerance"; done
    done
    for which in "$1" "$3"; do
        slope=$(awk "BEGIN { print log($(cat "$which.1e-4") / $(cat "$which.1e-10")) / log(1e6) }")
        holds "$which: the difference falls by the power $slope of the tolerance" "$slope > 0.75 && $slope < 1.3"
    done
}
# worst ADJOINT: the largest error in the rows of its parameters
worst() { awk -v name="_$1" 'index($1, name) { n++; if ($5 > m) m = $5 } END { print n == 7 ? m : 1 }' out; }

check backsolve backsolve interpolating 'interpolating' unbiased
check seminorm 'backsolve seminorm' quadrature quadrature biased

# A tolerance for each component: of a state that is reduced, where it is, and of one that is a thousand times as large.
cat >vector.nde <<'END'
precision f64
data x : real[3]
data y : real[2]
const at = [0.3, 0.7]
layer first = dense(2, tanh)
layer out   = dense(8)
param pull : real = 0.3
solve flow {
  let a = first([z, w / 1000, t])
  dz   = out(a) dt
  dw   = (1000 * pull * a - w * sin(t)) dt
  z(0) = [x, x^2, sin(y)]
  w(0) = 1000 * y
  time 0 .. 1 save at
  tolerance abs [1e-7, 2e-7, 1e-7, 1e-7, 1e-7, 1e-7, 1e-7, 1e-7, 1e-4, 2e-4] rel [1e-7, 1e-7, 1e-7, 1e-7, 1e-7, 1e-7, 1e-7, 1e-7, 1e-7, 2e-7]
  regularize integral(sum((w / 1000)^2)), weight 0.1
}
loss sum(flow.w(1)) / 1000 + mse(flow.z(1)[:2], y) + sum((flow.w(at) / 1000)^2) + 0.1 * sum(flow.z(at))
train {
  data csv("points.csv")
  batch 5
  steps 3
}
END
# entries FACTOR: settings that make all tolerances of vector.nde so many times what they are
entries() {
    awk -v f="$1" 'BEGIN { for (i = 1; i <= 10; i++)
        printf "--set flow.tolerance.abs.%d=%g --set flow.tolerance.rel.%d=%g ", i, f * (i < 9 ? 1e-7 : 1e-4) * (i == 2 || i == 10 ? 2 : 1), i, f * (i == 10 ? 2e-7 : 1e-7) }'
}
for adjoint in backsolve 'backsolve seminorm' interpolating 'interpolating seminorm' quadrature; do
    name=vector_$(echo "$adjoint" | tr ' ' _)
    "$ndec" build --draft --adjoint "$adjoint" vector.nde -o "$name" >out 2>err || fail "$name: build"
    for factor in 1000 1 0.001; do
        # shellcheck disable=SC2046
        ./"$name" check-gradient --entries 1 --tolerance 0.1 $(entries $factor) >"$name.$factor" 2>err || fail "$name: factor $factor"
        awk '/^(pull|first|out)/ { n++; if ($5 > m) m = $5 } END { print n == 5 ? m : 1 }' "$name.$factor" >worst
        mv worst "$name.$factor"
    done
    slope=$(awk "BEGIN { print log($(cat "$name.1000") / $(cat "$name.0.001")) / log(1e6) }")
    holds "$name: $(cat "$name.1"), falls by the power $slope" "$(cat "$name.1") < 1e-5 && $slope > 0.75 && $slope < 1.3"
done

# A path that is unstable backwards: the backsolve leaves it and says so, once; the interpolating adjoint is right.
for adjoint in backsolve interpolating; do
    cat >decay.nde <<END
precision f64
data x : real[3]
data y : real[2]
param rate : real = 25
solve flow {
  dz   = -rate * z dt
  z(0) = x
  time 0 .. 1 save 0.1
  tolerance 1e-8
  adjoint $adjoint
}
loss sum(flow.z(1)) + y[0] * sum(flow.z([0.1]))
train {
  data csv("points.csv")
  batch 5
  steps 3
}
END
    "$ndec" build --draft decay.nde -o $adjoint >out 2>err || fail "decay: build"
done
passes 'training by backsolve' ./backsolve train --out drifts
holds 'it says once that it drifts' "$(grep -c 'backsolve of .flow. ends .*interpolating' out) == 1"
holds 'and logs how far' "$(grep -c '"drift":[0-9.e+]*' drifts/log.jsonl) == 3"
ends 3 'its gradient is wrong, and the message knows why' 'differs from differences.*adjoint system' ./backsolve check-gradient --tolerance 0.1
passes 'interpolating follows the path' ./interpolating check-gradient --tolerance 1e-4

# Entries that are all the same are one number, to the bit, in the distance from the path too.
sed 's/interpolating/backsolve/' decay.nde >scalar.nde
sed 's/tolerance 1e-8/tolerance abs [1e-8, 1e-8, 1e-8] rel [1e-8, 1e-8, 1e-8]/' scalar.nde >entries.nde
for name in scalar entries; do
    "$ndec" build --draft $name.nde -o $name >out 2>err || fail "$name: build"
    ./$name gradient -o $name.safetensors >$name.out 2>err || fail "$name: gradient"
done
holds 'the log of one tolerance has a drift' "$(grep -c '^drift [1-9]' scalar.out) == 1"
same 'so has that of equal entries' scalar.out entries.out
