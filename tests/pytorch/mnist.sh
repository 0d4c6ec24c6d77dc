# Loss and every gradient of one batch of the MNIST model against PyTorch, over the same accepted steps. In float64 with the
# regulariser as the paper has it. In float32 the loss alone at the paper's tolerance, and with a regulariser that takes the
# solver's step: of the automatic step, which is far smaller, float32 does not resolve the error estimate.
. "$NDEC_ROOT/tests/case.sh"
python=
for p in python3 /usr/bin/python3; do
    if "$p" -c 'import torch' >/dev/null 2>&1; then python=$p; break; fi
done
if [ -z "$python" ]; then
    echo 'skip comparison with PyTorch: python3-torch is not installed'
    exit 0
fi
data=$examples
if [ ! -s "$data/train-images-idx3-ubyte" ] || [ ! -s "$data/train-labels-idx1-ubyte" ]; then
    data=$work/data
    mnist_like data
fi
{ echo 'precision f64'; sed 's/ at accepted, weight .*/ weight exponential(2.5, 1.0)/' "$examples/mnist_ode.nde"; } >f64.nde
sed 's/ weight 0.1/ weight exponential(2.5, 1.0)/' "$examples/mnist_ode.nde" >f32_accepted.nde
sed '/regularize/d' "$examples/mnist_ode.nde" >f32_alone.nde
for f in f64 f32_accepted f32_alone; do passes "build $f" "$ndec" build "$f.nde"; done
compare() { # program, tolerance, first and last weight, limit, size of the step
    weights=
    [ "$3" = 0 ] || weights="--set flow.regularize.weight.1=$3 --set flow.regularize.weight.2=$4"
    # shellcheck disable=SC2086
    ./"$1" gradient --data "$data" -o "$1.safetensors" --set train.batch=20 --set flow.tolerance="$2" $weights \
        >out 2>err || fail "$1: gradient"
    if "$python" "$root/tests/pytorch/compare.py" "$1.safetensors" "$data" "$2" 7500 "$3" "$4" "$5" "$6" >compared 2>err; then
        ok "$1, tolerance $2: $(tail -n 1 compared)"
    else
        fail "$1, tolerance $2: $(tail -n 1 compared)"
        sed 's/^/     | /' compared
    fi
}
compare f64 1.4e-8 2.5 1 2e-4 automatic
compare f64 1e-3 2.5 1 1e-8 automatic
compare f32_alone 1.4e-8 0 0 2e-6 automatic
compare f32_accepted 1e-2 2.5 1 2e-3 accepted
