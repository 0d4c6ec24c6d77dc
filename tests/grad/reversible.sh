# Reversible methods: the gradient from steps that are undone against that of the same solve with kept steps, equal to
# rounding, and both against finite differences; in constant memory. Each pair of solves has parameters of equal values.
. "$NDEC_ROOT/tests/case.sh"
points 'sin(3 * i + 1) / 2, cos(5 * i) / 2, sin(7 * i * i) / 2' 5

build() { # name
    if "$ndec" build --draft "$1.nde" -o "$1" >out 2>err; then ok "$1: build"; else fail "$1: build"; fi
    if ./"$1" check-gradient >out 2>err; then ok "$1: $(tail -n 1 out)"; else fail "$1: $(tail -n 1 out)"; fi
}

pair() { # name, start, end, saved times, clauses of both, of the one that is undone
    for side in undone kept; do
        adjoint='adjoint discrete'
        [ $side = kept ] || adjoint=$6
        cat <<END
param w_$side$1 : real[9] = weights
solve $side$1 {
  dz    = tanh(reshape(w_$side$1, 3, 3) @ z + sin(t) * z) dt
  z($2) = x
  time $2 .. $3 save $4
$5
  $adjoint
}
loss sum($side$1.z(${4%% *})^3) + 0.7 * mean($side$1.z($3)^2)
END
    done
}
head='precision f64
quantity bend = rms(stage[stages] - u0) + h * rms(k[stages] - k[1])
data x : real[3]'
more='const weights = [0.3, -1, 0.2, 1.1, 0.1, -0.4, -0.3, 0.8, -0.2]
const some = [0.3, 0.7, 1.1]
const back = [1.5, 1.2, 0.41, 0]'
train='train {
  data  csv("points.csv")
  batch 5
  steps 1
}'
cat >pairs.nde <<END
$head
$more
$(pair 1 0 1.5 some '  method alf
  tolerance abs 1e-4 rel 1e-3
  regularize error, global(max), weight 3
  regularize bend, global, weight 0.2' '')
$(pair 2 1.5 0 'back exactly' '  method reversible_heun
  step fixed 0.13
  regularize bend, global(mean), weight 0.2' 'adjoint reversible')
$(pair 3 0 1.5 some '  method reversible_heun
  tolerance 1e-3
  controller pi' '')
$(pair 4 0 1.5 'some exactly' '  method alf
  step fixed 0.1' '')
$train
END
build pairs
./pairs gradient -o g.safetensors >out 2>err || fail 'pairs: gradient'
size=$(od -A n -t u8 -N 8 g.safetensors | tr -d ' ')
numbers() { # of a tensor of float64, one a line
    range=$(head -c $((8 + size)) g.safetensors | tail -c +9 |
        sed 's/.*"'"$1"'":{[^}]*"data_offsets":\[\([0-9]*\),\([0-9]*\)\].*/\1 \2/')
    od -A n -v -t f8 -w8 -j $((8 + size + ${range% *})) -N $((${range#* } - ${range% *})) g.safetensors
}
for i in 1 2 3 4; do
    numbers "grad.w_undone$i" >one
    numbers "grad.w_kept$i" >other
    far=$(paste one other | awk '{ d = $1 - $2; d = d < 0 ? -d : d; far = d > far ? d : far; s = $2 < 0 ? -$2 : $2
        size = s > size ? s : size } END { print (NR == 9 && size > 0.01 ? far / size : 1) }')
    holds "solve $i: undone and kept differ by $far" "$far < 1e-12"
    for what in t h; do # fixed steps that are undone are not kept, but worked out
        numbers "undone$i.$what" >one
        numbers "kept$i.$what" >other
        same "solve $i: the same $what of $(wc -l <one) steps" one other
    done
done

# Draws from the start of steps, states in a reduced form, and memory.
cat >flat.nde <<END
$head
fn field(z : real[12], t : real) -> real[12] {
  layer hidden = dense(3, tanh)
  layer out    = dense(12)
  return out(hidden([z, t]))
}
layer wide = dense(12)
solve flow {
  dz   = field(z, t) dt
  z(0) = wide(x)
  time 0 .. 1
  method reversible_heun
  step fixed 0.01
  regularize bend, biased(2), through state, weight 3
  regularize rms(scaled(err))^2, biased, at accepted, hold slope, weight 2
  regularize rms(scaled(u1 - u0)), global, weight 0.1
}
solve chosen {
  dz   = field(z, t) dt
  z(1) = wide(x)
  time 1 .. 0
  method alf
  tolerance abs linspace(1e-4, 1e-2, 12) rel 1e-3
  regularize error, unbiased, weight 2
  regularize error2, unbiased, through state, at accepted, hold slope, weight 2
}
loss sum(flow.z(1)^3) + mean(chosen.z(0)^2)
$train
END
build flat
tape() { ./flat gradient -o g.safetensors --set flow.step.fixed="$1" >out 2>err; sed -n 's/^tape \([0-9]*\) bytes/\1/p' out; }
few=$(tape 0.01) many=$(tape 0.0001)
holds "100 steps take $few bytes, 10000 take $many" "$few > 0 && $few == $many"
