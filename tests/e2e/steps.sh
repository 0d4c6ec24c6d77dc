# Spans, saved times, step sizes and tolerances in every combination, against u = x exp(sin t - sin t0), the solution of
# u' = u cos t, for one sample (the latency form) and for several.
. "$NDEC_ROOT/tests/case.sh"
printf '1,0.5\n-2,3\n0.1,7\n' >three.csv
echo '1,0.5' >one.csv

solve() { # name, start, end, saved times and how, further clauses
    cat <<END
solve $1 {
  du    = cos(t) * u dt
  u($2) = x
  time $2 .. $3 save $4
$5
}
output $1.u(${4%% *}), $1.u($3), $1.steps
END
}
cat >spans.nde <<END
precision f64
data x : real[2]
const up   = [0, 0.25, 0.9, 1.3, 2]
const down = [2, 1.3, 0.9, 0.25, 0]
$(solve up_inside 0 2 up '  tolerance 1e-8')
$(solve down_inside 2 0 down '  tolerance 1e-8')
$(solve down_exactly 2 0 'down exactly' '  tolerance 1e-8
  controller h211b')
$(solve down_fixed 2 0 down '  method rk4
  step fixed 0.01')
$(solve down_fixed_exactly 2 0 'down exactly' '  method rk4
  step fixed 0.03')
$(solve up_fixed_exactly 0 2 'up exactly' '  method alf
  step fixed 0.001')
$(solve down_undone 2 0 'down' '  method reversible_heun
  tolerance 1e-7
  controller pid(0.2, 0.4, 0)')
$(solve bounded 2 0 'down' '  tolerance 1e-4
  step initial 0.02 min 0.015 max 0.11')
$(solve bounded_exactly 0 2 'up exactly' '  tolerance 1e-6
  controller h312b
  step min 0.01 max 0.07')
END
if "$ndec" build spans.nde -o spans >out 2>err; then ok 'spans: build'; else fail 'spans: build'; fi
# Each solve gives 5 times 2 numbers, those at the end, and how many steps.
check() { # samples
    ./spans predict -i "$1.csv" -o result.csv >out 2>err || fail "spans: predict $1"
    i=0
    for name in up_inside down_inside down_exactly down_fixed down_fixed_exactly up_fixed_exactly down_undone bounded \
        bounded_exactly; do
        far=$(tail -n +2 result.csv | paste -d, "$1.csv" - | awk -F, -v from=$((3 + 13 * i)) -v name=$name '
            BEGIN { split(name ~ /^down|^bounded$/ ? "2 1.3 0.9 0.25 0 0" : "0 0.25 0.9 1.3 2 2", t, " ") }
            { for (k = 0; k < 12; k++) { exact = $(1 + k % 2) * exp(sin(t[1 + int(k / 2)]) - sin(t[1]))
                d = $(from + k) / exact - 1; d = d < 0 ? -d : d; far = d > far ? d : far } }
            END { print far, $(from + 12) }')
        case $name in
        up_fixed_exactly) most=1e-6 steps=2000 ;;
        down_undone) most=1e-4 steps= ;;
        bounded) most=1e-4 steps= ;;
        bounded_exactly) most=1e-6 steps= ;;
        down_fixed) most=1e-8 steps=200 ;;
        down_fixed_exactly) most=1e-7 steps=70 ;;
        *) most=1e-6 steps= ;;
        esac
        holds "$1, $name: off by ${far% *} after ${far#* } steps" "${far% *} < $most && ${far#* } == ${steps:-${far#* }}"
        i=$((i + 1))
    done
}
check one
check three

# Steps within their bounds, but for the last and those that end at a saved time; the last are found by their ends.
sizes() { # equation, least, most, stops
    ./spans solve --equation "$1" -i one.csv -o path.csv >out 2>err || fail "$1: solve"
    bad=$(awk -F, -v least="$2" -v most="$3" -v stops="$4" 'NR > 2 { h = $1 - t; h = h < 0 ? -h : h
        if (h > most * 1.0001 || (h < least * 0.9999 && index(" " stops " ", " " $1 + 0 " ") == 0)) print NR, h }
        NR > 1 { t = $1 }' path.csv | head -n 3 | tr '\n' ';')
    holds "$1: $(($(wc -l <path.csv) - 2)) steps in $2 .. $3 $bad" "\"$bad\" == \"\""
}
sizes bounded 0.015 0.11 '0'
sizes bounded_exactly 0.01 0.07 '0.25 0.9 1.3 2'
ends 3 'a limit that is reached' 'the limit of steps was reached' ./spans predict -i three.csv --set down_inside.step.limit=5
ends 3 'a limit that is reached, one sample' 'down_inside.*the limit of steps was reached' \
    ./spans predict -i one.csv --set down_inside.step.limit=5
ends 3 'a least step that is too long' 'bounded.*a smaller step than the step clause allows' \
    ./spans predict -i three.csv --set bounded.step.min=0.1 --set bounded.tolerance=1e-12 --set bounded.step.initial=0.1
./spans predict -i three.csv -o a.csv >out 2>err
./spans predict -i three.csv -o b.csv --set down_undone.controller.i=0.2 >out 2>err
if cmp -s a.csv b.csv; then fail 'a gain is a setting'; else ok 'a gain is a setting'; fi

# Tolerances of components: equal ones give what one number gives, in float32 from differences and in a reduced form.
components() { # name, tolerances
    cat <<END
solve $1 {
  dz   = field(z, t) dt
  dv   = -v * z[0:2] dt
  z(0) = [x, x, x, x, x, x]
  v(0) = x
  time 0 .. 1
  tolerance $2
}
output $1.z(1), $1.v(1), $1.steps
END
}
cat >components.nde <<END
data x : real[2]
fn field(z : real[12], t : real) -> real[12] {
  layer hidden = dense(3, tanh)
  layer out    = dense(12)
  return out(hidden([z, t]))
}
solve wide {
  dz   = field(z, t) dt
  z(0) = [x, x, x, x, x, x]
  time 0 .. 1
  tolerance abs 1e-5 rel 1e-7
}
solve wide_each {
  dz   = field(z, t) dt
  z(0) = [x, x, x, x, x, x]
  time 0 .. 1
  tolerance abs 1e-5 * ones(12) rel 1e-7 * ones(12)
}
output wide.z(1), wide.steps
output wide_each.z(1), wide_each.steps
$(components two 'abs 1e-4 rel 2e-7')
$(components two_each 'abs 1e-4 * ones(14) rel 2e-7')
$(components two_fine 'abs [1e-4 * ones(12), 1e-8, 1e-4] rel 2e-7')
END
if "$ndec" build components.nde -o components >out 2>err; then ok 'components: build'; else fail 'components: build'; fi
"$ndec" explain components.nde >out 2>err
holds 'components: a reduced solve' "$(grep -c 'z: reduced from 12' out) >= 2"
for samples in one three; do # 13 columns of each wide solve, 15 of each of two states
    ./components predict -i $samples.csv -o result.csv >out 2>err || fail "components: predict $samples"
    cut -d, -f 1-13 result.csv | tail -n +2 >scalar
    cut -d, -f 14-26 result.csv | tail -n +2 >vector
    same "components, $samples: one number and equal ones, reduced, from differences" scalar vector
    cut -d, -f 27-41 result.csv | tail -n +2 >scalar
    cut -d, -f 42-56 result.csv | tail -n +2 >vector
    cut -d, -f 57-71 result.csv | tail -n +2 >fine
    same "components, $samples: one number and equal ones, two states" scalar vector
    steps=$(paste -d, vector fine | awk -F, '{ print ($30 > $15); exit }')
    holds "components, $samples: one fine entry takes more steps" "$steps == 1"
    ./components predict -i $samples.csv -o coarse.csv --set two_fine.tolerance.abs.13=1e-4 >out 2>err
    cut -d, -f 57-71 coarse.csv | tail -n +2 >coarse
    same "components, $samples: an entry is a setting" scalar coarse
done

# In float32 error estimates come from differences where rounding would keep a step from doubling: below 2^order epsilon,
# 9.5e-7 for order 3, 3.8e-6 for order 5, 3.05e-5 for order 8.
fine() { # method, tolerance
    cat <<END
data x : real[3]
fn field(z : real[3], t : real) -> real[3] {
  layer hidden = dense(20, tanh)
  layer out    = dense(3)
  return out(hidden([z, t]))
}
solve flow {
  dz   = field(z, t) dt
  z(0) = x
  time 0 .. 2
  method $1
  tolerance $2
}
output flow.z(2)
END
}
while read -r method tolerance kind; do
    fine "$method" "$tolerance" >fine.nde
    "$ndec" explain fine.nde >out 2>err || fail "fine: explain $method"
    holds "$method at $tolerance: error estimates $kind" "$(grep -c "error estimates $kind" out) == 1"
done <<END
bosh3 1e-6 from the stages
bosh3 9e-7 from differences
tsit5 3.9e-6 from the stages
tsit5 3.8e-6 from differences
dop853 3.1e-5 from the stages
dop853 3e-5 from differences
END
