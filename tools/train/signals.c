/* signals.c: see signals.h. The three flags are the only mutable globals of the programs: a signal
 * handler can reach nothing else. */
#include "tools/train/signals.h"

#include "tools/tool.h"

#include <signal.h>
#include <stddef.h>
#include <time.h>

enum { NAP_MS = 20 };
static const double warning_seconds = 1.2;

static volatile sig_atomic_t stop, save, warned;

static void on_stop(int number)
{
	if (stop)
		signals_die(number);
	stop = number;
}

/* A broken pipe makes every later write to it fail too, which must not end the process before its
 * run is saved. */
static void on_pipe(int number)
{
	if (!stop)
		stop = number;
}

static void on_save(int number)
{
	(void)number;
	save = 1;
}

static void on_warning(int number)
{
	(void)number;
	warned = 1;
}

static void heed(int number, void (*handler)(int))
{
	struct sigaction action;
	if (sigaction(number, NULL, &action) < 0 || action.sa_handler == SIG_IGN)
		return;
	action = (struct sigaction){.sa_handler = handler, .sa_flags = SA_RESTART};
	sigemptyset(&action.sa_mask);
	sigaction(number, &action, NULL);
}

void signals_catch(void)
{
	heed(SIGINT, on_stop);
	heed(SIGTERM, on_stop);
	heed(SIGHUP, on_stop);
	heed(SIGPIPE, on_pipe);
	heed(SIGUSR1, on_save);
}

void signals_catch_warning(void)
{
	heed(SIGCONT, on_warning);
}

int signals_stop(void)
{
	return stop;
}

void signals_await_stop(void)
{
	static const struct timespec nap = {.tv_nsec = NAP_MS * 1000000L};
	const double end = tool_seconds() + warning_seconds;
	while (warned && !stop && tool_seconds() < end)
		nanosleep(&nap, NULL);
	warned = 0;
}

bool signals_save(void)
{
	bool come = save;
	save = 0;
	return come;
}

void signals_die(int number)
{
	sigset_t only;
	signal(number, SIG_DFL);
	sigemptyset(&only);
	sigaddset(&only, number);
	raise(number); /* pending while its handler runs, so it must be let through */
	sigprocmask(SIG_UNBLOCK, &only, NULL);
}
