# cost.awk: how long a training step takes on so many nodes, by what one of them takes and by the network.
#
#     awk -v mbit=1000 -v latency=50 -v rows=1024 -v ranks='1 2 4 8' -f cost.awk
#
# Of the network: symbols, hidden, layers (an LSTM's). Of the batch: rows; a node works off block_rows of
# them at a time. Of a node, measured: block, the seconds of such a block of rows forward and backward;
# once, those of what each does once a step, however many rows it has (norm, clipping, Adam). Of
# the network between nodes: mbit, 10^6 bits a second that a node's cable carries each way; latency,
# microseconds from one program to another.
#
# Prints a line for each number of ranks: a name for the nodes (-v node=NAME), mbit and rows; the seconds of
# a step; those of them in which nodes wait for the network; how many times as many steps as one node they
# make. More ranks than blocks: "-", as there is nothing for them to do.

function set(name, value) { return name == "" ? value : name + 0 }
function larger(a, b) { return a > b ? a : b }
function rounds(n,   r) { for (r = 0; 2 ^ r < n; r++); return r }

# The floats of part l of the gradient: of a layer, both matrices and biases; 0 is the output's.
function floats(l) {
	if (l == 0)
		return hidden * symbols + symbols
	return 4 * hidden * ((l == 1 ? symbols : hidden) + hidden + 2)
}

# Its products in a pass, multiply-adds a character; the first layer's input is looked up.
function products(l) {
	return l == 0 ? hidden * symbols : 4 * hidden * hidden * (l == 1 ? 1 : 2)
}

# Each rank gets and gives half of n floats, then a quarter ...: n (R - 1)/R in all, a round for each level
# of the tree; and then its part to all others, as much again at once. A million floats at a time.
function exchange(n, R) {
	return 2 * (R - 1) / R * 32 * n / (1e6 * mbit) + \
		int((n + 1048575) / 1048576) * (rounds(R) + 1) * latency / 1e6
}

# Seconds beyond its own work that a step takes on R ranks. The gradient's parts are ready one after
# another while the last block goes backward, two thirds of its time, and travel in this order.
function waiting(R,   time, free, all, l, i) {
	if (R == 1)
		return 0
	for (l = 0; l <= layers; l++)
		all += products(l)
	time = free = 0
	for (i = 0; i <= layers; i++) {
		l = i == 0 ? 0 : layers + 1 - i
		time += 2 / 3 * block * products(l) / all
		free = larger(free, time) + exchange(floats(l), R)
	}
	# The ids of the rows before, the sums of loss and norm after it.
	return free - time + (rounds(R) + 2 * rounds(R)) * latency / 1e6 + \
		rows * (window + 1) * 32 / (1e6 * mbit)
}

BEGIN {
	OFS = "\t"
	symbols = set(symbols, 83)
	hidden = set(hidden, 512)
	layers = set(layers, 2)
	rows = set(rows, 128)
	window = set(window, 100)
	block_rows = set(block_rows, 32)
	block = set(block, 0.33)
	once = set(once, 0.01)
	mbit = set(mbit, 1000)
	latency = set(latency, 50)
	blocks = int((rows + block_rows - 1) / block_rows)
	n = split(ranks == "" ? "1 2 4 8 16 32 64" : ranks, list, " ")
	node = node == "" ? "-" : node
	print "node", "mbit", "rows", "ranks", "seconds", "waiting", "times"
	for (i = 1; i <= n; i++) {
		R = list[i]
		if (R > blocks) {
			print node, mbit, rows, R, "-", "-", "-"
			continue
		}
		own = once + int((blocks + R - 1) / R) * block
		printf "%s\t%s\t%d\t%d\t%.4f\t%.4f\t%.2f\n", node, mbit, rows, R, own + waiting(R),
			waiting(R), (once + blocks * block) / (own + waiting(R))
	}
}
