# Several sources of data side by side: each has its own scale, and a setting of its own for it.
. "$NDEC_ROOT/tests/case.sh"
cat >sides.nde <<'EOF'
data a : real
data b : real
data c : real
param p : real = 0.5
loss p * 0 * a
metric a
metric b
metric c
train {
  data  csv("a.csv", scale = 10), csv("b.csv"), csv("c.csv", scale = 1000)
  steps 1
  batch 4
}
EOF
printf '1\n2\n3\n6\n' >a.csv # each of mean 3
cp a.csv b.csv
cp a.csv c.csv
passes 'build' "$ndec" build --draft sides.nde
passes 'train' ./sides train --quiet --out run
means() { # OPTIONS: the metrics
    ./sides eval --weights run/weights.safetensors "$@" 2>err | awk '$1 ~ /^[abc]$/ { printf "%s ", $2 }'
}
means >got
if [ "$(cat got)" = '30 3 3000 ' ]; then ok 'each by its own scale'; else fail "the means are $(cat got)"; ./sides eval --weights run/weights.safetensors; fi
means --set train.data3.scale=2 --set train.data.scale=5 >got
if [ "$(cat got)" = '15 3 6 ' ]; then ok 'each by its own setting'; else fail "the means are $(cat got)"; fi
ends 2 'a source without a scale has no setting' 'train.data2.scale' ./sides train --set train.data2.scale=1 --out none
