# A bound of the tape changes no bit of a gradient or of a training, and is kept: for several kinds of terms, saved times
# and carries, from the least bound that is allowed to one that holds everything, against the model without the clause.
. "$NDEC_ROOT/tests/case.sh"
mkdir free bound
points 'sin(i), cos(2 * i), 0.1 * i, sin(3 * i), cos(i), 1 - 0.1 * i'

model() { # precision, body of the field, clauses of the solve
    cat <<END
precision $1
data x : real[3]
data y : real[3]
param rate : real[3] = [3, 1.5, 0.7]

fn field(z : real[3]) -> real[3] {
$2
}
solve flow {
  dz   = field(z) dt
  z(0) = x * rate
$3
}
loss mse(flow.z(2), y)
train {
  data      csv("points.csv")
  batch     12
  steps     6
  evaluate  every 3
  optimizer adam(0.01)
}
END
}

# build NAME: free/NAME and bound/NAME of free/NAME.nde
build() {
    sed 's/^\( *\)time .*/&\n\1memory 1 GiB/' "free/$1.nde" >"bound/$1.nde"
    for to in free bound; do
        "$ndec" build "$to/$1.nde" -o "$to/$1" >out 2>err || fail "$1: build"
    done
}

# Gradients for bounds from the least one on, in parts of 1 of what is used when everything fits.
gradients() { # name, further arguments
    name=$1
    shift
    "free/$name" gradient -o free.safetensors "$@" >out 2>err || fail "$name: gradient"
    steps=$(sed -n 's/^accepted //p' out)
    passes "$name: a bound that holds everything" "bound/$name" gradient -o bound.safetensors "$@"
    same "$name: the gradient with it, $steps steps" free.safetensors bound.safetensors
    most=$(sed -n 's/^tape \([0-9]*\) bytes/\1/p' out)
    ends 2 "$name: a bound that is too little" 'at least [0-9]* KiB' \
        "bound/$name" gradient -o bound.safetensors "$@" --set flow.memory=0.001
    least=$(sed -n 's/.*--set flow.memory=\([0-9.]*\).*/\1/p' err)
    wrong=0
    for part in 0 0.001 0.01 0.03 0.1 0.3 0.6 0.9; do
        mib=$(awk "BEGIN { printf \"%.6f\", $least + $part * ($most / 1048576 - $least) }")
        "bound/$name" gradient -o bound.safetensors "$@" --set "flow.memory=$mib" >out 2>err || wrong=1
        cmp -s free.safetensors bound.safetensors || wrong=1
        used=$(sed -n 's/^tape \([0-9]*\) bytes/\1/p' out)
        awk "BEGIN { exit !($used > 0 && $used <= $mib * 1048576) }" || wrong=1
        [ "$wrong" = 0 ] || { fail "$name: with $mib MiB"; return; }
    done
    ok "$name: from $least MiB to $most bytes"
}

net='  layer hidden = dense(8, tanh)
  layer out    = dense(3)
  return out(hidden(z))'
lorenz='  return [rate[0] * (z[1] - z[0]), z[0] * (rate[1] - z[2]) - z[1], z[0] * z[1] - rate[2] * z[2]]'
linear='  return [z[1], -z[0], -z[2]] # its reverse reads nothing, but the states of drawn steps are formed again'

check() { # name, precision, field, clauses
    model "$2" "$3" "$4" >"free/$1.nde"
    build "$1"
    gradients "$1"
}
check products f64 "$lorenz" '  time 0 .. 2
  tolerance 1e-9
  step limit 3000
  regularize error, unbiased, through state, weight 0.1'
check products32 f32 "$lorenz" '  time 0 .. 2
  method bosh3
  tolerance 1e-5
  step limit 3000
  regularize error2, global(max), weight 0.1'
check linear f64 "$linear" '  time 0 .. 2
  method bosh3
  tolerance 1e-7
  step limit 3000
  regularize rms(u1)^2, biased(2), through state, weight 0.1'
check saved f64 "$net" '  time 0 .. 2 save linspace(0, 2, 9)
  tolerance 1e-10
  step limit 3000
  regularize error, biased, weight 0.1
  regularize error2, global, weight 1e6'
check exactly f32 "$net" '  time 0 .. 2 save linspace(0, 2, 5) exactly
  method rk4
  step fixed 0.003 limit 3000
  regularize rms(k[2] - k[1]), unbiased(3), weight 0.1'
cp "$examples/mnist_ode.nde" free/
mnist_like data
build mnist_ode
gradients mnist_ode --data data --set train.batch=20 --set flow.step.limit=100

# A whole training.
for to in free bound; do
    "$to/saved" train --quiet --out "$to/run" $([ $to = free ] || echo --set flow.memory=0.1) >out 2>err || fail "train $to"
    sed 's/,"seconds.*//' "$to/run/log.jsonl" >"$to.log"
done
same 'weights after training with a bound' free/run/weights.safetensors bound/run/weights.safetensors
same 'and the log but for the seconds' free.log bound.log
used=$(sed -n 's/.*"tape_bytes":\([0-9]*\).*/\1/p' bound/run/summary.json)
holds "the summary says $used bytes" "$used > 50000 && $used < 200000"
ends 2 'a bound that is too little is refused at once' 'at least' bound/saved train --out none --set flow.memory=0.01
if [ -e none ]; then fail 'it left a folder'; else ok 'and leaves no folder'; fi
