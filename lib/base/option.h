/* option.h: a tool's options as one table, from which come the parser, --help, the man page's
 * OPTIONS, the shell completions and the keys of configuration files; and what each does to the
 * result. */
#ifndef BASE_OPTION_H
#define BASE_OPTION_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum option_type {
	OPTION_FLAG,    /* bool */
	OPTION_INTEGER, /* uint64_t, low..high */
	OPTION_REAL,    /* double, low..high, finite */
	OPTION_TEXT,    /* const char *; NULL when not given and without a default */
	OPTION_CHOICE,  /* unsigned: the index in `choices` */
	OPTION_TIME,    /* uint64_t: seconds, low..high, written as 90s, 10m, 1h30m, or 90 */
};

/* What the value of a text is the name of. */
enum option_file {
	OPTION_FILE_NOT,
	OPTION_FILE_READ,
	OPTION_FILE_WRITTEN,
	OPTION_FILE_RESULT, /* written; standard output if it isn't given */
	OPTION_FILE_LOADED, /* read before one of the next kind is written, */
	OPTION_FILE_STORED, /* which so may take its place */
	OPTION_FILE_SAVED,  /* read and written, and FILE~ and FILE.lock beside it written */
};

/* What an option does to the result. From this follow what a checkpoint saves and may be resumed
 * with, what a model tells of its training, what make makes again, and what the man page says of
 * it. A table in which an entry doesn't say it is refused. */
enum option_effect {
	EFFECT_UNSAID,
	EFFECT_SHAPES,     /* the result follows from it; all of a run has the same value */
	EFFECT_TUNES,      /* likewise, but a run may get another value on its way: --change */
	EFFECT_STARTS,     /* likewise, but a run that goes on does without: --init, --gzip */
	EFFECT_LIMITS,     /* where a run ends: one that goes on may have another */
	EFFECT_REMEMBERED, /* nothing, but a run that goes on goes on with it: --print-every */
	EFFECT_NONE,       /* nothing: --threads, --quiet */
};

struct option {
	char letter;          /* short name, or 0 */
	const char *name;     /* long name and YAML key */
	const char *argument; /* what --help calls the value: "ROWS"; NULL for a flag */
	enum option_type type;
	enum option_effect effect;
	size_t offset;              /* of the value in the tool's struct of values */
	const char *initial;        /* the default, as the user would write it; NULL: none */
	double low, high;           /* range of a number, bounds included; integers up to 2^53 */
	bool open_low;              /* the bound `low` itself is excluded */
	bool infinite;              /* an integer that may be "inf": UINT64_MAX */
	const char *const *choices; /* of OPTION_CHOICE, NULL-terminated */
	bool command_line_only;     /* not a YAML key: --help, --config, ... */
	enum option_file file;      /* of OPTION_TEXT */
	/* Newer than version 1 of the formats: a run's files name it only where it isn't the
	 * default, and so are the same as ever where it isn't used. */
	bool newer;
	/* Of the options of one group a default holds only where none of the others has got a
	 * value: --epochs beside --steps. */
	const char *group;
	const char *also; /* what other programs call it, words between blanks; NULL: nothing */
	const char *help; /* one sentence, lower case, no full stop; NULL hides the option */
};

/* What people ask one program for that another one has. */
struct option_elsewhere {
	const char *also;  /* words as of struct option */
	const char *where; /* "batchify --rows" */
};

/* From the weakest to the strongest. */
enum option_source {
	SOURCE_DEFAULT,
	SOURCE_RUN,        /* it follows from others, and from the data */
	SOURCE_MODEL,      /* that a run starts from */
	SOURCE_CHECKPOINT, /* that it goes on from */
	SOURCE_CONFIG,
	SOURCE_COMMAND_LINE,
};

enum { OPTIONS_MAX = 64 };

/* One tool's options and where each value came from. */
struct options {
	const char *tool;           /* its name, and that of its mapping in configuration files */
	const struct option *table; /* ended by an entry without a name */
	void *values;               /* the tool's struct, which the offsets point into */
	const struct option_elsewhere *elsewhere; /* ended by an empty entry; NULL: none */
	unsigned char source[OPTIONS_MAX];        /* enum option_source */
};

/* Whether each entry of a table says what it does to the result. */
bool options_complete(const struct option *table);

/* Sets every value to its default, then to what the command line says: short options may be
 * bundled, a value may follow in the same word, after "=" or in the next word, long names may be
 * abbreviated unambiguously, a flag may be given as --FLAG=yes and --FLAG=no, "--" ends the
 * options. Options and operands may be mixed: the operands are moved to the end of argv (order
 * kept), and *operands is the index of the first; the words before them are used up. Status 64.
 * Texts point into argv's strings. */
int options_parse(struct options *options, int argc, char **argv, int *operands, struct error *err);

/* Sets one value from text as from `source`, unless a stronger source has set it before. `what`
 * names the option in messages ("--rows", "line 3: rows"). Status 64 from the command line, 78 from
 * a configuration, 65 from a model or checkpoint. */
int options_set(struct options *options, const struct option *option, const char *text,
	enum option_source source, const char *what, struct error *err);

/* Whether options_set() would take the text, as 0 or -1 and in the same words; nothing is set. */
int options_check(const struct options *options, const struct option *option, const char *text,
	enum option_source source, const char *what, struct error *err);

/* The option of that long name (exactly), or NULL. */
const struct option *options_find(const struct options *options, const char *name);

/* Whether the user gave the option with that long name a value, by command line or configuration. */
bool options_given(const struct options *options, const char *name);

/* Whether on the command line. */
bool options_typed(const struct options *options, const char *name);

/* Takes back whatever value it has from anywhere but the command line: its default holds again, and
 * weaker sources have a say. */
void options_forget(struct options *options, const char *name);

/* Whether it was given one, or another of its group was, on the command line. */
bool options_group_given(const struct options *options, const char *name);

/* Whether it has a value at all: one from anywhere, or a default that holds. */
bool options_has(const struct options *options, const char *name);

/* The long name of the option that an unknown name means: the one of which it is another name, or
 * whose names are nearest (edit distance), or NULL when none is near. "_" is as good as "-". */
const char *options_nearest(const struct options *options, const char *name);

/* Where another program has what an unknown name means, or NULL. */
const char *options_elsewhere(const struct options *options, const char *name);

/* The value of an OPTION_TEXT, NULL where it has none. */
const char *options_text(const struct options *options, const struct option *option);

/* The value as text, as one would write it on the command line; "" for a text that is not set. */
void options_format(
	const struct options *options, const struct option *option, char *buf, size_t n);

/* Writers: the option part of --help wrapped to `columns`; the same as man(7) source, one .TP each,
 * and which of them do nothing to the result or may change in a run; the values as YAML that
 * --config reads, each with its source as a comment, and behind it "; limits the run" or "; shapes
 * nothing" where that is so (--print-config); one option a line as TSV for completions (letter,
 * name, argument, default, choices, help, effect; header line first). They write to a stream that
 * the tool gives. */
void options_help(const struct options *options, FILE *f, int columns);
void options_man(const struct options *options, FILE *f);
void options_yaml(const struct options *options, FILE *f);
void options_tsv(const struct options *options, FILE *f);

/* Writes words and a newline, with line breaks so that no line is wider than `columns`; the first
 * line goes on at `column`, the others begin with `indent` spaces. */
void options_wrap(const char *text, FILE *f, int column, int indent, int columns);

#endif
