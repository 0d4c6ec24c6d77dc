# How time and memory grow with threads, batch, state, hidden units and steps: a table, build/bench/growth.csv, and
# build/bench/growth.svg where gnuplot is installed. Random samples, so it needs no data. Per evaluation is a training step
# (batch loaded, solve, reverse, update) over the evaluations of its solve.
. "$NDEC_ROOT/tests/case.sh"
. "$NDEC_ROOT/tests/measure.sh"
mkdir -p "$BUILD/bench"
table=$BUILD/bench/growth.csv
sed '/regularize/d' "$examples/mnist_ode.nde" >mnist.nde
"$ndec" build mnist.nde -o mnist >out 2>err || fail 'build mnist'
"$ndec" build "$examples/digits_ode.nde" -o digits >out 2>err || fail 'build digits'
at='--set flow.tolerance=1e-5'

# ---- threads: on all processors, by the wall clock: the least of nine in each round ----
threads() { # binary, threads, name, arguments
    binary=$1 n=$2 name=$3
    shift 3
    ./"$binary" bench --threads "$n" --rounds 9 --seconds 0.2 -o bench.csv "$@" >out 2>err </dev/null || fail "$binary: bench"
    sample "$name" "$(figure train ms_least)"
}
for round in $rounds; do
    # shellcheck disable=SC2086
    for n in 1 2; do
        threads mnist $n mnist/$n --batch 512 $at
        threads digits $n digits/$n --data "$examples"
    done
done
load=$(cut -d' ' -f1 /proc/loadavg 2>/dev/null || echo unknown)
title "Two threads over one, a training step, on $(getconf _NPROCESSORS_ONLN) processors under a load of $load"
ratio 'MNIST, batch 512' mnist/2 mnist/1 1.8
ratio 'digits, batch 64' digits/2 digits/1 ''
least() { of "$1" | sort -g | head -n 1; }
echo "least of all rounds over least: MNIST $(awk "BEGIN { printf \"%.2f\", $(least mnist/1) / $(least mnist/2) }"), digits" \
    "$(awk "BEGIN { printf \"%.2f\", $(least digits/1) / $(least digits/2) }")"

# ---- a large batch ----
clock=$processor_time
for round in $rounds; do
    for n in 512 4096; do
        # shellcheck disable=SC2086
        measured mnist bench --batch $n --rounds 3 $at
        for row in train predict; do
            sample $row/$n "$(calc "1e6 * $(figure $row ms_least) / $(figure $row evaluations) / $n")"
        done
    done
done
title 'Speed at batch 4096 over 512, one thread, per sample and evaluation (0.95: 1.05 times as long)'
ratio 'MNIST, train' train/4096 train/512 0.95
ratio 'MNIST, predict' predict/4096 predict/512 0.95

# ---- curves ----
line() { # curve, its number, batch
    [ -s "$table" ] || echo 'curve,x,ms,us_evaluation,ns_evaluation_sample,tape_bytes,work_bytes' >"$table"
    each=$(figure train us_evaluation)
    row=$1,$2,$(figure train ms),$each,$(calc "1000 * $each / $3"),$(figure train tape_bytes),$(figure train work_bytes)
    echo "$row" >>"$table"
    echo "$row" | awk -F, '{ printf "%-10s %8g %12.4g %16.4g %24.4g %12.4g %12.4g\n", $1, $2, $3, $4, $5, $6 / 2^20, $7 / 2^20 }'
}
model() { # state, hidden
    cat >model.nde <<END1
data x : real[$1]
data y : real[$1]
fn field(z : real[$1]) -> real[$1] {
  layer hidden = dense($2, tanh)
  layer out    = dense($1)
  return out(hidden(z))
}
solve flow {
  dz     = field(z) dt
  z(0)   = x
  time   0 .. 1
  method tsit5
  step   fixed 0.1
}
loss mse(flow.z(1), y)
train {
  data  npz("none.npz")
  batch 64
  steps 1
}
END1
    "$ndec" build model.nde -o model >out 2>err || fail "build $1 $2"
}
rm -f "$table"
title 'Growth of a training step, one thread (MNIST model; else dense layers, tsit5 with ten steps, batch 64, state and hidden 64)'
printf '%-10s %8s %12s %16s %24s %12s %12s\n' with '' ms 'us/evaluation' 'ns/evaluation/sample' 'tape MiB' 'work MiB'
for n in 1 8 64 512 4096; do
    # shellcheck disable=SC2086
    measured mnist bench --batch $n --seconds 0.3 $at
    line batch $n $n
done
for n in 2 16 128 784 2048 4096; do
    model $n 64
    measured model bench --seconds 0.2
    line state $n 64
done
for n in 16 64 256 1024 2048; do
    model 64 $n
    measured model bench --seconds 0.2
    line hidden $n 64
done
model 64 64
for n in 5 20 80 320 1280; do
    measured model bench --seconds 0.2 --set flow.step.fixed="$(calc "1 / $n")"
    line steps $n 64
done
if command -v gnuplot >/dev/null 2>&1; then
    gnuplot >out 2>err <<END1 || fail 'gnuplot'
set datafile separator ","
set terminal svg size 1100,800 background "white"
set output "$BUILD/bench/growth.svg"
set multiplot layout 2,2
set logscale xy
set key top left
set grid
do for [curve in "batch state hidden steps"] {
    set xlabel curve
    plot "$table" using (strcol(1) eq curve ? \$2 : 1/0):4 with linespoints title "us per evaluation", \
         "" using (strcol(1) eq curve ? \$2 : 1/0):(\$6 / 2**10) with linespoints title "tape KiB", \
         "" using (strcol(1) eq curve ? \$2 : 1/0):(\$7 / 2**10) with linespoints title "work KiB"
}
unset multiplot
END1
    echo "curves: $BUILD/bench/growth.svg"
else
    echo 'skip curves: gnuplot is not installed'
fi
ok 'growth: measured'
