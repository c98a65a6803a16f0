/* shards.h: batches of N rows x (T + 1) ids, cut from a token stream. Normative description:
 * shards.md.
 *
 * A batch's inputs are its first T columns, its targets the last T. Its ids are row-major. */
#ifndef FORMATS_SHARDS_H
#define FORMATS_SHARDS_H

#include "base/error.h"
#include "base/spool.h"
#include "formats/stream.h"
#include "formats/vocab.h"

enum shards_split {
	SHARDS_TRAIN,
	SHARDS_VALIDATION,
	SHARDS_TEST,
	SHARDS_SPLITS /* their number */
};

enum shards_targets {
	SHARDS_ROW_WRAP, /* a row's very last target is its first character, as in the notebooks */
	SHARDS_NEXT,     /* ... the text's true next character */
};

/* What the header says. */
struct shards_header {
	struct vocab vocab;
	uint32_t window; /* T */
	/* N. A held-out part without batches has 0 rows, one of a single batch may have fewer rows
	 * than the training part. */
	uint32_t rows[SHARDS_SPLITS];
	uint64_t batches[SHARDS_SPLITS];
	enum shards_targets targets;
	uint64_t tokens_used;    /* those that are inputs: the sum of rows x window x batches */
	uint64_t tokens_dropped; /* all others of the token stream */
};

/* The words that headers, options and messages use: for an enum shards_split, and for an enum
 * shards_targets (it ends with NULL). */
#define SHARDS_SPLIT_WORDS "train", "validation", "test"
extern const char *const shards_targets_words[];
const char *shards_split_name(enum shards_split split);

/* Ids in one batch of a split: rows x (window + 1). */
size_t shards_batch_ids(const struct shards_header *header, enum shards_split split);

/* The header's keys as they stand in it, all but the symbols, for people. */
void shards_write_keys(const struct shards_header *header, FILE *f);

struct shards_writer {
	struct stream_writer stream;
	const struct shards_header *header; /* not owned */
	uint64_t written[SHARDS_SPLITS];
};

/* Writes the header; it and `out` must outlive the writer. A header that a reader would refuse is
 * refused (65). */
int shards_write_header(struct shards_writer *w, struct output *out,
	const struct shards_header *header, struct error *err);
/* Writes the next batch of `split`: rows x (window + 1) ids, row-major, packed as vocab_pack() does.
 * Splits come in order, each with as many batches as the header said; ids are below the vocabulary's
 * size (not checked: the reader does). */
int shards_write(
	struct shards_writer *w, enum shards_split split, const void *ids, struct error *err);
int shards_write_end(struct shards_writer *w, struct error *err);

/* Shards opened for reading any batch, any number of times. */
struct shards {
	struct shards_header header;
	struct stream_end end;
	/* private: */
	const char *name;              /* the input's */
	int fd;                        /* the input's, where it can be read again */
	bool spooled;                  /* ... else the frames are in the spool */
	struct spool spool;            /* owned */
	uint64_t first[SHARDS_SPLITS]; /* offset of each split's first frame in either */
	unsigned char *frame;          /* the largest frame; owned */
};

/* Reads only the header, for its vocabulary; release it with vocab_release(&header->vocab). */
int shards_read_header(struct shards_header *header, struct input *in, struct error *err);

/* Reads all of `in` once (the caller's; must outlive `shards`), checks every CRC and id, and sees
 * ENDS, before it returns; what can't be read a second time is spooled to an unlinked temporary
 * file in $TMPDIR. Memory: one batch. */
int shards_open(struct shards *shards, struct input *in, struct error *err);
/* Reads batch k of `split` into ids (rows[split] x (window + 1), row-major). */
int shards_read(struct shards *shards, enum shards_split split, uint64_t k, uint32_t *ids,
	struct error *err);
void shards_close(struct shards *shards);

#endif
