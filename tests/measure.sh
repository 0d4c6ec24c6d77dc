# measure.sh: what the scripts of tests/bench read behind case.sh. Gives: figures of two programs that are run in turn, round
# by round, on one processor, and the ratios of them. A ratio is speed over speed: above 1, the emitted program is faster.
#   NDEC_ROUNDS   rounds (default 5)
#   NDEC_LIMIT    a folder with the yardstick, built: build/p1-reduced-delta, build/p2, build/p3, data/, build/params.bin
rounds=$(seq "${NDEC_ROUNDS:-5}")
limit=${NDEC_LIMIT:-}
export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1
pin=
if command -v taskset >/dev/null 2>&1; then pin="taskset -c $(($(getconf _NPROCESSORS_ONLN) - 1))"; fi
processor_time= # before a program: its clock counts its own processor time (bench/cputime.c)
if $CC -O2 -shared -fPIC "$root/tests/bench/cputime.c" -o cputime.so 2>/dev/null &&
    env LD_PRELOAD="$work/cputime.so" true 2>/dev/null; then processor_time="env LD_PRELOAD=$work/cputime.so"; fi
: >samples

# without_limit: says why a part is left out, and is true if it is.
without_limit() {
    [ -z "$limit" ] || return 1
    echo "skip $1: NDEC_LIMIT names no folder of the yardstick"
}
# measured BINARY ARGUMENTS ...: `bench` of a compiled model on one processor; its CSV is then in bench.csv. $clock may be
# $processor_time.
clock=
measured() {
    # shellcheck disable=SC2086
    $clock $pin ./"$@" --threads 1 -o bench.csv >out 2>err </dev/null || fail "$1: bench"
}
# figure ROW COLUMN: of bench.csv
figure() {
    awk -F, -v row="$1" -v name="$2" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) k = i }
                                      $1 == row { print $k }' bench.csv
}
# sample NAME VALUE: a figure of this round
sample() { echo "$round $1 $2" >>samples; }
of() { awk -v a="$1" '$2 == a { print $3 }' samples; }
# spread [FORMAT]: median and ends of the numbers read
spread() {
    sort -g | awk -v f="${1:-%.4g}" '{ v[NR] = $1 } END { if (!NR) { print "-"; exit }
        m = (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2; printf f " (" f " .. " f ")\n", m, v[1], v[NR] }'
}
# value WHAT NAME UNIT: a line of the table for one figure
value() { printf '%-58s %28s %s\n' "$1" "$(of "$2" | spread)" "$3"; }
# ratio WHAT EMITTED PEER TARGET: a line for the time of the peer over that of the emitted program, round by round; TARGET is
# what it is meant to be, or empty.
ratio() {
    found=$(awk -v a="$2" -v b="$3" '$2 == a { x[$1] = $3 } $2 == b { y[$1] = $3 }
                                     END { for (r in x) if (x[r] > 0 && y[r] > 0) print y[r] / x[r] }' samples | spread %.2f)
    note=
    if [ -n "$4" ]; then
        note="target $4: $(echo "$found" | awk -v t="$4" '{ print ($1 >= t ? "met" : "missed") }')"
    fi
    printf '%-58s %28s %s\n' "$1" "$found" "$note"
}
calc() { awk "BEGIN { print $1 }"; }
title() { printf '\n%s\n' "$*"; }

# peer NAME LIBRARIES ...: builds the peer bench/NAME.c or .cpp; where that cannot be, says so and is false
peer() {
    peer_name=$1
    shift
    for source in "$root/tests/bench/$peer_name".c*; do
        case $source in *.cpp) compiler="${CXX:-c++} -std=c++14 -Wno-deprecated-declarations" ;; *) compiler="$CC -std=gnu11" ;; esac
        # shellcheck disable=SC2086
        if $compiler -O3 -march=native -Wall -Wextra -Werror -iquote "$root/runtime" "$source" -o "$peer_name" "$@" \
            >"$peer_name.log" 2>&1; then return 0; fi
    done
    echo "skip $peer_name: $(grep -m 1 -E 'error|not found|cannot' "$peer_name.log" | sed 's/.*error: //')"
    return 1
}
# tool NAME: the same for a helper that needs nothing but the runtime
tool() { peer "$1" "$BUILD/libnde.a" -lcjson -lz -lm -lpthread || fail "$1 does not build"; }
# python_with MODULE: the interpreter that has it, or a line that says there is none
python_with() {
    for p in python3 /usr/bin/python3; do
        if "$p" -c "import $1" >/dev/null 2>&1; then
            python=$p
            return 0
        fi
    done
    echo "skip $1: no Python with it is installed"
    return 1
}

# mnist_data: sets data to a folder with MNIST: the yardstick's, the one that examples/fetch_mnist.sh fills, or files like it
mnist_data() {
    data=$limit/data
    [ -z "$limit" ] || return 0
    data=$examples
    [ ! -s "$data/train-images-idx3-ubyte" ] || return 0
    data=data
    mnist_like data 512
    for part in images-idx3 labels-idx1; do cp data/train-$part-ubyte data/t10k-$part-ubyte; done
}
# mnist_weights OUT: those that the yardstick's programs use, as a file for the model of examples/mnist_ode.nde
mnist_weights() {
    ./weights flat "$limit/build/params.bin" "$1" field.hidden.W 100x785 field.hidden.b 100 field.out.W 784x101 \
        field.out.b 784 classifier.W 10x784 classifier.b 10 || fail 'weights of the yardstick'
}

# spiral_snippets: spiral.csv, snippets of ten points of the demo of Chen et al. (2018), u' = A u^3 from (2, 0), 1000 points up
# to 25; and spiral.nde, the model for them.
spiral_snippets() {
    awk 'function slope() { p = x^3; q = y^3; dx = -0.1 * p + 2 * q; dy = -2 * p - 0.1 * q }
         function stage(weight, from) { slope(); sx += weight * dx; sy += weight * dy; x = x0 + from * dx; y = y0 + from * dy }
         BEGIN { x = 2; y = 0; h = 25 / 999 / 20
                 for (i = 0; i < 1000; i++) {
                     at[i] = sprintf("%.9g,%.9g", x, y)
                     for (k = 0; k < 20; k++) { # the classical method of Kutta
                         x0 = x; y0 = y; sx = sy = 0
                         stage(h / 6, h / 2); stage(h / 3, h / 2); stage(h / 3, h); stage(h / 6, 0)
                         x = x0 + sx; y = y0 + sy } }
                 for (i = 0; i < 990; i++) {
                     printf "%s", at[i]
                     for (k = 0; k < 10; k++) printf ",%s", at[i + k]
                     print "" } }' >spiral.csv
    sed -e 's/tolerance .*/tolerance abs 1e-9 rel 1e-7/' -e 's/0\.25/25 * 9 \/ 999/' -e 's/npz(.*)/csv("spiral.csv")/' \
        "$examples/spiral_ode.nde" >spiral.nde
}
