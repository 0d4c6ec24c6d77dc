# The libraries that most people use for these models, torchdiffeq (PyTorch) and diffrax (JAX), where they are installed: the
# same model, weights, tolerance and batch, each with its own default controller. Milliseconds and evaluations of a solve on
# one thread, on all processors, and, for the libraries, on a GPU where there is one.
. "$NDEC_ROOT/tests/case.sh"
. "$NDEC_ROOT/tests/measure.sh"
libraries=
for l in torchdiffeq diffrax; do python_with $l && libraries="$libraries $l" && echo "$python" >python.$l; done
[ -n "$libraries" ] || exit 0
devices='cpu threads'
! nvidia-smi >/dev/null 2>&1 || devices="$devices gpu"
unset OMP_NUM_THREADS OPENBLAS_NUM_THREADS
export XLA_PYTHON_CLIENT_PREALLOCATE=false

mnist_data
spiral_snippets
sed '/regularize/d' "$examples/mnist_ode.nde" >mnist.nde
awk '/tolerance/ { print "  adjoint backsolve" } { print }' mnist.nde >adjoint.nde
sed 's/save times//; s/1e-9/1e-6/; /^const times/d; s/orbit.u(times)/orbit.u(10)/' "$examples/lorenz.nde" >lorenz.nde
for m in mnist adjoint spiral lorenz; do "$ndec" build $m.nde -o $m >out 2>err || fail "build $m"; done
echo 1,0,0 >start.csv
for m in mnist spiral; do # weights behind the first steps of training
    at=
    [ $m = spiral ] || at="--data $data --set flow.tolerance=1e-5"
    # shellcheck disable=SC2086
    ./$m train --quiet $at --set train.steps=200 --out $m.run >out 2>err || fail "train $m"
done
flow='--batch 512 --set flow.tolerance=1e-5 --weights mnist.run/weights.safetensors --data'

# emitted NAME ROW THREADS PROGRAM ARGUMENTS: samples NAME and NAME/count
emitted() {
    name=$1 row=$2 threads=$3
    shift 3
    only=
    [ "$threads" != 1 ] || only=$pin
    # shellcheck disable=SC2086
    $only ./"$@" --threads "$threads" --seconds 0.5 -o bench.csv >out 2>err </dev/null || fail "$1: bench"
    sample "$name" "$(figure "$row" ms)"
    sample "$name/count" "$(figure "$row" evaluations)"
}
# other LIBRARY TASK DEVICE TOLERANCE FILES
other() {
    only=
    [ "$3" != cpu ] || only="$pin env XLA_FLAGS=--xla_cpu_multi_thread_eigen=false"
    # shellcheck disable=SC2086
    if ! $only "$(cat "python.$1")" "$root/tests/bench/peers.py" "$@" >line 2>err; then
        fail "$*"
    elif grep -q '^skip' line; then
        cat line
    else
        read -r ms count <line
        sample "$2/$1/$3" "$ms"
        sample "$2/$1/$3/count" "$count"
    fi
}
for round in $(seq "${NDEC_ROUNDS:-3}"); do
    for threads in 1 "$(getconf _NPROCESSORS_ONLN)"; do
        on=cpu
        [ "$threads" = 1 ] || on=threads
        # shellcheck disable=SC2086
        emitted mnist/ndec/$on train "$threads" mnist bench $flow "$data"
        # shellcheck disable=SC2086
        emitted predict/ndec/$on predict "$threads" mnist bench $flow "$data"
        # shellcheck disable=SC2086
        emitted adjoint/ndec/$on train "$threads" adjoint bench $flow "$data"
    done
    emitted spiral/ndec/cpu train 1 spiral bench --batch 20 --weights spiral.run/weights.safetensors
    emitted lorenz/ndec/cpu 'predict one' 1 lorenz bench -i start.csv
    for l in $libraries; do
        for d in $devices; do
            for task in mnist predict; do other "$l" $task "$d" 1e-5 mnist.run/weights.safetensors "$data"; done
        done
        other "$l" adjoint cpu 1e-5 mnist.run/weights.safetensors "$data"
        other "$l" spiral cpu 1e-7 spiral.run/weights.safetensors spiral.csv
        other "$l" lorenz cpu 1e-6
    done
done

title 'Milliseconds and evaluations of a solve, and ndec on one thread over each'
for task in mnist predict adjoint spiral lorenz; do
    case $task in
    mnist) echo 'MNIST model, batch 512, 1e-5: a training step' ;;
    adjoint) echo 'the same with a continuous adjoint, solved backwards' ;;
    predict) echo 'the same: predictions' ;;
    spiral) echo 'spiral, batch 20, ten saved times: a training step' ;;
    lorenz) echo 'Lorenz up to 10, 1e-6, float64: a solve' ;;
    esac
    for l in ndec $libraries; do
        for d in $devices; do
            k=$task/$l/$d
            [ -n "$(of "$k")" ] || continue
            value "  $l, $d ($(of "$k/count" | tail -n 1) evaluations)" "$k" ms
            [ $l = ndec ] || ratio '    ndec, one thread, over it' $task/ndec/cpu "$k" ''
        done
    done
done
ok 'peers: measured'
