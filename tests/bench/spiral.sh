# Training the spiral (2-50-2, batch 20, ten times of each snippet, dopri5 with rtol 1e-7 and atol 1e-9): iterations a second
# and microseconds per evaluation, the emitted program over hand-written C and over a plain loop in PyTorch. Only `emitted`
# forms its error estimates from differences; `plain` does what the others do.
. "$NDEC_ROOT/tests/case.sh"
. "$NDEC_ROOT/tests/measure.sh"
spiral_snippets
"$ndec" build spiral.nde -o emitted >out 2>err || fail 'build spiral'
"$ndec" build --no-difference spiral.nde -o plain >out 2>err || fail 'build spiral without differences'
steps=2000
# keep NAME ITERATIONS-A-SECOND EVALUATIONS
keep() {
    sample "$1/ms" "$(calc "1000 / $2")"
    sample "$1/rate" "$2"
    sample "$1/count" "$3"
    sample "$1/evaluation" "$(calc "1e6 / $2 / $3")"
}
trained() { # a program as it is used: batches, updates, a line of the log for each step
    rm -rf run
    # shellcheck disable=SC2086
    $processor_time $pin ./"$1" train --quiet --threads 1 --out run --set train.steps=$steps \
        >out 2>err || fail 'train'
    # shellcheck disable=SC2046
    keep "$1" $(sed -n 's/.*"step":\([0-9]*\),"loss".*"nfe":\([0-9]*\),.*"seconds":\([0-9.e+-]*\).*/\1 \2 \3/p' run/log.jsonl |
        awk '$1 == 2 { t = $3 } $1 > 2 { n++; nfe += $2; last = $3 } END { print n / (last - t), nfe / n }')
}
yardstick() {
    # shellcheck disable=SC2086
    $processor_time $pin "$limit/build/p2" $steps >line 2>err || fail 'p2'
    # shellcheck disable=SC2046
    keep p2 $(sed -n 's/.*: \([0-9]*\) it\/s.*mean nfe \([0-9.]*\),.*/\1 \2/p' line)
}
torch=
python_with torch && torch=yes
for round in $rounds; do
    trained emitted
    trained plain
    [ -z "$limit" ] || yardstick
    if [ -n "$torch" ]; then
        # shellcheck disable=SC2086
        $processor_time $pin "$python" "$root/tests/bench/spiral.py" spiral.csv 20 >line 2>err || fail 'PyTorch'
        read -r rate count _ <line
        keep torch "$rate" "$count"
    fi
done
title 'Spiral, dopri5, one thread: training iterations a second'
for k in emitted plain p2 torch; do
    [ -z "$(of $k/rate)" ] || value "$k ($(of $k/count | tail -n 1) evaluations)" $k/rate 'a second'
done
if ! without_limit 'spiral against hand-written C'; then
    ratio 'over hand-written C, an iteration' emitted/ms p2/ms 0.9
    ratio 'over hand-written C, per evaluation' emitted/evaluation p2/evaluation 0.9
    ratio 'plain over hand-written C, per evaluation' plain/evaluation p2/evaluation 0.9
fi
if [ -n "$torch" ]; then
    ratio 'over PyTorch, an iteration' emitted/ms torch/ms ''
    ratio 'over PyTorch, per evaluation' emitted/evaluation torch/evaluation ''
fi
ok 'spiral: measured'
