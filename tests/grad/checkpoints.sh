# A number of checkpoints changes no bit of a gradient, and the memory of the tape does not grow with the steps.
. "$NDEC_ROOT/tests/case.sh"
points 'sin(i), cos(2 * i), 0.1 * i, sin(3 * i), cos(i), 1 - 0.1 * i'
cat >net.nde <<'END'
precision f64
data x : real[3]
data y : real[3]
fn field(z : real[3], t : real) -> real[3] {
  layer hidden = dense(16, tanh)
  layer out    = dense(3)
  return out(hidden([z, t]))
}
solve flow {
  dz   = field(z, t) dt
  z(0) = x
  time 0 .. 1
  step fixed 0.001 limit 20000
  adjoint discrete checkpoints 16
  regularize rms(k[2] - k[1]), biased(2), through state, weight 0.1
}
loss mse(flow.z(1), y)
train {
  data  csv("points.csv")
  batch 16
  steps 6
}
END
"$ndec" build --draft net.nde -o net >out 2>err || fail build
gradient() { # checkpoints, step: the file, and in `tape` the bytes
    ./net gradient -o "$1.safetensors" --set "flow.checkpoints=$1" --set "flow.step.fixed=$2" >out 2>err || fail gradient
    tape=$(sed -n 's/^tape \([0-9]*\) bytes/\1/p' out)
}
gradient 16 0.001
few=$tape
for step in 0.001 0.0001; do
    gradient 100000 $step
    all=$tape
    for n in 2 4 16; do
        [ $step = 0.001 ] || [ $n = 16 ] || continue # 10000 steps from few states take long
        gradient $n $step
        same "$n checkpoints, steps of $step" $n.safetensors 100000.safetensors
        [ $n != 16 ] || holds "16 checkpoints take $tape bytes, all $all" "$tape == $few && 20 * $tape < $all"
    done
done
ends 2 'no checkpoint' 'flow.checkpoints=1 is the least' ./net gradient -o none.safetensors --set flow.checkpoints=0.5

# The same where each sample has its own steps, of which it takes 6 to 60: rows of the reverse are others than without a bound, so
# sums over the samples are rounded in another order there, but no bound changes a bit.
points 'sin(i), cos(2 * i), 0.1 * i, sin(3 * i), cos(i), 1 - 0.1 * i, 10 ^ (i / 10 - 1), 0.1, 0.5, 0.9' # 20 samples
cat >own.nde <<'END'
precision f64
data x    : real[3]
data y    : real[3]
data rate : real
data when : real[3]
fn field(z : real[3], t : real, rate : real, x : real[3]) -> real[3] {
  layer hidden = dense(16, tanh)
  layer out    = dense(3)
  return rate * out(hidden([z, x, t]))
}
layer start = dense(3)
solve flow {
  dz   = field(z, t, rate, start(x)) dt
  z(0) = start(x)
  time 0 .. 1 save when
  batching sample
  tolerance 1e-6
  step limit 400
  adjoint discrete checkpoints 16
  regularize error, unbiased(2), through state, weight 100
  regularize rms(k[2] - k[1]), global(max), weight 0.1
}
loss mse(flow.z(1), y) + sum(flow.z(when)^2)
train {
  data  csv("points.csv")
  batch 20
  steps 4
}
END
sed 's/discrete.*/discrete/' own.nde >all.nde
for name in own all; do "$ndec" build --draft $name.nde -o $name >out 2>err || fail "build $name"; done
"$ndec" explain own.nde >out 2>err || fail 'explain'
if grep -q 'the tape takes at most 16.0 checkpoints' out; then ok 'explain tells the bound'; else fail 'explain does not'; fi
for n in 1 2 4 16 1000; do
    passes "own steps, $n checkpoints" ./own gradient -o own$n.safetensors --set flow.checkpoints=$n
    [ $n = 1000 ] || [ $n = 1 ] || same "own steps, $n checkpoints: no other bit" own$n.safetensors own1.safetensors
done
same 'own steps, all are kept: no other bit' own1000.safetensors own1.safetensors
if ./own check-gradient --set flow.checkpoints=3 >out 2>err; then ok "own steps: $(tail -n 1 out)"; else fail 'own steps: check-gradient'; fi
./own train --quiet --out bounded --set flow.checkpoints=3 >out 2>err || fail 'train with a bound'
./all train --quiet --out free >out 2>err || fail 'train without one'
losses() { sed -n 's/.*"step":[0-9]*,"loss":\([0-9.e+-]*\),.*/\1/p' "$1/log.jsonl"; }
losses bounded >bounded.losses
losses free >free.losses
apart=$(paste bounded.losses free.losses | awk '{ d = $1 / $2 - 1; d = d < 0 ? -d : d; most = d > most ? d : most; n++ } END { print n + 0, most + 0 }')
holds "own steps: losses of ${apart% *} steps are ${apart#* } apart" "${apart% *} == 4 && ${apart#* } < 1e-8"
# A bound in bytes: kept, and least what the message says.
mkdir bytes # the file of gradients names the model
sed 's/adjoint.*/memory 300 KiB/' own.nde >bytes/own.nde
"$ndec" build --draft bytes/own.nde -o bytes/own >out 2>err || fail 'build bytes'
./bytes/own gradient -o bytes.safetensors >out 2>err || fail 'bytes: gradient'
same 'own steps, so many bytes: no other bit' bytes.safetensors own1.safetensors
tape=$(sed -n 's/^tape \([0-9]*\) bytes/\1/p' out)
holds "own steps, 300 KiB: $tape bytes" "$tape > 100000 && $tape <= 307200"
ends 2 'too few bytes' 'takes at least [0-9]* KiB with a batch of 20' ./bytes/own gradient -o none.safetensors --set flow.memory=0.01
