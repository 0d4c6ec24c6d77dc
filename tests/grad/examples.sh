# check-gradient for the examples, on their data or, where that is not there, on random data; and that a wrong gradient
# would be noticed.
. "$NDEC_ROOT/tests/case.sh"
for name in spiral_ode lotka_volterra_ude own_method digits_ode mnist_ode; do
    data="--data $examples"
    [ $name != mnist_ode ] || data='' # then the samples are random where there is no file
    "$ndec" build "$examples/$name.nde" -o "$name" >out 2>err || fail "$name: build"
    # shellcheck disable=SC2086
    if ./"$name" check-gradient $data --entries 5 >out 2>err; then ok "$name: $(tail -n 1 out)"
    else fail "$name: $(tail -n 1 out)"; fi
done
# A tolerance that no difference can meet is not met.
ends 3 'a tolerance of 1e-18' 'gradient|error' ./spiral_ode check-gradient --data "$examples" --tolerance 1e-18

# Discrete gradients reach the saved times, through interpolation and exactly, forwards and backwards.
for save in 'save at' 'save at exactly'; do
    for span in '0 .. 1' '1 .. 0'; do
        list='[0.2, 0.5, 1]'
        [ "$span" = '0 .. 1' ] || list='[0.7, 0.5, 0]'
        name=saved_$(echo "$save$span" | sed 's/[^a-z0-9]\{1,\}/_/g')
        cat >"$name.nde" <<END
precision f64
const at = $list
data x : real[2]
fn field(z : real[2], t : real) -> real[2] {
  layer hidden = dense(5, tanh)
  layer out = dense(2)
  return out(hidden([z, t]))
}
solve flow {
  dz = field(z, t) dt
  z(${span%% *}) = x
  time $span $save
  tolerance 1e-3
  regularize error, global, weight 1
}
loss sum(flow.z(at)^3) + sum(flow.z(${span##* })[0])
train {
  data npy("x.npy")
  steps 1
}
END
        "$ndec" build "$name.nde" -o "$name" >out 2>err || fail "$name: build"
        if ./"$name" check-gradient >out 2>err; then ok "$name: $(tail -n 1 out)"; else fail "$name: $(tail -n 1 out)"; fi
    done
done

# Each optimiser makes each loss smaller. (Their formulas: unit/optim.)
for rule in 'sgd(0.05)' 'sgd(0.02, momentum = 0.9)' 'nesterov(0.02)' 'rmsprop(0.01)' 'adam(0.02)' 'adamw(0.02)' \
    'adamax(0.02)' 'adabelief(0.02)'; do
    name=$(echo "$rule" | sed 's/[^a-z0-9]//g')
    { echo 'precision f64'; cat "$examples/own_method.nde"; } | sed "s/adam(0.003)/$rule/; /regularize/d; s/steps     1000/steps 120/; s/split .*/split 0.8/; s/batch     64/evaluate every 120/" >"$name.nde"
    "$ndec" build "$name.nde" -o "$name" >out 2>err || fail "$name: build"
    ./"$name" train --quiet --data "$examples" --out "$name.run" --set train.steps=120 >out 2>err || fail "$name: train"
    first=$(sed -n '1s/.*"loss":\([-0-9.e]*\).*/\1/p' "$name.run/log.jsonl")
    last=$(sed -n 's/.*"evaluation":[^,]*,"loss":\([-0-9.e]*\).*/\1/p' "$name.run/log.jsonl" | tail -n 1)
    holds "$rule: loss from $first to $last" "$last < 0.5 * $first && $last > 0"
done
