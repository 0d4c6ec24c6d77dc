# How long a training step and one evaluation of the field take: the digits, and the paper's model on images of MNIST's size,
# with 1 and with 2 threads. 'us per evaluation' is a training step, with its adjoint, over nfe. A machine's own figures;
# what matters between versions are the ratios.
. "$NDEC_ROOT/tests/case.sh"
mnist_like data
ln -s "$examples"/*.gz data/
milliseconds() { # program, steps, threads, further arguments: seconds of the log without the first two steps
    program=$1 steps=$2 threads=$3
    shift 3
    rm -rf run
    ./"$program" train --quiet --data data --out run --threads "$threads" --set train.steps="$steps" \
        --set train.evaluate="$steps" "$@" >out 2>err || fail "$program"
    sed -n 's/.*"step":\([0-9]*\),"loss".*"nfe":\([0-9]*\),.*"seconds":\([0-9.e+-]*\).*/\1 \2 \3/p' run/log.jsonl |
        awk '$1 == 2 { t = $3 } $1 > 2 { n++; nfe += $2; last = $3 } END { printf "%.3f %.1f", 1000 * (last - t) / n, nfe / n }'
}
printf '%-12s %8s %16s %10s %20s\n' model threads 'ms per step' nfe 'us per evaluation'
for model in digits_ode mnist_ode; do
    "$ndec" build "$examples/$model.nde" -o "$model" >out 2>err || { fail "$model: build"; continue; }
    steps=300
    batch=''
    [ "$model" = digits_ode ] || { steps=12; batch='--set train.batch=48'; }
    for threads in 1 2; do
        # shellcheck disable=SC2086
        found=$(milliseconds "$model" "$steps" "$threads" $batch)
        echo "$model $threads $found" | awk '{ printf "%-12s %8d %16s %10s %20.1f\n", $1, $2, $3, $4, 1000 * $3 / $4 }'
        [ "$threads" -ne 1 ] || one=${found% *}
    done
    echo "$model $one ${found% *}" | awk '{ printf "%-12s 2 threads are %.2f times as fast as 1\n", $1, $2 / $3 }'
    ok "$model: measured"
done
