# `make install` gives a tree that works by itself, also under another root; `make uninstall` takes it away.
. "$NDEC_ROOT/tests/case.sh"
passes 'make install' "$MAKE" -C "$root" install B="$BUILD" DESTDIR="$work/dest" PREFIX=/usr
for f in bin/ndec lib/ndec/libnde.a include/ndec/nde.h share/man/man1/ndec.1 lib/pkgconfig/ndec.pc \
    share/ndec/examples/digits_ode.nde; do
    if [ -s "dest/usr/$f" ]; then ok "there is $f"; else fail "there is no $f"; fi
done
mv dest/usr moved # away from the sources, and from where it was installed
mkdir empty && cd empty
cp ../moved/share/ndec/examples/digits_ode.nde ../moved/share/ndec/examples/digits.csv.gz .
passes 'the installed ndec builds' env PATH="$work/moved/bin:$PATH" ndec build digits_ode.nde
passes 'and the program trains' ./digits_ode train --set train.steps=10
passes 'ndec run' env XDG_CACHE_HOME="$work/cache" "$work/moved/bin/ndec" run digits_ode.nde -- train --out r --set train.steps=10
passes 'ndec run once more, from the cache' env PATH=/usr/bin:/bin CC=/none XDG_CACHE_HOME="$work/cache" \
    "$work/moved/bin/ndec" run digits_ode.nde -- eval --weights r/weights.safetensors
passes 'new runs have new folders' ./digits_ode train --set train.steps=10
if [ -s runs/0001/summary.json ] && [ -s runs/0002/summary.json ]; then ok 'runs/0001 and runs/0002'; else fail 'runs are not numbered'; fi
cd ..
mkdir -p dest && mv moved dest/usr
passes 'make uninstall' "$MAKE" -C "$root" uninstall B="$BUILD" DESTDIR="$work/dest" PREFIX=/usr
left=$(find dest -type f)
if [ -z "$left" ]; then ok 'nothing is left'; else fail "left: $left"; fi
