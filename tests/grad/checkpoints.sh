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
