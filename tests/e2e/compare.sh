# `ndec compare`: one program with several methods; its table, CSV and picture; numbers that other commands give too.
. "$NDEC_ROOT/tests/case.sh"
export XDG_CACHE_HOME=$work/cache
cat >pair.nde <<'END'
precision f64
data x : real[2]
data y : real[2]
fn field(z : real[2], t : real) -> real[2] {
  layer hidden = dense(5, tanh)
  layer out    = dense(2)
  return out(hidden([z, t]))
}
solve flow {
  dz        = field(z, t) dt
  z(0)      = x
  time      0 .. 2
  tolerance 1e-5
  regularize error, unbiased, weight 10
}
loss mse(flow.z(2), y)
output flow.z(2)
train {
  data  csv("pair.csv")
  steps 10
  batch 16
}
END
awk 'BEGIN { for (i = 0; i < 20; i++) print sin(i) "," cos(3 * i) "," cos(i) / 2 "," sin(2 * i) / 2 }' >pair.csv
passes 'build' "$ndec" compare pair.nde --methods 'heun, dopri5, rk4' --adjoints discrete --batchings joint \
    --controllers 'pi, pid(0.2, 0.4, 0), pi82' -o all
if grep -q 'dopri5, adjoint discrete, batching joint' err; then ok 'says what is built'; else fail 'does not say what is built'; fi
passes 'compare' ./all compare --tolerances 1e-3,1e-5,1e-7,1e-9,1e-13 --rounds 1 --csv t.csv --svg t.svg
mv out table
# field METHOD TOLERANCE OWN COLUMN: of t.csv
field() {
    awk -F, -v m="$1" -v level="$2" -v own="$3" -v name="$4" '
        NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) k = i; next }
        $1 == m && $5 + 0 == level + 0 && $6 == own { print $k; exit }' t.csv
}
promised=method,adjoint,batching,controller,tolerance,own,evaluations,reverse_evaluations,accepted,rejected,forward_ms,reverse_ms
promised=$promised,rest_ms,tape_bytes,work_bytes,error,gradient_error,refusal
if [ "$(head -n 1 t.csv)" = "$promised" ]; then ok 'columns'; else fail "the columns are $(head -n 1 t.csv)"; fi
for row in tsit5 heun dopri5; do
    if grep -Eq "^$row +discrete +joint +pi82 +[0-9]" table; then ok "$row is a row"; else fail "the table has no row $row"; fi
done
if grep -q "^rk4 .*'rk4' has no embedded method" table; then ok 'what does not fit has its reason'; else fail 'rk4 has no reason'; fi
holds 'a line for each row and tolerance' "$(wc -l <t.csv) == 1 + 6 * 6"
wrong=$(awk -F, 'NR > 1 { gsub(/"[^"]*"/, "quoted") } NR > 1 && $18 == "" { for (i = 7; i <= 15; i++) if ($i <= 0 && i != 10 && i != 13) print $1, $5 ": column", i }' t.csv)
if [ -z "$wrong" ]; then ok 'numbers are above 0'; else fail "numbers: $wrong"; fi

# The counts of a row are those of a program with that method; the reverse of a step evaluates each of its stages
# once, that of tsit5 the first stage of all besides.
passes 'build with heun' "$ndec" build pair.nde --method heun -o one
passes 'gradient of heun' ./one gradient -o g.safetensors
for what in 'nfe evaluations' 'accepted accepted' 'rejected rejected'; do
    # shellcheck disable=SC2086
    set -- $what
    holds "heun: $2" "$(sed -n "s/^$1 //p" out) == $(field heun 1e-5 1 "$2")"
done
holds 'heun: the tape' "$(sed -n 's/^tape \([0-9]*\) bytes/\1/p' out) == $(field heun 1e-5 1 tape_bytes)"
holds 'heun: fewer steps, fewer bytes, whatever ran before' "$(field heun 1e-3 0 tape_bytes) < $(field heun 1e-5 1 tape_bytes)"
holds 'heun: reverse' "$(field heun 1e-5 1 reverse_evaluations) == 2 * $(field heun 1e-5 1 accepted)"
holds 'tsit5: reverse, with that of the first stage' "$(field tsit5 1e-5 1 reverse_evaluations) == 6 * $(field tsit5 1e-5 1 accepted) + 1"

# So are those of a controller, whose row is the code of the model's own.
controlled() { # CONTROLLER COLUMN: at the file's tolerance
    grep -F "tsit5,discrete,joint,$1,1e-05,1," t.csv | sed 's/"[^"]*"/quoted/g' | cut -d, -f"$2"
}
for name in pi 'pid(0.2, 0.4, 0)'; do
    case $name in *,*) row="\"$name\"" ;; *) row=$name ;; esac
    passes "build with $name" "$ndec" build pair.nde --controller "$name" -o steered
    passes "gradient of $name" ./steered gradient -o g.safetensors
    holds "$name: evaluations" "$(sed -n 's/^nfe //p' out) == $(controlled "$row" 7)"
    holds "$name: accepted" "$(sed -n 's/^accepted //p' out) == $(controlled "$row" 9)"
    holds "$name: rejected" "$(sed -n 's/^rejected //p' out) == $(controlled "$row" 10)"
    holds "$name: other steps than pi82" "$(controlled "$row" 9) != $(field tsit5 1e-5 1 accepted)"
done

# Errors fall with the tolerance, and at that of the reference only rounding is left; the regulariser, whose gradient
# is large here and another one for each method, is no part of them.
for method in heun dopri5 tsit5; do
    for what in error gradient_error; do
        holds "$method: $what falls" "$(field $method 1e-3 0 $what) > 10 * $(field $method 1e-5 0 $what) && $(field $method 1e-5 0 $what) > 10 * $(field $method 1e-7 0 $what) && $(field $method 1e-7 0 $what) < 1e-5"
    done
done
for method in dopri5 tsit5; do
    holds "$method: exact at 1e-13" "$(field $method 1e-13 0 error) < 1e-12 && $(field $method 1e-13 0 gradient_error) < 1e-11"
done
holds 'one error at one tolerance' "$(field tsit5 1e-5 0 error) == $(field tsit5 1e-5 1 error)"
if grep -q "^heun.*,,,,,,.*limit of steps" t.csv; then ok 'a tolerance that is out of reach'; else fail 'heun reaches 1e-13'; fi
if [ "$(head -c 4 t.svg)" = '<svg' ] && grep -q 'relative error of the gradient' t.svg && grep -q '>dopri5<' t.svg &&
    grep -q 'controllers: error and evaluations' t.svg && grep -qF '>pid(0.2, 0.4, 0)<' t.svg; then ok 'picture'
else fail 'the picture lacks a part'; fi
if command -v xmllint >/dev/null 2>&1; then passes 'the picture is XML' xmllint --noout t.svg
else echo 'skip the picture is XML: xmllint is not installed'; fi

# Other uses of the program.
passes 'other weights' ./one train --quiet --out run
passes 'with weights and a file' ./all compare --weights run/weights.safetensors -i pair.csv --batch 5 --rounds 1 --csv u.csv
if grep -q '5 samples' out; then ok 'a batch of 5'; else fail 'no batch of 5'; fi
passes 'a tolerance by --set' ./all compare --set flow.tolerance=1e-3 --rounds 1 --csv u.csv
holds 'is that of the rows' "$(sed -n '/^tsit5/p' u.csv | head -n 1 | cut -d, -f5) == 0.001"
passes 'the same program trains' ./all train --quiet --out run2
passes 'too few steps' ./all compare --set flow.step.limit=5 --rounds 1
if grep -q '^heun .*limit of steps' out; then ok 'a row that cannot be solved says why'; else fail 'no reason'; fi
# --foreground: else the signal is sent twice, and the second ends the program at once.
ends 5 'Ctrl-C' 'interrupted' timeout --foreground --preserve-status -s INT 2 ./all compare --rounds 1000000000 --csv i.csv --svg i.svg
if ls | grep -q '^\.*i\.\(csv\|svg\)'; then fail "left behind: $(ls -a | grep 'i\.[cs]')"; else ok 'nothing is left behind'; fi
ends 2 'a program for one method' 'ndec compare pair.nde' ./one compare
ends 2 'no tolerance' '--tolerances takes numbers' ./all compare --tolerances 1e-3,x
ends 2 'an empty list' '--tolerances takes numbers' ./all compare --tolerances ''
ends 2 'a tolerance of 0' '--tolerances takes numbers' ./all compare --tolerances 0
ends 2 'another kind of table' 'must end in .csv' ./all compare --csv t.txt
ends 2 'another kind of picture' 'must end in .svg' ./all compare --svg t.png
ends 2 'no folder for the picture' 'nowhere' ./all compare --svg nowhere/t.svg
ends 1 'an unknown method' "command line:1:10: error: nothing is called 'heunn'" "$ndec" compare pair.nde --methods heunn
ends 1 'an unknown controller' 'the controllers are pi82, elementary' "$ndec" compare pair.nde --controllers pii
ends 2 'an empty entry' 'an entry of the list is empty' "$ndec" compare pair.nde --methods heun,,bosh3
ends 2 'several instruction sets' 'one instruction set' "$ndec" compare pair.nde --isa all
ends 2 'lists for another command' 'belongs to compare, not to build' "$ndec" build pair.nde --methods heun
printf 'data x : real\noutput 2 * x\n' >none.nde
ends 2 'nothing to solve' 'no solve block' "$ndec" compare none.nde

# Fixed steps, no training, no data: what is compared are step sizes. Another row is one compilation more, beside main;
# once more the same rows are none.
printf '#!/bin/sh\ncase " $* " in *" -c "*) echo "$*" >>compiled ;; esac\nexec %s "$@"\n' "${CC:-cc}" >count
chmod +x count
cat >decay.nde <<'END'
precision f64
data start : real
solve decay {
  du   = -u * cos(t) dt
  u(0) = start
  time 0 .. 1
  step fixed 0.05
  method heun
}
END
passes 'fixed steps' env CC=./count "$ndec" compare decay.nde --methods rk4 --batchings joint -o fewer
holds 'compilations' "$(wc -l <compiled) == 4"
passes 'another row' env CC=./count "$ndec" compare decay.nde --methods rk4,euler --batchings joint -- --rounds 1 --csv "$work/t.csv"
holds 'compilations of another row' "$(wc -l <compiled) == 6"
passes 'the same rows' env CC=/none "$ndec" compare decay.nde --methods rk4,euler --batchings joint -- --rounds 1
order() { # METHOD LEAST MOST: the error of half the step
    holds "the order of $1" "$(field "$1" 0.05 0 error) / $(field "$1" 0.025 0 error) > $2 && $(field "$1" 0.05 0 error) / $(field "$1" 0.025 0 error) < $3"
}
order euler 1.8 2.2
order heun 3.6 4.4
order rk4 14 18
holds 'evaluations' "$(field rk4 0.05 1 evaluations) == 80 && $(field heun 0.025 0 evaluations) == 80"
if grep -q '^method.*controller' out && grep -q '^rk4 .* none ' out; then ok 'no controller'; else fail 'fixed steps have a controller'; fi
ends 2 'a controller for fixed steps' 'are fixed' "$ndec" compare decay.nde --controllers pi

# A row for each controller of the table, and none of them is a compilation.
sed 's/step fixed 0.05/tolerance 1e-4/' decay.nde >falls.nde
rm compiled
passes 'controllers' env CC=./count "$ndec" compare falls.nde --methods heun --batchings joint -- --rounds 1 --csv "$work/c.csv"
holds 'compilations for all controllers' "$(wc -l <compiled) == 3"
rows=$(grep -c '^CONTROL(' "$NDEC_ROOT/runtime/control.def")
holds 'a row for each controller' "$(cut -d, -f4,6 c.csv | sort -u | grep -c ',1$') == $rows"
