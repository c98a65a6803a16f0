# plot.gp: training and validation loss over the steps, or the minutes, from the logs of train.
#
#     gnuplot -e "logs='a.log b.log'; picture='plot.png'; over='step'" plot.gp
#
# picture: FILE.png, FILE.svg, or - to draw in the terminal. A log may be any table with a header line
# that names the columns step (over='minutes': seconds), loss and val_loss.
ends(s, suffix) = strlen(s) >= strlen(suffix) && s[strlen(s) - strlen(suffix) + 1 : *] eq suffix

if (!exists("over")) over = "step"
# A run that was resumed counts its seconds anew: what went before is added.
at = past = before = 0
minutes(step, seconds) = (step > at ? 0 : (past = before = 0), \
	seconds < before ? past = past + before : 0, \
	at = step, before = seconds, (past + seconds) / 60)
x(row) = over eq "minutes" ? minutes(column("step"), column("seconds")) : column("step")

if (ends(picture, ".png")) {
	set terminal pngcairo size 1000,600 font "sans,11"
} else { if (ends(picture, ".svg")) {
	set terminal svg size 1000,600 font "sans,14" background "white"
} else {
	set terminal dumb size 79,30 noenhanced
} }
if (picture ne "-") set output picture

set datafile separator "\t"
set datafile missing "-"
if (picture eq "-") { set key below noenhanced width 2 } else { set key top right noenhanced }
set grid
set border 3
set tics nomirror
set xlabel over
set ylabel "nats per character"
plot for [i = 1:words(logs)] word(logs, i) using (x(0)):"loss" \
		with lines linewidth 1 linecolor i title word(logs, i)." training", \
	for [i = 1:words(logs)] word(logs, i) using (x(0)):"val_loss" \
		with linespoints linewidth 2 linecolor i pointtype i pointsize 0.6 \
		title word(logs, i)." validation"
