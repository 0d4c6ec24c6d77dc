# One sample at a time: hand-written C, and the solvers people use, on the same equations to the same tolerance. The time is
# the least of many solves within a round: of the whole program `predict`, its data being in memory. Errors are those at
# the end of the span over the tolerance: root mean square of (u - exact) / (tol + tol |exact|).
. "$NDEC_ROOT/tests/case.sh"
. "$NDEC_ROOT/tests/measure.sh"

cat >net.nde <<'END1'
data x : real[2]
fn field(u : real[2]) -> real[2] {
  layer hidden = dense(50, tanh)
  layer out    = dense(2)
  return out(hidden(u^3))
}
solve flow {
  du         = field(u) dt
  u(0)       = x
  time       0 .. 1
  controller sciml
  tolerance  1e-5
}
output flow.u(1)
END1
sed '/controller/d' net.nde >net-default.nde
cat >lorenz.nde <<'END1'
precision f64
data start : real[3]
solve orbit {
  du        = [10 * (u[1] - u[0]), u[0] * (28 - u[2]) - u[1], u[0] * u[1] - 8/3 * u[2]] dt
  u(0)      = start
  time      0 .. 10
  tolerance 1e-6
}
output orbit.u(10)
END1
sed 's/^  tolerance/  controller sciml\n&/' lorenz.nde >lorenz-sciml.nde
cat >vanderpol.nde <<'END1'
precision f64
data start : real[2]
solve orbit {
  dx        = y dt
  dy        = (5 * (1 - x * x) * y - x) dt
  x(0)      = start[0]
  y(0)      = start[1]
  time      0 .. 20
  tolerance 1e-6
}
output [orbit.x(20), orbit.y(20)]
END1
cat >pleiades.nde <<'END1'
precision f64
const mass = linspace(1, 7, 7)
fn between(x : real[7]) -> real[7, 7] {
  let across = broadcast(x, zeros(7, 7))
  return across - transpose(across)
}
data start : real[28]
solve orbit {
  let rx = between(x)
  let ry = between(y)
  let r2 = rx * rx + ry * ry + eq(between(mass), 0)
  let w  = broadcast(mass, zeros(7, 7)) / (r2 * sqrt(r2))
  dx    = vx dt
  dy    = vy dt
  dvx   = sum(w * rx, axis = 1) dt
  dvy   = sum(w * ry, axis = 1) dt
  x(0)  = start[0:7]
  y(0)  = start[7:14]
  vx(0) = start[14:21]
  vy(0) = start[21:28]
  time      0 .. 3
  tolerance 1e-6
}
output [orbit.x(3), orbit.y(3), orbit.vx(3), orbit.vy(3)]
END1
for m in net net-default lorenz lorenz-sciml vanderpol pleiades; do
    "$ndec" build $m.nde -o $m >out 2>err || fail "build $m"
done
echo 2,0.549 >net.csv # the yardstick's last start
cp net.csv net-default.csv
echo 1,0,0 >lorenz.csv
cp lorenz.csv lorenz-sciml.csv
echo 2,0 >vanderpol.csv
echo 3,3,-1,-3,2,-2,2,3,-3,2,0,0,-4,4,0,0,0,0,0,1.75,-1.5,0,0,0,-1.25,1,0,0 >pleiades.csv
tool weights
./weights net 0x9E3779B97F4A7C15 net.safetensors

# Runs are repeated for milliseconds between two readings of the clock, so processor time will do; the peers give the least of
# many single solves, which no other program has interrupted.
clock=$processor_time
# one MODEL NAME TOLERANCE [ARGUMENTS]: samples NAME/us and NAME/count
one() {
    model=$1 name=$2 tolerance=$3
    shift 3
    measured "$model" bench -i "$model.csv" --set "$tolerance" --seconds 0.25 "$@"
    us=$(calc "1000 * ($(figure 'predict one' ms_least) - $(figure 'predict one' load_ms))")
    count=$(figure 'predict one' evaluations)
    sample "$name/us" "$us"
    sample "$name/count" "$count"
    sample "$name/us/evaluation" "$(calc "$us / $count")"
}
# other NAME COMMAND ...: a peer that prints microseconds, evaluations, the last state; keeps the state
other() {
    name=$1
    shift
    # shellcheck disable=SC2086
    $pin "$@" >"$name.line" 2>err || { fail "$name"; return 1; }
    read -r us count _ <"$name.line"
    sample "$name/us" "$us"
    sample "$name/count" "$count"
    sample "$name/us/evaluation" "$(calc "$us / $count")"
}
distance() { # of two lines of numbers, each behind two that do not count; tolerance
    awk -v tol="$3" '{ for (i = 3; i <= NF; i++) u[FNR == NR, i] = $i; n = NF }
        FNR != NR { for (i = 3; i <= n; i++) { b = $i < 0 ? -$i : $i; d = (u[1, i] - $i) / (tol + tol * b); s += d * d }
                    printf "%.3g", sqrt(s / (n - 2)) }' "$1" "$2"
}
title 'One sample: microseconds of a solve, evaluations, error over the tolerance'
line() { printf '%-40s %28s us %8s evaluations %s\n' "$1" "$(of "$2/us" | spread)" "$(of "$2/count" | tail -n 1)" "$3"; }

# ---- hand-written C ----
if ! without_limit 'latency against hand-written C'; then
    ./net predict --weights net.safetensors -i net.csv | tail -n 1 | tr , ' ' >mine
    for round in $rounds; do
        one net net flow.tolerance=1e-5 --weights net.safetensors
        one net-default net-default flow.tolerance=1e-5 --weights net.safetensors
        for tolerance in 1e-06 1e-09; do one lorenz-sciml "sciml-$tolerance" orbit.tolerance=$tolerance; done
        $pin "$limit/build/p3" | sed -n '/latency form/,$p' >p3.out 2>err
        sed -n 's/.*2-50-2.*: \([0-9.]*\) us.*nfe \([0-9]*\),.*y = \(.*\))/\1 \2 \3/p' p3.out >p3-net.raw
        other p3-net cat p3-net.raw
        for tolerance in 1e-06 1e-09; do
            sed -n "s/.*Lorenz, tol $tolerance: \([0-9.]*\) us, nfe \([0-9]*\),.*/\1 \2/p" p3.out >p3.raw
            other "p3-$tolerance" cat p3.raw
        done
    done
    # Both start from the same weights only if they end in the same place.
    echo "$(cut -d' ' -f3,4 p3-net.line) $(cat mine)" | awk '{ a = $1 - $3; b = $2 - $4; exit !(a * a + b * b < 1e-6) }' ||
        fail "the net ends at $(cat mine), the yardstick's at $(cut -d' ' -f3,4 p3-net.line)"
    line 'net 2-50-2, 1e-5, float32' net ''
    line '  with the default controller' net-default ''
    line '  hand-written C' p3-net ''
    ratio '  over hand-written C, a solve' net/us p3-net/us 0.95
    ratio '  over hand-written C, per evaluation' net/us/evaluation p3-net/us/evaluation 0.95
    ratio '  default controller, a solve' net-default/us p3-net/us ''
    for tolerance in 1e-06 1e-09; do
        line "Lorenz, $tolerance, the yardstick's controller" sciml-$tolerance ''
        line '  hand-written C' p3-$tolerance ''
        ratio '  over hand-written C, a solve' sciml-$tolerance/us p3-$tolerance/us 0.95
        ratio '  over hand-written C, per evaluation' sciml-$tolerance/us/evaluation p3-$tolerance/us/evaluation 0.95
    done
fi

# ---- other solvers ----
peers=
peer boost && peers="$peers boost"
peer gsl -lgsl -lgslcblas -lm && peers="$peers rk8pd rkf45"
peer arkode -lsundials_arkode -lsundials_nvecserial -lm && peers="$peers arkode"
python_with scipy && peers="$peers scipy"
peer_run() { # peer, problem, tolerance
    case $1 in
    boost | arkode) other "$1-$2" "./$1" "$2" "$3" ;;
    scipy) other "$1-$2" "$python" "$root/tests/bench/solve_ivp.py" "$2" "$3" ;;
    *) other "$1-$2" ./gsl "$2" "$3" "$1" ;;
    esac
}
state_of() { # problem, tolerance: the emitted program's last state, behind two numbers
    echo "0 0 $(./"$1" predict -i "$1.csv" --set orbit.tolerance="$2" | tail -n 1 | tr , ' ')"
}
for problem in lorenz vanderpol pleiades; do
    for round in $rounds; do
        one $problem $problem orbit.tolerance=1e-6
        for p in $peers; do [ "$round" != 1 ] && [ "$p" = scipy ] || peer_run "$p" $problem 1e-6; done
    done
    state_of $problem 1e-6 >mine
    case " $peers " in # what is taken as exact: another program at 1e-13, if there is one
    *' boost '*) ./boost $problem 1e-13 >exact ;;
    *' rk8pd '*) ./gsl $problem 1e-13 rk8pd >exact ;;
    *) state_of $problem 1e-13 >exact ;;
    esac
    line "$problem, 1e-6, float64" $problem "$(distance mine exact 1e-6)"
    for p in $peers; do
        line "  $p" "$p-$problem" "$(distance "$p-$problem.line" exact 1e-6)"
        target=
        [ "$p" != boost ] || { target=1.3; [ $problem != pleiades ] || target=1.1; }
        ratio "  over $p, a solve" $problem/us "$p-$problem/us" $target
        ratio "  over $p, per evaluation" $problem/us/evaluation "$p-$problem/us/evaluation" ''
    done
done

# ---- many samples, each with its own steps: what they take one by one, and side by side ----
sed 's/^  tolerance/  batching sample\n&/' lorenz.nde >ensemble.nde
"$ndec" build ensemble.nde -o ensemble >out 2>err || fail 'build ensemble'
for i in $(seq 4096); do cat lorenz.csv; done >many.csv
title 'Lorenz, 1e-6: microseconds of a sample among 4096 that have their own steps'
for round in $rounds; do
    for n in 1 "$(getconf _NPROCESSORS_ONLN)"; do
        ./ensemble bench -i many.csv --batch 4096 --threads "$n" --rounds 3 --seconds 0.2 -o bench.csv >out 2>err </dev/null ||
            fail 'ensemble: bench'
        sample "many-$n/us" "$(calc "1000 * $(figure predict ms_least) / 4096")"
        sample "many-$n/count" "$(figure predict evaluations)"
    done
done
line 'one thread' many-1 ''
line "$n threads" "many-$n" ''
ratio '  over one sample after the other' many-1/us lorenz/us ''
ratio '  all threads over one' "many-$n/us" many-1/us ''
case " $peers " in *' boost '*) ratio '  over boost, one sample after the other' many-1/us boost-lorenz/us '' ;; esac
ok 'latency: measured'
