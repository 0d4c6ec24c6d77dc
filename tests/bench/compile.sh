# How long the compiler takes, and what `explain` promises of memory beside what a run uses.
. "$NDEC_ROOT/tests/case.sh"
. "$NDEC_ROOT/tests/measure.sh"
# took NAME REPEATS COMMAND ...: samples of one run, milliseconds of processor time, and of the wall clock as NAME/wall
took() {
    name=$1 n=$2
    shift 2
    began=$(date +%s%N)
    # shellcheck disable=SC2016
    sh -c 'n=$0; while [ "$n" -gt 0 ]; do "$@" >/dev/null 2>&1 || exit 1; n=$((n - 1)); done; times' "$n" "$@" >out 2>err ||
        fail "$name"
    sample "$name/wall" "$(calc "($(date +%s%N) - $began) / 1e6 / $n")"
    sample "$name" "$(tail -n 1 out | awk -v n="$n" '{ for (i = 1; i <= 2; i++) { split($i, p, /[ms]/); s += 60 * p[1] + p[2] }
                                                       print 1000 * s / n }')"
}
models='digits_ode lorenz lotka_volterra_ude mnist_ode own_method spiral_ode'
mkdir emitted
for round in $rounds; do
    for m in $models; do
        took check/$m 10 "$ndec" check "$examples/$m.nde"
        took emit/$m 10 "$ndec" emit "$examples/$m.nde" -o emitted
        took build/$m 1 "$ndec" build "$examples/$m.nde" -o $m
    done
done
title 'Milliseconds of the compiler: processor time, the C compiler included'
for what in check emit build; do
    for m in $models; do value "ndec $what $m" $what/$m ms; done
done
for m in $models; do value "ndec build $m, by the wall clock" build/$m/wall ms; done

# A training step of each model that is trained, on random samples where the data is not here: the tape holds a slot for each
# end of a step, in pieces of four.
title 'Bytes, as predicted by explain and as used'
printf '%-20s %6s %16s %16s %6s %16s %16s %6s\n' model batch 'tape, predicted' used ratio 'work, predicted' used ratio
bytes() { awk -v x="$1" 'BEGIN { u = x; sub(/^[0-9.]+/, "", u); f["B"] = 1; f["kB"] = 1e3; f["MB"] = 1e6; f["GB"] = 1e9
                                 printf "%.0f", x * f[u] }'; }
for m in $models; do
    ./$m bench --threads 1 --rounds 1 -o bench.csv >out 2>err || fail "$m: bench"
    [ -n "$(figure train batch)" ] || continue
    "$ndec" explain "$examples/$m.nde" >explained 2>err
    slot=$(sed -n 's/.*the tape keeps \([0-9]*\) bytes.*/\1/p' explained | head -n 1)
    tape=$(calc "$slot * $(figure train batch) * ($(figure train accepted) + 1)")
    work=$(bytes "$(sed -n 's/.*workspace for a batch of.*about \([0-9.]*\) \{0,1\}\([kMG]*B\).*/\1\2/p' explained)")
    more=$(bytes "$(sed -n 's/.*and \([0-9.]*\) \{0,1\}\([kMG]*B\) a thread.*/\1\2/p' explained)")
    echo "$m $(figure train batch) $tape $(figure train tape_bytes) $((work + more)) $(figure train work_bytes)" |
        awk '{ printf "%-20s %6d %16d %16d %6.2f %16d %16d %6.2f\n", $1, $2, $3, $4, $4 / $3, $5, $6, $6 / $5 }'
done
ok 'compiler: measured'
