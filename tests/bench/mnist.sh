# The paper's model (batch 512, one thread) over hand-written C: a step of training and predictions, with the reduction and
# without, with differences and without. An evaluation is one of the field; an attempt is a step of the method, accepted or
# not: a fairer unit where programs count differently at the start.
. "$NDEC_ROOT/tests/case.sh"
. "$NDEC_ROOT/tests/measure.sh"
tool weights
clock=$processor_time
mnist_data
weights=
if [ -n "$limit" ]; then
    mnist_weights w.safetensors
    weights='--weights w.safetensors'
fi
# The controller of the yardstick and the paper, so that both take the same steps.
awk '/regularize/ { next } { print } /^  method/ { print "  controller sciml" }' "$examples/mnist_ode.nde" >m.nde
build() { "$ndec" build m.nde -o "$@" >out 2>err || fail "build $1"; }
build reduced
build reduced-plain --no-difference
build full-plain --no-reduce --no-difference

# emitted BINARY TOLERANCE: samples of one run. The yardstick gives the least of three runs, without the optimiser.
emitted() {
    # shellcheck disable=SC2086
    measured "$1" bench --data "$data" $weights --batch 512 --set flow.tolerance="$2" --rounds 3
    for row in train predict; do
        time=$(calc "$(figure $row ms_least) - $(figure $row update_ms)")
        steps=$(calc "$(figure $row accepted) + $(figure $row rejected)")
        keep "$1/$2/$row" "$time" "$(figure $row evaluations)" "$steps"
    done
    for part in load forward reverse rest; do sample "$1/$2/$part" "$(figure train ${part}_ms)"; done
}
keep() { # name, milliseconds, evaluations, attempts
    sample "$1" "$2"
    sample "$1/evaluation" "$(calc "1000 * $2 / $3")"
    sample "$1/attempt" "$(calc "1000 * $2 / $4")"
    sample "$1/count" "$3"
}
yardstick() { # program, tolerance
    (cd "$limit" && PARAMS=build/params.bin $clock $pin "build/$1" time "$2" 3) >line 2>err || fail "$1"
    after() { sed -n "s/.* $1 *\([0-9.]*\).*/\1/p" line; }
    steps=$(calc "$(after acc) + $(after rej)")
    keep "$1/$2/train" "$(after 'train step')" "$(after nfe)" "$steps"
    keep "$1/$2/predict" "$(after predict512)" "$(after nfe)" "$steps"
    part() { # of the line's second field
        awk -F'|' -v a="$1" '{ n = split($2, w, " "); for (i = 1; i < n; i++) if (w[i] == a) print w[i + 1] }' line
    }
    sample "$1/$2/load" "$(part load)"
    sample "$1/$2/forward" "$(part fwd)"
    sample "$1/$2/reverse" "$(part bwd)"
    sample "$1/$2/rest" "$(calc "$(part prep) + $(part head)")"
}
for round in $rounds; do
    for tolerance in 1e-5 1.4e-8; do
        emitted reduced $tolerance
        [ -z "$limit" ] || yardstick p1-reduced-delta $tolerance
    done
    emitted reduced-plain 1e-5
    [ -z "$limit" ] || yardstick p1-reduced 1e-5
    emitted full-plain 1e-5
    [ -z "$limit" ] || yardstick p1-fused 1e-5
done

title 'MNIST model, batch 512, one thread: milliseconds and evaluations'
for row in train predict; do
    for k in reduced/1e-5 reduced/1.4e-8 reduced-plain/1e-5 full-plain/1e-5 \
        p1-reduced-delta/1e-5 p1-reduced-delta/1.4e-8 p1-reduced/1e-5 p1-fused/1e-5; do
        [ -z "$(of "$k/$row")" ] || value "$row $k ($(of "$k/$row/count" | tail -n 1) evaluations)" "$k/$row" ms
    done
done
title 'a training step in its parts, milliseconds (median; the rest of hand-written C: products of weights, loss)'
printf '%-26s %10s %10s %10s %10s\n' '' load forward reverse rest
for k in reduced/1e-5 p1-reduced-delta/1e-5 reduced/1.4e-8 p1-reduced-delta/1.4e-8 full-plain/1e-5 p1-fused/1e-5; do
    [ -n "$(of $k/train)" ] || continue
    printf '%-26s' $k
    for part in load forward reverse rest; do printf ' %10s' "$(of $k/$part | spread %.2f | cut -d' ' -f1)"; done
    echo
done
title 'its own variants, per evaluation'
for row in train predict; do
    ratio "$row 1e-5: reduced over unreduced" reduced-plain/1e-5/$row/evaluation full-plain/1e-5/$row/evaluation ''
    ratio "$row 1e-5: with differences over without" reduced/1e-5/$row/evaluation reduced-plain/1e-5/$row/evaluation ''
done
if ! without_limit 'MNIST against hand-written C'; then
    title 'over hand-written C'
    for unit in evaluation attempt; do
        for row in train predict; do
            for tolerance in 1e-5 1.4e-8; do
                ratio "$row $tolerance, differences, per $unit" reduced/$tolerance/$row/$unit \
                    p1-reduced-delta/$tolerance/$row/$unit 0.9
            done
            ratio "$row 1e-5, per $unit" reduced-plain/1e-5/$row/$unit p1-reduced/1e-5/$row/$unit 0.9
            ratio "$row 1e-5, unreduced, per $unit" full-plain/1e-5/$row/$unit p1-fused/1e-5/$row/$unit 0.9
        done
    done
fi
ok 'MNIST: measured'
