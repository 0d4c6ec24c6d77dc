# Every block of code in the reference is a model that `ndec check` accepts without a word.
. "$NDEC_ROOT/tests/case.sh"
awk '/^```nde$/ { n++; line = NR; next }  /^```/ { if (n != last) last = n; inside = 0; line = 0; next }
     line { name = sprintf("block%03d_line%d.nde", n, line); print > name }' "$root/grammar/LANGUAGE.md"
ls block*.nde >/dev/null 2>&1 || fail 'LANGUAGE.md has no blocks'
cp "$examples"/*.npz .
for f in block*.nde; do
    if "$ndec" check "$f" >out 2>err && [ ! -s err ]; then ok "LANGUAGE.md $f"; else fail "LANGUAGE.md $f"; fi
done
# Each model in the reader's guide likewise.
awk '/^```nde$/ { n++; line = NR; next }  /^```/ { line = 0; next }
     line { name = sprintf("readme%03d_line%d.nde", n, line); print > name }' "$root/README.md"
for f in readme*.nde; do
    if "$ndec" check "$f" >out 2>err && [ ! -s err ]; then ok "README.md $f"; else fail "README.md $f"; fi
done
# Names are the user's: those that the emitted C has for itself, too. Each is a let, a parameter, a function or a solve of a
# small network's derivative, so that loops, sums and tables are made beside it.
cat >names.nde <<'END'
precision f64
param NdeRef : real[6, 2] = normal(0.3)
param offsetof : real[2, 6] = normal(0.3)
data vjp : real[2]
data memset : real[2]
fn v1(at : real[2]) -> real[2] {
  layer double = dense(6, tanh)
  return offsetof @ double(at) + at
}
solve nde_solve {
  let h = NdeRef @ u
  let h_w = tanh(h)
  let h_k0 = h_w * 2
  let h_s0 = h_k0 - h
  let h_r = offsetof @ h_s0
  let h_i = h_r + h_r * u
  du = h_i dt
  u(0) = vjp
  time 0 .. 1
  method bosh3
  tolerance 1e-3
}
solve vjp_0 {
  du = v1(u) dt
  u(0) = vjp
  time 0 .. 1
  method bosh3
  tolerance 1e-3
}
loss mse(nde_solve.u(1) + vjp_0.u(1), memset)
output nde_solve.u(1)
train {
  data csv("names.csv")
  batch 2
  optimizer adam(0.01)
  steps 2
}
END
sed 's/vjp_0/vjp/g; s/vjp : /start : /; s/= vjp$/= start/' names.nde >names_vjp.nde
printf '1,2,3,4\n0.5,0.25,0.1,0.2\n' >names.csv
for model in names names_vjp; do
    passes "$model: names of the emitted C" "$ndec" build --draft $model.nde -o $model
    passes "$model: their gradient" ./$model check-gradient
done

# Words of other tools: each row's text is right at its place, and is what the message about its word says.
sed -n 's/^FAMILIAR(\([a-z]*\), "\([^"]*\)", "\(.*\)")$/\1 \2 \3/p' "$root/compiler/familiar.def" | sed 's/\\"/"/g' >rows
all=$(grep -c '^FAMILIAR' "$root/compiler/familiar.def")
holds "familiar.def has $all rows" "$all > 50 && $(wc -l <rows) == $all"
with() { # place, text: a model with it there; a clause that a block needs is left out where the text is that clause
    awk -v place="$1" -v text="$2" '
        function rest(all, i, n, each) {
            n = split(all, each, ";")
            for (i = 1; i <= n; i++) if (substr(each[i], 1, index(each[i], " ")) != substr(text, 1, index(text, " "))) print each[i] }
        BEGIN { print "data x : real[2]\ndata y : real[2]\nparam A : real[2, 2] = normal(1)\nsolve flow {\n  dz = -z dt\n  z(0) = x"
                if (place == "solve") print text
                rest("time 0 .. 1;method tsit5")
                print "}"
                if (place == "statement") print text
                print "let a = flow.z(1)\nlet b = A @ a"
                if (place == "expression" || place == "member") print "output " text
                print "loss mse(b, y)\ntrain {"
                if (place == "train") print text
                rest("data csv(\"train.csv\");steps 10")
                print "}" }'
}
echo 'const more = 1' >more.nde
while read -r place word text; do
    case $place in
    expression) wrong="$word(x)" ;;
    member) wrong="x.$word" ;;
    *) wrong="$word 1" ;;
    esac
    case $word in and | or) wrong="x $word x" ;; esac
    with "$place" "$text" >right.nde
    with "$place" "$wrong" >wrong.nde
    "$ndec" check right.nde >out 2>err || fail "familiar.def: $text"
    ends 1 "$place: $word" "written, for example,  $(printf '%s' "$text" | sed 's/[][().*+^]/\\&/g')$" "$ndec" check wrong.nde
done <rows
