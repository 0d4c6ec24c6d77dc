# Loss and every gradient of one batch of the MNIST model against PyTorch, over the same accepted steps: all in float64;
# in float32 without the regulariser at the paper's tolerance, where the error estimate of one step is below what float32
# resolves, and with it at a tolerance where it is not.
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
cp "$examples/mnist_ode.nde" f32.nde
{ echo 'precision f64'; cat "$examples/mnist_ode.nde"; } >f64.nde
passes 'build float32' "$ndec" build f32.nde
passes 'build float64' "$ndec" build f64.nde
compare() { # program, tolerance, first and last weight, limit, name
    # shellcheck disable=SC2086
    ./"$1" gradient --data "$data" -o "$6.safetensors" --set train.batch=20 --set flow.tolerance="$2" \
        --set flow.regularize.weight.1="$3" --set flow.regularize.weight.2="$4" >out 2>err || fail "$6: gradient"
    if "$python" "$root/tests/pytorch/compare.py" "$6.safetensors" "$data" "$2" 7500 "$3" "$4" "$5" >compared 2>err; then
        ok "$6: $(tail -n 1 compared)"
    else
        fail "$6: $(tail -n 1 compared)"
        sed 's/^/     | /' compared
    fi
}
compare f64 1.4e-8 2.5 1 1e-5 float64
compare f64 1e-3 2.5 1 1e-8 float64_coarse
compare f32 1.4e-8 1e-30 1e-30 2e-5 float32_loss
compare f32 1e-3 250 100 2e-3 float32_coarse
