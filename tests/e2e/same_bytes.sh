# The same file compiled in two folders and two locales gives the same bytes; threads and an interruption change nothing.
. "$NDEC_ROOT/tests/case.sh"
mkdir one two two/deeper
locale=$(locale -a 2>/dev/null | grep -E -m 1 '^(de|fr|tr|pl|nb)_' || echo C.UTF-8)
for f in "$examples"/*.nde; do
    name=$(basename "$f" .nde)
    cp "$f" one/
    cp "$f" two/deeper/
    (cd one && LC_ALL=C "$ndec" emit "$name.nde" 2>/dev/null)
    LC_ALL=$locale LANG=$locale TZ=Asia/Kolkata "$ndec" emit "two/deeper/$name.nde" -o two 2>/dev/null
    same "$name: the same C file in two folders, LC_ALL=C and $locale" "one/$name.c" "two/$name.c"
done

# Generated code is free of warnings, for both compilers where there are two.
for cc in gcc clang; do
    command -v "$cc" >/dev/null 2>&1 || { echo "skip warnings of $cc: it is not installed"; continue; }
    for c in one/*.c; do
        level=-O1
        [ "$c" != one/cnf.c ] || level=-O0 # it is long
        passes "$cc has no warning for $c" "$cc" -std=c11 "$level" -march=native -ffp-contract=fast -Wall -Wextra -Werror \
            -Wdouble-promotion -Wshadow -I"$root/runtime" -c "$c" -o x.o
    done
done

# What is begun for an error of few numbers and given up is not counted: the order of states changes no size.
states() { # the states in their order
    printf 'precision f64\ndata x : real[3]\nparam w : real[5] = ones()\nsolve s {\n  let c = cos(x)'
    awk 'BEGIN { for (i = 0; i < 250; i++) printf " + sin(%d.5 * a)", i; print "" }'
    for state in $1; do
        case $state in a) echo '  da = c * b[0] dt' ;; b) echo '  db = w * b * c[0] dt' ;; esac
    done
    printf '  a(0) = x\n  b(0) = w\n  time 0 .. 1\n}\noutput s.a(1), s.b(1)\n'
}
for order in 'a b' 'b a'; do
    states "$order" >order.nde
    "$ndec" explain order.nde | grep 'a step of [0-9]* operations is too long' >"order ${order% *}" || fail "explain $order"
done
same 'operations of a step whatever the order of states' 'order a' 'order b'

passes 'build digits' "$ndec" build "$examples/digits_ode.nde" -o digits
train() { # folder, further arguments
    to=$1
    shift
    ./digits train --quiet --data "$examples" --out "$to" --set train.steps=40 --set train.evaluate=10 "$@" >out 2>err ||
        fail "train $to"
}
train t1 --threads 1
train t2 --threads 2
same 'weights after training with 1 and with 2 threads' t1/weights.safetensors t2/weights.safetensors
train t3 --threads 2 --seed 7
if cmp -s t1/weights.safetensors t3/weights.safetensors; then fail 'another seed gives the same weights'
else ok 'another seed gives other weights'; fi

# Weights and states so large that threads share their packing and copying.
cat >wide.nde <<'END1'
data x : real[600]
fn field(z : real[600]) -> real[600] {
  layer hidden = dense(100, tanh)
  layer out    = dense(600)
  return out(hidden(z))
}
solve flow {
  dz        = field(z) dt
  z(0)      = x
  time      0 .. 1
  tolerance 1e-4
}
loss   sum(flow.z(1)^2)
output flow.z(1)
train {
  data  csv("wide.csv")
  batch 100
  steps 3
}
END1
awk 'BEGIN { srand(5); for (i = 0; i < 100; i++) for (j = 0; j < 600; j++)
    printf "%.4f%s", 2 * rand() - 1, j < 599 ? "," : "\n" }' >wide.csv
for option in '' --no-reduce; do
    # shellcheck disable=SC2086
    passes "build wide $option" "$ndec" build $option wide.nde -o wide
    for n in 1 3; do
        ./wide train --quiet --threads $n --out "wide$n$option" >out 2>err || fail "wide: train with $n threads"
        ./wide predict --threads $n --weights "wide$n$option/weights.safetensors" -i wide.csv -o "wide$n$option.csv" >out 2>err ||
            fail "wide: predict with $n threads"
    done
    same "wide $option: weights with 1 and 3 threads" "wide1$option/weights.safetensors" "wide3$option/weights.safetensors"
    same "wide $option: predictions with 1 and 3 threads" "wide1$option.csv" "wide3$option.csv"
done

# Half of the steps, then the rest. The rate depends on the number of steps, so the first half is interrupted, not short.
./digits train --quiet --data "$examples" --out half --set train.steps=2500 --set train.evaluate=10 --threads 1 >out 2>err &
pid=$!
i=0
until [ -s half/checkpoint.safetensors ] || [ "$i" -gt 300 ]; do i=$((i + 1)); sleep 0.05; done
kill -INT "$pid" 2>/dev/null || true
code=0
wait "$pid" || code=$?
holds 'an interrupted run ends with 5' "$code == 5"
if grep -q -- '--resume half' err; then ok 'it says how to go on'; else fail 'it does not say how to go on'; fi
at=$(sed -n 's/.*"steps":\([0-9]*\).*/\1/p' half/summary.json)
holds "it stopped on the way, at step $at" "$at > 0 && $at < 2500"
passes 'resume' ./digits train --quiet --data "$examples" --resume half --set train.steps=2500 --set train.evaluate=10 \
    --threads 1
./digits train --quiet --data "$examples" --out whole --set train.steps=2500 --set train.evaluate=10 --threads 1 >out 2>err
same 'weights of the resumed and of the uninterrupted run' half/weights.safetensors whole/weights.safetensors
cut -d, -f1-6 half/log.jsonl | sed 's/,"seconds.*//' >a
cut -d, -f1-6 whole/log.jsonl | sed 's/,"seconds.*//' >b
same 'and their logs but for the seconds' a b
