# STEER: in training the end of the span and the saved times move. With dz = w dt and w = 1 a state is the time itself.
. "$NDEC_ROOT/tests/case.sh"
cat >steer.nde <<'END'
precision f64
const at    = [0.5, 1]
const back  = [1, 0.6, 0]
data x : real
param w : real = 1
solve flow {
  dz   = w dt
  dy   = -w * y * t dt
  z(0) = 0
  y(0) = x
  time 0 .. 1 save at end uniform(0.2)
  regularize 1 * t, unbiased
  regularize rms(u1 - u0), unbiased(2), through state
}
solve exact {
  dq   = -w * sin(q) dt
  q(1) = 1 + x^2
  time 1 .. 0 save back exactly end uniform(0.15)
}
let saved = flow.z(at)
loss saved[0] + 10 * flow.z(1) + 1e6 * (saved[1] - flow.z(1))^2
loss 1e3 * sum(exact.q(back)^2 * flow.y(at)[0])
metric flow.z(1)
metric flow.z(at)[0]
train {
  data  csv("x.csv")
  batch 2
  steps 3
}
END
printf '0.5\n1.5\n' >x.csv
"$ndec" build --draft steer.nde -o steer >out 2>err || fail 'steer: build'
if ./steer check-gradient --data . >out 2>err; then ok "check-gradient: $(tail -n 1 out)"; else fail "check-gradient: $(tail -n 1 out)"; fi

# Only times: loss = saved + 10 end, the regulariser is the end.
sed '/^  regularize/d; s/^  time 0.*/&\n  regularize integral(1)/; /^loss 1e3/d; /^solve exact/,/^}/d; /^const back/d; s/^  steps 3/  steps 400\n  optimizer sgd(1e-30)\n  evaluate every 400/' steer.nde >time.nde
"$ndec" build --draft time.nde -o time >out 2>err || fail 'time: build'
for n in 1 2; do
    ./time train --quiet --data . --threads $n --out time.$n >out 2>err || fail "time: train with $n threads"
    grep -v evaluation time.$n/log.jsonl | sed 's/,"seconds".*//' >time.$n.log
done
same 'the same times with one thread and two' time.1.log time.2.log
tr ':,' '  ' <time.1.log | awk '{ print $6, $4 - 11 * $6 }' >moved.csv # the regulariser is part of the loss
# shellcheck disable=SC2046
set -- $(awk '{ n++; a += $1; b += $2; aa += ($1 - 1)^2; bb += ($2 - 0.5)^2; ab += ($1 - 1) * ($2 - 0.5)
        if (n == 1 || $1 < low) low = $1
        if ($1 > high) high = $1 }
    END { print n, a / n - 1, b / n - 0.5, sqrt(aa / n), sqrt(bb / n), ab / sqrt(aa * bb), low, high }' moved.csv)
holds "$1 ends from $7 to $8" "$1 == 400 && $7 > 0.8 && $7 < 0.805 && $8 > 1.195 && $8 < 1.2"
holds "means of ends and saved times: 1 + $2, 0.5 + $3" "($2)^2 < 0.02^2 && ($3)^2 < 0.02^2"
holds "deviations $4 and $5, of U(-0.2, 0.2) 0.1155" "($4 - 0.1155)^2 < 0.006^2 && ($5 - 0.1155)^2 < 0.006^2"
holds "they do not depend on each other: correlation $6" "($6)^2 < 0.15^2"
./time eval --weights time.1/weights.safetensors --data . >out 2>err || fail 'time: eval'
holds 'evaluation has the times as written' "$(awk '$1 == "flow.z(1)" { a = $2 } $1 == "flow.z(at)[0]" { b = $2 } END { print a + 0, "== 1 &&", b + 0, "== 0.5" }' out)"
ends 2 'times that could change their order' 'flow.end.uniform = 0.25' ./time train --quiet --data . --out wide \
    --set flow.end.uniform=0.25
