#!/bin/sh
# scaling.sh BENCH [FILE.tsv]: measures how the time of a training step grows with each dimension,
# and draws it: FILE.tsv (tests/bench/results/scaling.tsv) and the same with .png. Where the points
# lie on a line of slope 1, the time is the work, counted in floating-point operations; where they
# lie above it, steps are too small to be more than their overhead.
set -eu
table=${2:-tests/bench/results/scaling.tsv}
picture=${table%.tsv}.png

mkdir -p "$(dirname "$table")"
"$1" --scaling | tee "$table.part"
mv "$table.part" "$table"
if ! command -v gnuplot >/dev/null; then
    echo "scaling.sh: no gnuplot here (./bootstrap installs it): no $picture" >&2
    exit 0
fi
gnuplot <<EOF
set terminal pngcairo size 1000,700 font "sans,11"
set output "$picture"
set title "time of a training step beside its work (around 2x256, V 83, 64x50)"
set xlabel "work of a step [GFLOP]"
set ylabel "time of a step [ms]"
set logscale xy
set grid
set key left top
set datafile separator "\t"
rows = "< awk -F '\\t' -v OFS='\\t' '\$1 == \"%s\" {print \$9, 1000 * \$8, \$%d}' $table"
best = real(system("awk -F '\\t' 'NR > 1 && \$10 > best {best = \$10} END {print best}' $table"))
label(name, column) = sprintf(rows, name, column)
plot 1000 * x / best with lines dashtype 2 linecolor "grey40" \
        title sprintf("the work at %.0f GFLOP/s", best), \
    label("L", 2) with linespoints pointtype 5 title "layers L: 1 to 4", \
    label("H", 3) with linespoints pointtype 7 title "units H: 64 to 1024", \
    label("V", 4) with linespoints pointtype 9 title "symbols V: 64 to 4096", \
    label("N", 5) with linespoints pointtype 11 title "rows N: 1 to 256", \
    label("T", 6) with linespoints pointtype 13 title "window T: 1 to 256", \
    label("threads", 7) with linespoints pointtype 3 title "threads: 1 to all"
EOF
echo "scaling.sh: wrote $table and $picture" >&2
