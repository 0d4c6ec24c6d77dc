#!/bin/sh
# cnf_picture.sh [FOLDER]: trains the flow of cnf.nde on two moons and on eight Gaussians, and draws cnf.png: given points,
# drawn points and the density. Works in the folder (a new one by default), which keeps the runs; needs gnuplot.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=${1:-$(mktemp -d)}
ndec=${NDEC:-ndec}
mkdir -p "$work"
cd "$work"
cp "$here/moons.npy" "$here/gaussians.npy" .
awk 'BEGIN { for (i = 0; i < 140; i++) for (j = 0; j < 112; j++) printf "%g,%g\n", i / 20 - 3.475, j / 20 - 2.775 }' >grid.csv
for name in moons gaussians; do
    sed "s/moons/$name/" "$here/cnf.nde" >$name.nde
    [ -x $name ] || "$ndec" build $name.nde -o $name
    [ -e $name.run/weights.safetensors ] || ./$name train --out $name.run
    ./$name predict --weights $name.run/weights.safetensors -o $name.csv # as many points as there are test data
    ./$name predict --weights $name.run/weights.safetensors -i grid.csv -o density.csv
    awk -F, 'NR == FNR { at[NR] = $1 " " $2; next } FNR > 1 { print at[FNR - 1], exp($3); if ((FNR - 1) % 112 == 0) print "" }' \
        grid.csv density.csv >$name.density
    tail -c 8000 $name.npy | od -A n -t f4 -w8 -v >$name.given # the last 1000 points
done
gnuplot <<'END'
set terminal pngcairo size 840,520 font "sans,11"
set output "cnf.png"
set multiplot layout 2,3 margins 0.01,0.99,0.01,0.95 spacing 0.02,0.06
set xrange [-3.5:3.5]
set yrange [-2.8:2.8]
unset tics
set size ratio -1
unset key
unset colorbox
set datafile separator
set palette defined (0 "white", 1 "#1f4e79")
do for [name in "moons gaussians"] {
    set title "given points"
    plot name.".given" using 1:2 with dots lc rgb "black"
    set title "drawn points"
    set datafile separator ","
    plot name.".csv" using 1:2 every ::1 with dots lc rgb "black"
    set datafile separator
    set title "density"
    plot name.".density" using 1:2:3 with image
}
END
cp cnf.png "$here/cnf.png"
