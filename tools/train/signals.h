/* signals.h: the signals that a run obeys between two steps. */
#ifndef TRAIN_SIGNALS_H
#define TRAIN_SIGNALS_H

#include <stdbool.h>

/* From now on SIGINT, SIGTERM and SIGHUP are taken note of (a second one ends the process at once),
 * and SIGUSR1 and SIGPIPE too (any number of them). One that the parent process had ignored (nohup,
 * a background job) stays ignored. */
void signals_catch(void);

/* ... and SIGCONT, with which Open MPI's mpirun begins to end a run (signals_await_stop()). */
void signals_catch_warning(void);

/* The signal that asked the run to stop; 0: none yet. */
int signals_stop(void);

/* Open MPI's mpirun ends a run by three signals to each rank, one second between any two: SIGCONT,
 * SIGTERM, SIGKILL. If the first has come since the last call this waits for the second, so that no
 * step is under way when there is but a second left. Where it was only fg(1) that sent it, that
 * second is lost. */
void signals_await_stop(void);

/* Whether SIGUSR1 has come since the last call. */
bool signals_save(void);

/* Ends the process by that signal, as if it had never been caught. */
void signals_die(int number);

#endif
