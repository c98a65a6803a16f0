/*
 * wire.c: a switch with a cable to each of some hosts, which are network namespaces.
 *
 *     wire RATE DELAY NAMESPACE...      Mbit/s of each cable, 0 for as many as can be; microseconds
 *
 * Each namespace gets a network card, eth0, whose other end is here: what the kernel sends through
 * it is read, kept for as long as cable and switch take, and handed to the card that it is for. It
 * does what tc(8) does with netem, on kernels that have none. The cards take segments of up to 64 KB
 * whole, checksums not filled in, as cards with offloads do.
 *
 * Prints a line when the cards are there, and runs until it or what has started it is killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define HOSTS 16
#define HEADER 10 /* bytes of struct virtio_net_hdr before each frame */
#define FRAME (HEADER + 14 + 65536)
#define MAC 6

struct frame {
	struct frame *next;
	uint64_t due; /* when its last bit arrives */
	size_t size;
	char bytes[];
};

struct port {
	int fd;
	unsigned char mac[MAC]; /* of the card at the other end, once it has sent something */
	uint64_t sent;          /* when what the host sends last is out of its card */
	uint64_t received;      /* when what it gets last is in its card */
	struct frame *first, **last;
};

static void die(const char *what)
{
	fprintf(stderr, "wire: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* A card that is made in a namespace stays there, and its other end goes with us. */
static int open_card(const char *name)
{
	struct ifreq request = {
		.ifr_name = "eth0", .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	char path[256];
	int space, fd;

	snprintf(path, sizeof(path), "/run/netns/%s", name);
	space = open(path, O_RDONLY | O_CLOEXEC);
	if (space < 0 || setns(space, CLONE_NEWNET) < 0)
		die(path);
	close(space);
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0 ||
		ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) < 0)
		die("/dev/net/tun");
	return fd;
}

/* Nanoseconds that a frame takes through a cable of `rate` Mbit/s. */
static uint64_t passage(const struct frame *f, uint64_t rate)
{
	return rate ? (f->size - HEADER) * 8000 / rate : 0;
}

/* Takes what a host sends, if it has, to the queue of each port that it is for. */
static void take(struct port *ports, int n, struct port *from, uint64_t rate, uint64_t delay)
{
	static char bytes[FRAME];
	const unsigned char *to = (unsigned char *)bytes + HEADER;
	ssize_t size = read(from->fd, bytes, sizeof(bytes));
	int known = 0;

	if (size < HEADER + 14)
		return;
	memcpy(from->mac, bytes + HEADER + MAC, MAC);
	for (int i = 0; i < n; i++)
		known |= !memcmp(ports[i].mac, to, MAC);
	for (struct port *p = ports; p < ports + n; p++) {
		struct frame *f;

		if (p == from || (known && memcmp(p->mac, to, MAC) != 0))
			continue;
		f = malloc(sizeof(*f) + (size_t)size);
		if (!f)
			die("a frame");
		*f = (struct frame){.size = (size_t)size};
		memcpy(f->bytes, bytes, f->size);
		from->sent = later(from->sent, now()) + passage(f, rate);
		/* Both cables at once, but for what has to wait for others' frames. */
		f->due = later(from->sent, p->received + passage(f, rate)) + delay;
		p->received = f->due - delay;
		*p->last = f;
		p->last = &f->next;
	}
}

/* Hands over what has arrived; a card that is down loses it. */
static void give(struct port *p)
{
	while (p->first && p->first->due <= now()) {
		struct frame *f = p->first;

		if (write(p->fd, f->bytes, f->size) < 0 && errno != EIO && errno != EAGAIN)
			die("a card");
		p->first = f->next;
		if (!p->first)
			p->last = &p->first;
		free(f);
	}
}

int main(int argc, char **argv)
{
	struct port ports[HOSTS] = {0};
	struct pollfd polled[HOSTS] = {0};
	struct sched_param first = {.sched_priority = 1};
	int n = argc - 3;
	uint64_t rate, delay;
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	if (n < 1 || n > HOSTS) {
		fprintf(stderr, "usage: wire MBIT MICROSECONDS NAMESPACE...\n");
		return 64;
	}
	rate = strtoull(argv[1], NULL, 10);
	delay = strtoull(argv[2], NULL, 10) * 1000;
	for (int i = 0; i < n; i++) {
		polled[i].fd = ports[i].fd = open_card(argv[3 + i]);
		ports[i].last = &ports[i].first;
	}
	if (setns(home, CLONE_NEWNET) < 0)
		die("setns");
	/* A cable waits for no processor. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_TIMERSLACK, 1);
	sched_setscheduler(0, SCHED_FIFO, &first);
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		uint64_t time = now(), next = UINT64_MAX;
		struct timespec wait;

		/* A host whose card is sending keeps the rest; its own queue holds it back. */
		for (int i = 0; i < n; i++) {
			polled[i].events = ports[i].sent <= time ? POLLIN : 0;
			if (ports[i].sent > time && ports[i].sent < next)
				next = ports[i].sent;
			if (ports[i].first && ports[i].first->due < next)
				next = ports[i].first->due;
		}
		next = next > time ? next - time : 0;
		wait = (struct timespec){(time_t)(next / 1000000000), (long)(next % 1000000000)};
		if (ppoll(polled, (nfds_t)n, next > 1000000000000 ? NULL : &wait, NULL) < 0 &&
			errno != EINTR)
			die("poll");
		for (int i = 0; i < n; i++) {
			if (polled[i].revents & POLLIN)
				take(ports, n, &ports[i], rate, delay);
		}
		for (int i = 0; i < n; i++)
			give(&ports[i]);
	}
}
