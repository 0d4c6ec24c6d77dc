# The cache of `ndec run` and `ndec compare`: what is removed from it, what is not, and what a kill leaves behind.
. "$NDEC_ROOT/tests/case.sh"
export XDG_CACHE_HOME=$work/cache TMPDIR=$work # where a killed build leaves its C files
cache=$XDG_CACHE_HOME/ndec
model() { # NAME RATE
    printf 'data start : real\nsolve decay {\n  du = -%s * u dt\n  u(0) = start\n  time 0 .. 1\n}\noutput decay.u(1)\n' "$2" >"$1.nde"
}
run() { "$ndec" run --draft "$@"; }
is_there() { ls "$cache"/*/"$1" >/dev/null 2>&1; }
there() { if is_there "$1"; then ok "$2"; else fail "$2: there is no $1 in the cache"; fi; }
gone() { if is_there "$1"; then fail "$2: $1 is in the cache"; else ok "$2"; fi; }
age() { touch -t 202001010000 "$cache"/*/.lock; }
for name in first second third fourth; do model $name ${#name}; done

passes 'a program' run first.nde -- --version
passes 'another' run second.nde -- --version
there first 'it stays'
passes 'from the cache' env CC=/none "$ndec" run --draft first.nde -- --version
age
passes 'used once more' env CC=/none "$ndec" run --draft first.nde -- --version
passes 'a third' run third.nde -- --version
there first 'what was used stays'
there third 'what was made stays'
gone second 'what has not been used for a month goes'
if [ "$(ls "$cache" | wc -l)" -eq 2 ]; then ok 'with its folder'; else fail "left: $(ls "$cache"/*)"; fi

# The bound: the longest unused goes first. Programs of such models are of about one size.
touch -t 209901010000 "$(dirname "$(ls "$cache"/*/first)")/.lock"
size=$(wc -c <"$(ls "$cache"/*/first)")
two=$(awk "BEGIN { print 2.5 * $size / 1024 / 1024 }")
passes 'a fourth, with room for two' env NDEC_CACHE_MIB="$two" "$ndec" run --draft fourth.nde -- --version
gone third 'the longest unused goes'
there first 'the other one stays'
there fourth 'so does the new one'
ends 2 'a size that is none' "NDEC_CACHE_MIB.*a number of MiB, not '1 GiB'" env NDEC_CACHE_MIB='1 GiB' "$ndec" run --draft first.nde
ends 2 'a size below 0' 'a number of MiB' env NDEC_CACHE_MIB=-1 "$ndec" run --draft first.nde

# A program that runs keeps its entry, whatever the bound, and lets go of it when it ends, even by a kill.
cat >learns.nde <<'EOF'
data x : real
param a : real = 1
loss a * x^2
train {
  data  csv("x.csv")
  steps 1000000000
}
EOF
seq 40 >x.csv
"$ndec" run --draft learns.nde -- train --out endless --data . >/dev/null 2>&1 </dev/null &
learner=$!
tries=0
while [ ! -s endless/log.jsonl ] && [ $tries -lt 600 ]; do sleep 0.1; tries=$((tries + 1)); done
age
passes 'no room at all' env NDEC_CACHE_MIB=0 "$ndec" run --draft second.nde -- --version
there learns 'a running program keeps its entry'
there second 'so does the one that was just made'
gone first 'the others go'
passes 'a running program runs once more' env CC=/none "$ndec" run --draft learns.nde -- --version
kill -9 $learner
wait $learner 2>/dev/null
passes 'no room, and nobody runs' env NDEC_CACHE_MIB=0 "$ndec" run --draft first.nde -- --version
gone learns 'a program that was killed has let go'

# Objects of a comparison, which are under the same bound; all at once, with the cache being emptied all the time.
passes 'a comparison' env NDEC_CACHE_MIB=0 "$ndec" compare --draft first.nde --methods heun --batchings joint --controllers pi -o all
if ls "$cache"/*/*.o >/dev/null 2>&1; then fail 'objects are left'; else ok 'no object is left'; fi
export NDEC_CACHE_MIB=0
processes=
for i in 1 2 3; do
    for name in first second; do
        (run $name.nde -- --version >"$name.$i.out" 2>&1 && grep -q "model $name" "$name.$i.out") &
        processes="$processes $!"
    done
    "$ndec" compare --draft first.nde --methods heun --batchings joint --controllers pi -o "all$i" 2>"all$i.err" &
    processes="$processes $!"
done
failures=0
for process in $processes; do wait "$process" || failures=$((failures + 1)); done
if [ $failures -eq 0 ]; then ok 'nine at once'; else fail "$failures of nine at once failed: $(cat ./*.out all?.err)"; fi
unset NDEC_CACHE_MIB

# Killed half way: by the compiler that it has started, behind a linked program that is only half there, and behind an
# object of which the same is true. Nobody takes the halves for whole.
cat >kills <<EOF
#!/bin/sh
${CC:-cc} "\$@" || exit 1
case " \$* " in *" -c "*) [ -n "\$KILL_OBJECTS" ] || exit 0 ;; esac
for word do
    [ "\$before" != -o ] || { head -c 1000 "\$word" >"\$word.half" && mv "\$word.half" "\$word"; }
    before=\$word
done
kill -9 \$PPID
EOF
chmod +x kills
rm -rf "$cache"
ends 137 'killed while linking' '' sh -c 'CC=./kills "$0" run --draft second.nde -- --version; exit $?' "$ndec"
gone second 'there is no program'
passes 'it is made again' run second.nde -- --version
if grep -q 'model second' out; then ok 'and is whole'; else fail 'it is not what it should be'; fi
ends 137 'killed while compiling' '' sh -c 'KILL_OBJECTS=1 CC=./kills "$0" compare --draft first.nde --methods heun --batchings joint -o all; exit $?' "$ndec"
gone 'first.o' 'there is no object'
passes 'they are made again' "$ndec" compare --draft first.nde --methods heun --batchings joint -o all
passes 'and are whole' ./all --version
age
passes 'what was left half way' run third.nde -- --version
if ls "$cache"/*/*.part.* >/dev/null 2>&1; then fail "is there: $(ls "$cache"/*/*.part.*)"; else ok 'goes with its entry'; fi
