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
