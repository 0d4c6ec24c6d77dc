# Whatever is wrong is named, with the next move and the right exit code, and older results stay as they are.
. "$NDEC_ROOT/tests/case.sh"

# ---- the compiler ----
cat >wrong.nde <<'END'
data x : real[4]
layer hiden = dense(3)
output hidden(x)
END
ends 1 'a wrong model' "wrong.nde:3:8: error: .*hidden" "$ndec" check wrong.nde
if grep -q "did you mean 'hiden'" err; then ok 'and a suggestion'; else fail 'no suggestion'; fi
ends 2 'a model that is not there' "none.nde" "$ndec" check none.nde
ends 2 'an unknown command' "did you mean 'check'|Did you mean 'check'" "$ndec" chek wrong.nde
ends 2 "a program's command" 'ndec run wrong.nde -- train$' "$ndec" train wrong.nde
ends 2 'no command' 'such as  ndec run wrong.nde$' "$ndec" wrong.nde
ends 2 'an unknown option' "hasty" "$ndec" check wrong.nde --hasty
ends 2 'no command' "ndec --help" "$ndec"
ends 2 'an option for the program' 'behind --, as in  ndec run FILE -- train --set' "$ndec" run wrong.nde --set train.steps=3
ends 2 'a command for the program' 'behind --, as in  ndec run FILE -- eval' "$ndec" run wrong.nde eval
ends 2 'two files' 'one file at a time.*other.nde' "$ndec" check wrong.nde other.nde
ends 2 '--draft with another command' 'belongs to build, run' "$ndec" check --draft wrong.nde
ends 2 'no place for the program' "no/such/folder" "$ndec" build "$examples/lorenz.nde" -o no/such/folder/lorenz
passes 'emit makes its folder' "$ndec" emit "$examples/lorenz.nde" -o made
passes 'and takes one that is there' "$ndec" emit "$examples/lorenz.nde" -o made/
if [ -s made/lorenz.c ]; then ok 'the C file is there'; else fail 'there is no made/lorenz.c'; fi
ends 2 'no place for the folder' "no/such': the folder that it belongs into is not there" "$ndec" emit "$examples/lorenz.nde" -o no/such
ends 2 'a file in place of the folder' "wrong.nde': there is a file" "$ndec" emit "$examples/lorenz.nde" -o wrong.nde
ends 2 'no C compiler' "C compiler" env -u CC PATH=/nowhere "$ndec" build "$examples/lorenz.nde"
ends 2 'a C compiler that is not there' "gcc-0" env CC=gcc-0 "$ndec" build "$examples/lorenz.nde"
ends 2 'a full standard output' "standard output" sh -c "'$ndec' explain '$examples/lorenz.nde' >/dev/full"
ends 1 'a folder for a model, or a file of zeros' 'error' sh -c "head -c 100 /dev/zero >zeros.nde; '$ndec' check zeros.nde"
if [ "$(grep -c error: err)" -eq 1 ] && grep -q 'zero byte' err; then ok 'one message for what is no text'; else fail 'what is no text has another message'; fi
# Each of these took hours or forever.
{ echo 'train'; head -c 4000000 /dev/zero | tr '\0' '\n'; echo '{'; } >lines.nde
ends 1 'a brace behind four million lines' "lines.nde:4000002:1: error: '{' belongs" timeout 300 "$ndec" check lines.nde
numbered() { # N FORMAT: the format for 0 .. N - 1
    awk -v n="$1" -v format="$2\n" 'BEGIN { for (i = 0; i < n; i++) printf format, i, i, i }'
}
{ printf 'data x : real[2]\nsolve s {\n'; numbered 400 '  dz%d = -z%d dt\n  z%d(0) = x'
  printf '  time 0 .. 1 save linspace(0, 1, 100000)\n}\noutput s.z0(1)\n'; } >wide.nde
passes 'four hundred states that are vectors, a hundred thousand times' timeout 300 "$ndec" check wide.nde
cp "$examples/lorenz.nde" bare
ends 2 'a program in place of its model' "bare' is the model itself" "$ndec" build bare
cp bare bare.c
ends 2 'a C file in place of its model' "bare.c' is the model itself" "$ndec" emit bare.c
same 'the model is as it was' bare "$examples/lorenz.nde"
same 'so is the other one' bare.c bare

# A C compiler that cannot do its work: the reason is named, the fault is not ours, and nothing is left.
mkdir fresh
printf '#!/bin/sh\necho "$SAYS" >&2\nexit 1\n' >says
chmod +x says
sed -n 's/^TROUBLE("\([^"]*\)", "\([^"(:]*\).*/\1|\2/p' "$root/compiler/trouble.def" >rows
while IFS='|' read -r said meaning; do
    ends 2 "a compiler that says '$said'" "$meaning" env SAYS="ld: $said" CC=./says TMPDIR="$work/fresh" "$ndec" build bare -o b
done <rows
if gcc=$(command -v gcc); then
    ends 2 'a compiler whose assembler is not in PATH' 'assembler' env CC="$gcc" PATH=/nowhere "$ndec" build bare -o b
fi
holds 'all rows of trouble.def' "$(wc -l <rows) == $(grep -c '^TROUBLE(' "$root/compiler/trouble.def")"
if [ -z "$(ls fresh)" ]; then ok 'no folder is left'; else fail "left: $(ls fresh)"; fi
ends 70 'a compiler that says something else' 'our fault' env SAYS='ld: oh' CC=./says TMPDIR="$work/fresh" "$ndec" build bare -o b
# A build that is stopped: its compilers end, and nothing is left.
printf '#!/bin/sh\necho $$ >>started\nexec sleep 100\n' >slow
chmod +x slow
rm -rf fresh/* # of the one that was our fault
CC=./slow TMPDIR=$work/fresh "$ndec" build bare -o b 2>err &
pid=$!
i=0
until [ -s started ] || [ "$i" -gt 300 ]; do i=$((i + 1)); sleep 0.05; done
kill -TERM "$pid"
code=0
wait "$pid" || code=$?
holds 'a build that is stopped' "$code == 143"
rest=
while read -r compiler; do ! kill -0 "$compiler" 2>/dev/null || rest="$rest $compiler"; done <started
if [ -z "$rest$(ls fresh)" ] && [ ! -s err ]; then ok 'leaves nothing'; else fail "left: $rest $(ls fresh)"; fi
passes 'help' "$ndec" --help
cp out helped
passes 'help as a command' "$ndec" help
same 'the same help' helped out
passes 'version' "$ndec" --version

# ---- a program: its command line and its data ----
cat >line.nde <<'END'
data x : real[2]
data kind : class[3]
layer head = dense(3)
let logits = head(x)
loss   cross_entropy(logits, kind)
metric accuracy(logits, kind)
output softmax(logits)
train {
  data  csv("points.csv")
  steps 20
  batch 4
  optimizer sgd(0.1)
}
END
passes 'a small model' "$ndec" build line.nde
good() { printf '1,2,0\n2,1,1\n0.5,0,2\n1,1,1\n3,1,0\n'; }
good >points.csv
passes 'train' ./line train --out run
cp -r run before
unchanged() { if diff -r run before >/dev/null; then ok "$1: older results are as they were"; else fail "$1: older results changed"; fi; }
ends 2 'a folder that holds a run' "holds a run already" ./line train --out run
unchanged 'a second run'
ends 2 'two folders for a run' 'leave --out out' ./line train --resume run --out run2
ends 2 'too many threads' 'a whole number up to 4096' ./line train --threads 100000 --out run2
ends 2 'an unknown word' "did you mean 'train'" ./line trian
ends 2 'an unknown option of a program' "did you mean '--seed'" ./line train --seeed 3
ends 2 'an unknown key' "did you mean 'train.steps'" ./line train --set train.step=3
ends 2 'a key without a value' "KEY=VALUE" ./line train --set train.steps
ends 2 'a value that is no number' "not a number" ./line train --set train.steps=many
ends 2 'a number of steps that is not whole' "train.steps" ./line train --set train.steps=1.5
ends 2 'a batch of nothing' "train.batch" ./line train --set train.batch=0
ends 2 'no weights' "weights" ./line eval
ends 2 'weights that are not there' "none.safetensors" ./line eval --weights none.safetensors
ends 4 'a file that is no weights' "points.csv" ./line eval --weights points.csv
head -c 60 run/weights.safetensors >short.safetensors
ends 4 'truncated weights' "short.safetensors" ./line eval --weights short.safetensors
# put FILE AT: eight bytes that are no number, there
put() { printf '\377\377\377\377\377\377\377\377' | dd of="$1" bs=1 seek="$2" conv=notrunc 2>dd.err; }
cp run/weights.safetensors none.safetensors
put none.safetensors $(($(wc -c <none.safetensors) - 8))
ends 4 'weights that are no numbers' "none.safetensors: 'head.b' is not finite in entry 1" ./line eval --weights none.safetensors
cp -r run damaged
at=$(od -An -v -j 4 -t f8 -w8 run/checkpoint.safetensors | grep -nx " *$(wc -c <run/log.jsonl)" | cut -d: -f1)
put damaged/checkpoint.safetensors $((8 * at - 4)) # behind 27 numbers of 4 bytes
ends 4 'a damaged checkpoint' "the checkpoint's 'state' is damaged" ./line train --resume damaged --set train.steps=30
same 'its log is as it was' damaged/log.jsonl run/log.jsonl
{ head -c -36 run/weights.safetensors; head -c 36 /dev/zero | tr '\0' '~'; } >huge.safetensors # 8e37, all of them
mkdir far
printf '1e30,1e30,0\n' >far/points.csv
ends 3 'a loss that is no number in eval' 'the loss is not finite' ./line eval --data far --weights huge.safetensors
rm none.safetensors
ends 2 'data that are not there' "points.csv" ./line train --data elsewhere --out r1
cut -d, -f1,2 points.csv >x.csv && mv x.csv points.csv
ends 4 'a column too few' "points.csv" ./line train --out r2
printf '1,2,0\n2,1\n' >points.csv
ends 4 'a short line' "points.csv.*line 2" ./line train --out r3
printf '1,2,0\n2,one,1\n' >points.csv
ends 4 'a word among the numbers' "points.csv.*line 2" ./line train --out r4
printf '1,2,0\n2,,1\n' >points.csv
ends 4 'a gap' "points.csv.*line 2" ./line train --out r5
printf '1,2,0\n2,1,3\n' >points.csv
ends 4 'a label out of range' "points.csv.*3" ./line train --out r6
printf '1,2,0\n2,1,0.5\n' >points.csv
ends 4 'a label that is not whole' "points.csv.*0.5" ./line train --out r7
: >points.csv
ends 4 'an empty file' "points.csv.*empty" ./line train --out r8
good | gzip -c | head -c 30 >points.csv
ends 4 'a truncated archive' "points.csv" ./line train --out r9
good >points.csv
for r in r1 r2 r3 r4 r5 r6 r7 r8 r9; do [ ! -s "$r/log.jsonl" ] || fail "$r: a run was begun without data"; done
sed 's/real\[2\]/real[3]/' line.nde >wide.nde
passes 'another model' "$ndec" build wide.nde
printf '1,2,0,1\n' >wide.csv
ends 4 'weights of another model' "head.W" ./wide predict -i wide.csv --weights run/weights.safetensors
ends 2 'a full disk' "standard output" sh -c './line predict --weights run/weights.safetensors >/dev/full'
ends 2 'a name that says no format' "csv or .npy" ./line predict --weights run/weights.safetensors -o out.txt
printf 'x' >file
ends 2 'results where a file stands' "file" ./line train --out file/run
ends 3 'a loss that is no number' "not finite|line.nde" ./line train --out r10 --set train.optimizer.rate=1e38
ends 2 'a rate below 0' "the optimizer's rate is -1 in training step 1; it must be a finite number, at least 0" \
    ./line train --out r11 --set train.optimizer.rate=-1
ends 2 'a momentum of 1' "momentum is 1 in training step 1; it must be at least 0 and less than 1" \
    ./line train --out r12 --set train.optimizer.momentum=1
ends 2 'a device for data' "'/dev/zero': it is a device" ./line predict --weights run/weights.safetensors -i /dev/zero
unchanged 'all these'
# A limit on file sizes is what a full disk looks like: the old file stays, and no other is left behind.
passes 'predict to a file' ./line predict --weights run/weights.safetensors -o out.csv
cp out.csv old.csv
i=0
while [ "$i" -lt 3000 ]; do echo "$i,1"; i=$((i + 1)); done >many.csv
ends 2 'no room for the result' "out.csv" sh -c 'ulimit -f 8; ./line predict --weights run/weights.safetensors -i many.csv -o out.csv'
same 'the old result' out.csv old.csv
if ls | grep -q 'out.csv.'; then fail 'a part of a file is left behind'; else ok 'nothing is left behind'; fi

blocks=$(($(wc -c <line) / 1024)) # half of the program
ends 2 'no room for the program' 'larger than the shell allows' sh -c "ulimit -f $blocks; '$ndec' build line.nde -o line2"
if ls | grep -q '^line2'; then fail "left: $(ls | grep '^line2')"; else ok 'nothing is left of the program'; fi

# ---- killed in the middle ----
passes 'build digits' "$ndec" build "$examples/digits_ode.nde" -o digits
./digits train --quiet --data "$examples" --out killed --set train.steps=100000 --set train.evaluate=5 --threads 1 >out 2>err &
pid=$!
i=0
until [ -s killed/checkpoint.safetensors ] || [ "$i" -gt 300 ]; do i=$((i + 1)); sleep 0.05; done
ends 2 'a run that goes on is not resumed beside it' 'another program is training in killed' \
    ./digits train --quiet --data "$examples" --resume killed --threads 1
kill -KILL "$pid"
wait "$pid" 2>/dev/null || true
at=$(grep -c '"loss".*"reg"' killed/log.jsonl)
passes "a killed run goes on (it was at step $at)" ./digits train --quiet --data "$examples" --resume killed \
    --set train.steps=$((at + 20)) --set train.evaluate=5 --threads 1
steps=$(sed -n 's/.*"step":\([0-9]*\),"loss":[^,]*,"reg".*/\1/p' killed/log.jsonl | awk '$1 != ++n { print "gap"; exit }')
if [ -z "$steps" ]; then ok 'its log has every step once'; else fail 'its log has gaps or doubles'; fi

# ---- a terminal that goes away; what a program that `ndec run` has started says of how to go on ----
export XDG_CACHE_HOME=$work/cache
mkdir 'a b'
good >'a b/points.csv'
cp line.nde "a b/it's a line.nde"
"$ndec" run "a b/it's a line.nde" --draft -- train --quiet --set train.steps=100000000 >out 2>err &
pid=$!
i=0
until [ -s runs/0001/log.jsonl ] || [ "$i" -gt 600 ]; do i=$((i + 1)); sleep 0.05; done
kill -HUP "$pid"
code=0
wait "$pid" || code=$?
holds 'a hang-up is an interruption' "$code == 5"
sed -n 's/^  //p' err >call
passes 'the call that it names goes on' sh -c "$(cat call) --set train.steps=1"
if grep -q 'nothing is left to do' out && grep -q '^[^ ]*ndec run ' call; then ok 'and is one of ndec'; else fail "it is $(cat call)"; fi

# ---- numerical failures ----
cat >explode.nde <<'END'
precision f64
data start : real
param rate : real = 1
solve u_of_t {
  let growth = rate * u
  du   = growth * u dt
  u(0) = start
  time 0 .. 2
}
loss   u_of_t.u(2)
output u_of_t.u(2)
train {
  data  csv("start.csv")
  steps 3
}
END
passes 'a solution that ends' "$ndec" build explode.nde
echo 1 >start.csv
ends 3 'the step size underflows' "u_of_t" ./explode train --out x1
if grep -Eq 't = (0\.99|1)' err && grep -q 'explode.nde' err; then ok 'it names the time and the file'
else fail 'it does not name the time and the file'; fi
if grep -q 'try' err; then ok 'it says what to try'; else fail 'it does not say what to try'; fi
ends 3 'too many steps' "limit" ./explode train --out x2 --set u_of_t.step.limit=5
cat >root.nde <<'END'
precision f64
data start : real
param rate : real = 1
solve fall {
  let inner = 1 - t
  du   = rate * sqrt(inner) dt
  u(0) = start
  time 0 .. 2
}
loss fall.u(2)
train {
  data  csv("start.csv")
  steps 3
}
END
passes 'a root of a negative number' "$ndec" build root.nde
ends 3 'a value that is not finite' "root.nde:6" ./root train --out x3
