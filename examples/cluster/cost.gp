# cost.gp: cost.tsv as a picture: how many times as many steps a second so many nodes make as one, by the
# network between them.
#
#     gnuplot -e "picture='cost.svg'" cost.gp

if (picture[strlen(picture) - 3 : *] eq ".png") {
	set terminal pngcairo size 1000,760 font "sans,10"
} else {
	set terminal svg size 1000,760 font "sans,12" background "white"
}
set output picture
set datafile separator "\t"
set datafile missing "-"
set logscale xy 2
set xrange [1:64]
set yrange [0.5:64]
set xtics (1, 2, 4, 8, 16, 32, 64)
set ytics (1, 2, 4, 8, 16, 32, 64)
set grid
set border 3
set tics nomirror
set key top left title "rows of a batch"
set multiplot layout 2,3
do for [node in "2-core 32-core"] { do for [mbit in "1000 10000 100000"] {
	set title sprintf("%s nodes, %g Gbit/s", node, mbit / 1000.0)
	set ylabel mbit eq "1000" ? "times as many steps a second" : ""
	set xlabel node eq "32-core" ? "nodes" : ""
	plot x with lines linecolor "grey60" dashtype 2 notitle, \
		for [rows in "8192 2048 512 128"] \
		sprintf("< awk -F '\\t' '$1 == \"%s\" && $2 == %s && $3 == %s' cost.tsv", node, mbit, rows) \
		using 4:7 with linespoints linewidth 2 pointtype 7 pointsize 0.5 title rows
	unset key
} }
unset multiplot
