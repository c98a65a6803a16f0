/* log.h: the table of a run, one TSV row a step, and its continuation after a resume. */
#ifndef TRAIN_LOG_H
#define TRAIN_LOG_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct log_row {
	uint64_t epoch, step; /* from 1 */
	uint64_t tokens;      /* characters trained on so far */
	/* "-" in the table where they are not finite: */
	double loss;        /* of the step's batch, in nats per character */
	double val_loss;    /* NAN: not measured after this step */
	double lr;          /* NAN: the step made no update */
	double grad_norm;   /* before the clip */
	double chars_per_s; /* of this step, validation excluded */
	double seconds;     /* since this process began to train */
};

struct log {
	int fd;           /* -1: no log is kept */
	const char *path; /* not owned */
	bool stream;      /* it is standard output, which is only added to */
	uint64_t bytes;   /* written so far, the header line included */
	uint32_t crc;     /* of these bytes */
	bool lost;        /* a row is missing for good: nothing more is written */
	char *waiting;    /* rows that couldn't be written; owned */
	size_t waits;     /* bytes of them */
};

/* Opens the file for writing and changes nothing in it yet; path NULL: no log, every call succeeds.
 * A file that holds something else than a log is refused. Status 73. */
int log_open(struct log *log, const char *path, struct error *err);

/* Begins a new log (bytes 0: what the file held is gone), or continues one whose first `bytes`
 * bytes have that CRC: what a run that was killed wrote after its last checkpoint is cut off. Where
 * the file is empty a new log begins. A file with other contents is refused, 65; so is any when a
 * run that kept no log is resumed. */
int log_begin(struct log *log, bool resumed, uint64_t bytes, uint32_t crc, struct error *err);

/* Appends a row, and before it those that wait. Status 74, 71: in a file the rows so far are whole,
 * and this one waits too, as a later call may find room; of what is no file nothing more will come. */
int log_append(struct log *log, const struct log_row *row, struct error *err);

/* Brings what was written, and of what waits what can be, to the disk, before a checkpoint that counts
 * on it. */
int log_sync(struct log *log, struct error *err);

/* Writes what waits and closes it; -1 if rows are missing, or the system reports a failed write only
 * now. Harmless twice. */
int log_close(struct log *log, struct error *err);

#endif
