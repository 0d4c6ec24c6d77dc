# Evaluations of a solve of the MNIST model's first batch at given weights, and the true error of its final state over the
# tolerance: root mean square of (u - exact) / (tol + tol |exact|), exact being float64 at 1e-12. These are counts: one run is
# enough, and the machine does not matter.
. "$NDEC_ROOT/tests/case.sh"
. "$NDEC_ROOT/tests/measure.sh"
tool weights
tool distance
mnist_data

# The model with its final state for an output, without its regulariser, whose own solve would be counted. In float32 the file's
# tolerance decides whether differences are used: the program of the finest has them at each.
model() { # name, tolerance, sed script, options of the compiler
    sed -e '/regularize/d' -e 's/^output.*/output flow.z(1)/' -e "s/tolerance 1.4e-8/tolerance $2/" -e "$3" \
        "$examples/mnist_ode.nde" >"$1.nde"
    # shellcheck disable=SC2086
    "$ndec" build "$1.nde" -o "$1" ${4:-} >out 2>err || fail "build $1"
}
for tolerance in 1e-5 1e-6 1.4e-8; do
    model "f32-$tolerance" $tolerance ''
    model "plain-$tolerance" $tolerance '' --no-difference
    model "sciml-$tolerance" $tolerance 's/^  method .*/&\n  controller sciml/'
    model "warm-$tolerance" $tolerance 's/^  method .*/&\n  step adaptive, initial warm/'
done
model f64 1e-5 '1s/^/precision f64\n/'
model f64-sciml 1e-5 '1s/^/precision f64\n/; s/^  method .*/&\n  controller sciml/'

if [ -n "$limit" ]; then
    mnist_weights w.safetensors
    from="those of $limit/build/params.bin"
else
    ./f32-1e-5 train --quiet --data "$data" --set train.steps=200 --set train.evaluate=200 --out run >out 2>err || fail 'train'
    mv run/weights.safetensors w.safetensors
    from="those of 200 steps on $data"
fi
# The first images of the test data as a file: its head again with another count, then its bytes.
n=512
images=$data/t10k-images-idx3-ubyte
{
    head -c 4 "$images"
    printf "\\000\\000\\$(printf %03o $((n / 256)))\\$(printf %03o $((n % 256)))"
    tail -c +9 "$images" | head -c $((8 + n * 784))
} >some-images-idx3-ubyte

final() { # binary, tolerance, name of the output
    ./"$1" predict --data "$data" --weights w.safetensors -i some-images-idx3-ubyte --set train.batch=$n \
        --set flow.tolerance="$2" -o "$3.npy" >out 2>err || fail "$1: predict"
}
counts() { # binary, tolerance: evaluations of these images
    ./"$1" bench --data "$data" --weights w.safetensors -i some-images-idx3-ubyte --batch $n --rounds 1 --threads 1 \
        --set flow.tolerance="$2" -o bench.csv >out 2>err || fail "$1: bench"
    figure predict evaluations
}
final f64 1e-12 exact
title "Evaluations of a solve of $n images (true error over the tolerance); weights: $from"
printf '%-12s %18s %18s %18s %18s %18s %18s %18s\n' tolerance float32 'differences on' 'and off' float64 'sciml, float32' \
    'sciml, float64' 'warm, in training'
for tolerance in 1e-5 1e-6 1.4e-8; do
    row=$(printf '%-12s' $tolerance)
    for binary in f32-$tolerance f32-1.4e-8 plain-$tolerance f64 sciml-$tolerance f64-sciml; do
        final $binary $tolerance it
        row="$row $(printf '%18s' "$(counts $binary $tolerance) ($(./distance it.npy exact.npy $tolerance $tolerance))")"
    done
    # The start remembered from the step before: the mean of ten steps that leave the weights as they are, but for the first.
    rm -rf warm
    ./warm-$tolerance train --quiet --data "$data" --weights w.safetensors --set train.optimizer.rate=1e-9 --out warm \
        --set train.steps=11 --set train.evaluate=11 >out 2>err || fail "warm-$tolerance: train"
    warm=$(sed -n 's/.*"step":\([0-9]*\),"loss".*"nfe":\([0-9]*\),.*/\1 \2/p' warm/log.jsonl |
        awk '$1 > 1 { n++; s += $2 } END { printf "%.1f", s / n }')
    echo "$row $(printf '%18s' "$warm")"
done
ok 'evaluations: counted'
