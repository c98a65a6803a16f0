/* Every call of lib/base and formats that the system may refuse, refused: each scenario is run with
 * its n-th allocation failing, then with its n-th system call failing, then with its n-th call of
 * base/input, output and spool failing, for every n. It must end with an error of the right status,
 * or do without; nothing is left behind. The linker puts the functions below in the place of the
 * real ones (--wrap; see the Makefile). */
#include "base/input.h"
#include "base/output.h"
#include "base/pool.h"
#include "base/spool.h"
#include "formats/config.h"
#include "formats/model_file.h"
#include "formats/shards.h"
#include "formats/state_file.h"
#include "formats/text.h"
#include "formats/tokens.h"
#include "formats/vocab_file.h"
#include "tests/unit/streams.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <sched.h>
#include <sys/stat.h>
#include <yaml.h>
#include <zlib.h>

/* --- failing calls ---------------------------------------------------------------------------- */

static struct {
	unsigned memory, system, base; /* calls until the one that fails; 0: none will */
	unsigned end;                  /* reads until one that finds the file's end */
	int number;                    /* the failing system call's errno */
	bool came;                     /* it has failed */
	int no_unnamed;                /* the file system has no O_TMPFILE: its errno */
	bool taken;                    /* every name that is tried is somebody else's */
} fault;

static bool comes(unsigned *left)
{
	if (*left == 0 || --*left > 0)
		return false;
	fault.came = true;
	return true;
}

static bool no_memory(void)
{
	if (!comes(&fault.memory))
		return false;
	errno = ENOMEM;
	return true;
}

static bool refused(void)
{
	if (!comes(&fault.system))
		return false;
	errno = fault.number;
	return true;
}

static bool base_fails(struct error *err)
{
	if (!comes(&fault.base))
		return false;
	error_set(err, STATUS_IO, "a call of base failed");
	return true;
}

/* WRAP(type of result, name, parameters, arguments, what decides, result of a failure) */
#define WRAP(type, name, parameters, arguments, fails, failure) \
	type __real_##name parameters; \
	type __wrap_##name parameters; \
	type __wrap_##name parameters \
	{ \
		return fails() ? failure : __real_##name arguments; \
	}

WRAP(void *, malloc, (size_t n), (n), no_memory, NULL)
WRAP(void *, calloc, (size_t n, size_t size), (n, size), no_memory, NULL)
WRAP(void *, realloc, (void *p, size_t n), (p, n), no_memory, NULL)
WRAP(char *, strdup, (const char *s), (s), no_memory, NULL)
WRAP(FILE *, open_memstream, (char **text, size_t *n), (text, n), no_memory, NULL)
WRAP(int, yaml_parser_initialize, (yaml_parser_t * parser), (parser), no_memory, 0)
WRAP(int, inflateInit2_, (z_stream * z, int window, const char *version, int size),
	(z, window, version, size), no_memory, Z_MEM_ERROR)
WRAP(int, deflateInit2_,
	(z_stream * z, int level, int method, int window, int memory, int strategy,
		const char *version, int size),
	(z, level, method, window, memory, strategy, version, size), no_memory, Z_MEM_ERROR)
WRAP(int, inflate, (z_stream * z, int flush), (z, flush), no_memory, Z_MEM_ERROR)

int __real_yaml_parser_parse(yaml_parser_t *parser, yaml_event_t *event);
int __wrap_yaml_parser_parse(yaml_parser_t *parser, yaml_event_t *event);
int __wrap_yaml_parser_parse(yaml_parser_t *parser, yaml_event_t *event)
{
	if (!no_memory())
		return __real_yaml_parser_parse(parser, event);
	parser->error = YAML_MEMORY_ERROR;
	return 0;
}

/* jansson's reading is refused as a whole: its own allocations can't be, as it then ends with an
 * assertion that fails (2.14). */
static json_t *no_json(json_error_t *where)
{
	if (where)
		where->text[0] = '\0';
	return NULL;
}

WRAP(json_t *, json_loadb, (const char *text, size_t n, size_t flags, json_error_t *where),
	(text, n, flags, where), no_memory, no_json(where))
WRAP(json_t *, json_loads, (const char *text, size_t flags, json_error_t *where),
	(text, flags, where), no_memory, no_json(where))

/* That of a stream in memory needs some. */
int __real_fclose(FILE *f);
int __wrap_fclose(FILE *f);
int __wrap_fclose(FILE *f)
{
	bool fails = no_memory();
	int rc = __real_fclose(f);
	return fails ? EOF : rc;
}

/* A file that became shorter. */
static bool ends(void)
{
	return comes(&fault.end);
}

int __real_open64(const char *path, int flags, mode_t mode);
int __wrap_open64(const char *path, int flags, mode_t mode);
int __wrap_open64(const char *path, int flags, mode_t mode)
{
	if (fault.no_unnamed && (flags & O_TMPFILE) == O_TMPFILE)
		errno = fault.no_unnamed;
	else if (fault.taken && (flags & O_EXCL))
		errno = EEXIST;
	else if (!refused())
		return __real_open64(path, flags, mode);
	return -1;
}

ssize_t __real_read(int fd, void *buf, size_t n);
ssize_t __wrap_read(int fd, void *buf, size_t n);
ssize_t __wrap_read(int fd, void *buf, size_t n)
{
	return refused() ? -1 : ends() ? 0 : __real_read(fd, buf, n);
}

ssize_t __real_pread64(int fd, void *buf, size_t n, off_t at);
ssize_t __wrap_pread64(int fd, void *buf, size_t n, off_t at);
ssize_t __wrap_pread64(int fd, void *buf, size_t n, off_t at)
{
	return refused() ? -1 : ends() ? 0 : __real_pread64(fd, buf, n, at);
}

WRAP(ssize_t, write, (int fd, const void *buf, size_t n), (fd, buf, n), refused, -1)
WRAP(int, fsync, (int fd), (fd), refused, -1)
WRAP(int, fallocate64, (int fd, int mode, off_t at, off_t n), (fd, mode, at, n), refused, -1)
WRAP(int, fstat64, (int fd, struct stat *st), (fd, st), refused, -1)
WRAP(int, fchmod, (int fd, mode_t mode), (fd, mode), refused, -1)
WRAP(int, fchown, (int fd, uid_t user, gid_t group), (fd, user, group), refused, -1)
WRAP(int, faccessat, (int folder, const char *path, int mode, int flags),
	(folder, path, mode, flags), refused, -1)
WRAP(int, rename, (const char *from, const char *to), (from, to), refused, -1)
WRAP(int, sched_getaffinity, (pid_t pid, size_t n, cpu_set_t *set), (pid, n, set), refused, -1)
WRAP(cpu_set_t *, __sched_cpualloc, (size_t n), (n), no_memory, NULL)

/* What the cgroup may have of the processors, as its file says it; NULL: the file's own text. */
static const char *quota;
FILE *__real_fopen64(const char *path, const char *mode);
FILE *__wrap_fopen64(const char *path, const char *mode);
FILE *__wrap_fopen64(const char *path, const char *mode)
{
	if (!quota || strcmp(path, "/sys/fs/cgroup/cpu.max") != 0)
		return __real_fopen64(path, mode);
	FILE *f = tmpfile();
	fputs(quota, f);
	rewind(f);
	return f;
}

WRAP(int, pthread_create,
	(pthread_t * thread, const pthread_attr_t *attr, void *(*f)(void *), void *arg),
	(thread, attr, f, arg), no_memory, EAGAIN)

int __real_linkat(int a, const char *from, int b, const char *to, int flags);
int __wrap_linkat(int a, const char *from, int b, const char *to, int flags);
int __wrap_linkat(int a, const char *from, int b, const char *to, int flags)
{
	if (fault.taken)
		errno = EEXIST;
	else if (!refused())
		return __real_linkat(a, from, b, to, flags);
	return -1;
}

/* Linux closes even so. */
int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
	int rc = __real_close(fd);
	return refused() ? -1 : rc;
}

/* WRAP_BASE(type of result, name, parameters, arguments): what fails with a struct error. */
#define WRAP_BASE(type, name, parameters, arguments) \
	type __real_##name parameters; \
	type __wrap_##name parameters; \
	type __wrap_##name parameters \
	{ \
		return base_fails(err) ? -1 : __real_##name arguments; \
	}

WRAP_BASE(ssize_t, input_read, (struct input * in, void *buf, size_t n, struct error *err),
	(in, buf, n, err))
WRAP_BASE(ssize_t, input_read_full, (struct input * in, void *buf, size_t n, struct error *err),
	(in, buf, n, err))
WRAP_BASE(ssize_t, input_peek, (struct input * in, void *buf, size_t n, struct error *err),
	(in, buf, n, err))
WRAP_BASE(int, output_write, (struct output * out, const void *buf, size_t n, struct error *err),
	(out, buf, n, err))
WRAP_BASE(int, output_reserve, (struct output * out, uint64_t n, struct error *err), (out, n, err))
WRAP_BASE(int, spool_write, (struct spool * spool, const void *buf, size_t n, struct error *err),
	(spool, buf, n, err))
WRAP_BASE(int, spool_read,
	(const struct spool *spool, uint64_t at, void *buf, size_t n, struct error *err),
	(spool, at, buf, n, err))

int __real_vasprintf(char **to, const char *format, va_list args);
int __wrap_asprintf(char **to, const char *format, ...) __attribute__((format(printf, 2, 3)));
int __wrap_asprintf(char **to, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int n = no_memory() ? -1 : vasprintf(to, format, args);
	va_end(args);
	return n;
}

/* --- scenarios -------------------------------------------------------------------------------- */

#define MODELS "tests/golden/model/"
static char folder[64], target[80]; /* in memory if possible: nothing waits for a disk */

static int read_tokens(const char *path, struct error *err)
{
	struct tokens_reader reader = {0};
	struct input in;
	uint32_t ids[100];
	ssize_t n = -1;
	if (input_open(&in, path, INPUT_GUNZIP, err) < 0)
		return -1;
	if (tokens_read_header(&reader, &in, err) == 0) {
		while ((n = tokens_read(&reader, ids, 100, err)) > 0)
			;
		tokens_reader_release(&reader);
	}
	input_close(&in);
	return (int)n;
}

static int reads_tokens(struct error *err)
{
	return read_tokens(GOLDEN "hello.tokens", err);
}

/* From a place that can't be read twice; as a pipe. */
static int read_shards(bool spooled, struct error *err)
{
	struct shards shards;
	struct input in;
	uint32_t ids[1000];
	int rc = -1;
	if (input_open(&in, GOLDEN "wrap.shards", INPUT_GUNZIP, err) < 0)
		return -1;
	in.from_start = !spooled;
	if (shards_open(&shards, &in, err) == 0) {
		rc = shards_read(&shards, SHARDS_TRAIN, 0, ids, err);
		shards_close(&shards);
	}
	input_close(&in);
	return rc;
}

static int reads_shards(struct error *err)
{
	return read_shards(false, err);
}

static int reads_shards_of_a_pipe(struct error *err)
{
	return read_shards(true, err);
}

static int read_model(struct model_file *model, const char *path, struct error *err)
{
	struct input in;
	if (input_open(&in, path, INPUT_GUNZIP, err) < 0)
		return -1;
	int rc = model_file_read(model, &in, err);
	input_close(&in);
	return rc;
}

static int copy_model(const char *path, unsigned flags, struct error *err)
{
	struct model_file model;
	struct output out;
	int rc = -1;
	if (read_model(&model, path, err) < 0)
		return -1;
	if (output_open(&out, target, flags, err) < 0)
		goto out;
	if (model_file_write(&model, &out, err) == 0)
		rc = output_commit(&out, err);
	output_discard(&out);
out:
	model_file_release(&model);
	return rc;
}

static int copies_a_model(struct error *err)
{
	unlink(target);
	return copy_model(MODELS "small.safetensors", 0, err);
}

static int replaces_a_checkpoint(struct error *err)
{
	return copy_model(MODELS "checkpoint.safetensors", 0, err);
}

static int compresses_a_model(struct error *err)
{
	return copy_model(MODELS "halves.safetensors", OUTPUT_GZIP, err);
}

static int reads_compressed(struct error *err)
{
	struct model_file model;
	int rc = read_model(&model, target, err);
	if (rc == 0)
		model_file_release(&model);
	return rc;
}

static int writes_streams(struct error *err)
{
	static const uint32_t symbols[] = {'a', 'b', 'c'}, ids[] = {0, 1, 2, 1};
	struct tokens_writer tokens = {0};
	struct shards_writer writer = {0};
	struct vocab vocab;
	struct output out;
	int rc = -1;
	if (vocab_init(&vocab, VOCAB_CODEPOINT, VOCAB_KEEP, symbols, 3, err) < 0)
		return -1;
	struct shards_header header = {
		.vocab = vocab, .window = 1, .rows = {2}, .batches = {1}, .tokens_used = 2};
	if (output_open(&out, target, 0, err) < 0)
		goto out;
	if (tokens_write_header(&tokens, &out, &vocab, err) == 0 &&
		tokens_write(&tokens, ids, 4, err) == 0 && tokens_write_end(&tokens, err) == 0 &&
		shards_write_header(&writer, &out, &header, err) == 0 &&
		shards_write(&writer, SHARDS_TRAIN, "\0\1\2\1", err) == 0 &&
		shards_write_end(&writer, err) == 0 && output_flush(&out, err) == 0)
		rc = output_commit(&out, err);
	tokens_writer_release(&tokens);
	output_discard(&out);
out:
	vocab_release(&vocab);
	return rc;
}

/* More than one frame, which the output's buffer can't hold. */
static int writes_a_long_stream(struct error *err)
{
	enum { IDS = TOKENS_FRAME_BYTES + 1 };
	static const uint32_t symbols[] = {'a'};
	static uint32_t ids[IDS];
	struct tokens_writer tokens = {0};
	struct vocab vocab;
	struct output out;
	int rc = -1;
	if (vocab_init(&vocab, VOCAB_CODEPOINT, VOCAB_KEEP, symbols, 1, err) < 0)
		return -1;
	if (output_open(&out, target, 0, err) < 0)
		goto out;
	if (tokens_write_header(&tokens, &out, &vocab, err) == 0 &&
		tokens_write(&tokens, ids, IDS, err) == 0 && tokens_write_end(&tokens, err) == 0)
		rc = output_commit(&out, err);
	tokens_writer_release(&tokens);
	output_discard(&out);
out:
	vocab_release(&vocab);
	return rc;
}

static int reads_optional_frames(struct error *err)
{
	return read_tokens(GOLDEN "optional.tokens", err);
}

static int carries_a_state_on(struct error *err)
{
	const struct params sizes = {.cell = &lstm_cell, .layers = 1, .hidden = 2, .vocab = 3};
	struct state_file state, again;
	struct model_file model;
	struct output out;
	struct input in;
	uint32_t crc;
	int rc = -1;
	if (read_model(&model, MODELS "small.safetensors", err) < 0)
		return -1;
	if (state_file_model_crc(&model, &crc, err) < 0 || state_file_init(&state, &sizes, err) < 0)
		goto out;
	if (output_open(&out, target, 0, err) == 0) {
		if (state_file_write(&state, crc, &out, err) == 0)
			rc = output_commit(&out, err);
		output_discard(&out);
	}
	if (rc == 0 && (rc = input_open(&in, target, INPUT_GUNZIP, err)) == 0) {
		rc = state_file_read_any(&again, &crc, &in, err);
		input_close(&in);
		if (rc == 0)
			state_file_release(&again);
	}
	state_file_release(&state);
out:
	model_file_release(&model);
	return rc;
}

static int reads_vocabularies(struct error *err)
{
	static const char *const files[] = {
		GOLDEN "hello.tokens", GOLDEN "wrap.shards", MODELS "small.safetensors"};
	for (size_t i = 0; i < 3; i++) {
		struct vocab vocab;
		if (vocab_file_read(&vocab, files[i], err) < 0)
			return -1;
		vocab_release(&vocab);
	}
	return 0;
}

static int read_text(size_t count, struct error *err)
{
	static char file[] = "tests/golden/model/make.py";
	char *files[] = {file, file};
	struct text text = {.files = files, .count = count, .unknown = TEXT_UNKNOWN_ERROR};
	struct vocab vocab = {0};
	uint32_t ids[1000];
	ssize_t n = -1;
	if (text_open(&text, err) < 0)
		return -1;
	if (text_survey(&text, &vocab, err) == 0)
		while ((n = text_read(&text, &vocab, ids, 1000, err)) > 0)
			;
	vocab_release(&vocab);
	text_close(&text);
	return (int)n;
}

static int reads_a_text(struct error *err)
{
	return read_text(1, err);
}

static int reads_two_texts(struct error *err)
{
	return read_text(2, err);
}

/* Beyond what it keeps in memory. */
static int spools(struct error *err)
{
	struct spool spool;
	static unsigned char bytes[1 << 20];
	int rc = -1;
	if (spool_init(&spool, err) < 0)
		return -1;
	for (size_t n = 0; n <= SPOOL_MEMORY; n += sizeof bytes)
		if (spool_write(&spool, bytes, sizeof bytes, err) < 0)
			goto out;
	rc = spool_read(&spool, SPOOL_MEMORY - 10, bytes, 20, err);
out:
	spool_release(&spool);
	return rc;
}

/* What making the JSON of a file takes, once the model is there. */
static int makes_json(struct error *err)
{
	struct model_file model;
	struct output out;
	unsigned n = fault.memory;
	fault.memory = 0;
	assert_int_equal(read_model(&model, MODELS "checkpoint.safetensors", err), 0);
	assert_int_equal(output_open(&out, target, 0, err), 0);
	fault.memory = n;
	json_set_alloc_funcs(__wrap_malloc, free);
	int rc = model_file_write(&model, &out, err);
	json_set_alloc_funcs(__real_malloc, free);
	output_discard(&out);
	model_file_release(&model);
	return rc;
}

static int configures(struct error *err)
{
	static const struct option table[] = {
		{.name = "rows", .type = OPTION_INTEGER, .low = 1, .high = 1000, .help = ""}, {0}};
	uint64_t rows = 0;
	struct options options = {.tool = "batchify", .table = table, .values = &rows};
	struct config *config;
	char path[100];
	snprintf(path, sizeof path, "%s/config", folder);
	if (config_apply(path, &options, &config, err) < 0)
		return -1;
	config_release(config);
	return 0;
}

static int starts_threads(struct error *err)
{
	struct pool *pool = pool_new(3, err);
	pool_free(pool);
	return pool ? 0 : -1;
}

/* --- the tests -------------------------------------------------------------------------------- */

static int count_entries(const char *path)
{
	int count = 0;
	DIR *directory = opendir(path);
	assert_non_null(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

static const struct scenario {
	const char *name;
	int (*run)(struct error *err);
} scenarios[] = {
	{"tokens", reads_tokens},
	{"shards", reads_shards},
	{"shards of a pipe", reads_shards_of_a_pipe},
	{"a new model", copies_a_model},
	{"a replaced checkpoint", replaces_a_checkpoint},
	{"a compressed model", compresses_a_model},
	{"reading it", reads_compressed},
	{"streams", writes_streams},
	{"a long stream", writes_a_long_stream},
	{"optional frames", reads_optional_frames},
	{"a state", carries_a_state_on},
	{"vocabularies", reads_vocabularies},
	{"a text", reads_a_text},
	{"two texts", reads_two_texts},
	{"a configuration", configures},
	{"threads", starts_threads},
	{"a spool", spools},
};
enum { SCENARIOS = sizeof scenarios / sizeof *scenarios };

/* Runs a scenario with the n-th call failing until it has fewer calls. */
static void fail_each(const struct scenario *scenario, unsigned *which, int number)
{
	for (unsigned n = 1;; n++) {
		struct error err = {0};
		int open_before = count_entries("/proc/self/fd");
		fault.number = number;
		fault.came = false;
		*which = n;
		int rc = scenario->run(&err);
		*which = 0;
		bool ended = !fault.came;
		fault.came = false;
		if (ended && rc < 0)
			fail_msg("%s: fails undisturbed: %s", scenario->name, err.text);
		if (rc < 0 && which == &fault.memory && err.status != STATUS_NO_MEMORY &&
			err.status != STATUS_CANT_CREATE && err.status != STATUS_IO)
			fail_msg("%s: allocation %u: status %d: %s", scenario->name, n, err.status,
				err.text);
		if (rc < 0 && which == &fault.base && err.status != STATUS_IO)
			fail_msg("%s: call %u: status %d: %s", scenario->name, n, err.status,
				err.text);
		if (rc < 0 && which == &fault.system && err.status != STATUS_IO &&
			err.status != STATUS_NO_INPUT && err.status != STATUS_CANT_CREATE)
			fail_msg("%s: system call %u: status %d: %s", scenario->name, n, err.status,
				err.text);
		if (rc < 0)
			assert_true(err.text[0] != '\0');
		assert_int_equal(count_entries("/proc/self/fd"), open_before);
		assert_in_range(count_entries(folder), 3, 4); /* ".", "..", the configuration */
		if (ended)
			return;
	}
}

static void without_memory_there_is_an_error(void **state)
{
	(void)state;
	for (int i = 0; i < SCENARIOS; i++)
		fail_each(&scenarios[i], &fault.memory, ENOMEM);
	fail_each(&(struct scenario){"making JSON", makes_json}, &fault.memory, ENOMEM);
	fault.no_unnamed = EOPNOTSUPP;
	fail_each(&(struct scenario){"a new model", copies_a_model}, &fault.memory, ENOMEM);
	fault.no_unnamed = 0;
}

static void a_call_of_base_that_fails_is_passed_on(void **state)
{
	(void)state;
	for (int i = 0; i < SCENARIOS; i++)
		fail_each(&scenarios[i], &fault.base, 0);
}

static void a_failing_system_call_is_an_error_or_makes_no_difference(void **state)
{
	static const int numbers[] = {
		EIO, ENOSPC, EOPNOTSUPP, ENOSYS, EACCES, EPERM, EINVAL, EEXIST, EROFS};
	(void)state;
	for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
		for (int i = 0; i < SCENARIOS; i++)
			fail_each(&scenarios[i], &fault.system, numbers[k]);
}

static ino_t inode_of(const char *path)
{
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

static void a_failure_after_the_file_has_its_place_says_so(void **state)
{
	unsigned told = 0;
	struct error err;
	(void)state;
	assert_int_equal(replaces_a_checkpoint(&err), 0);
	for (unsigned n = 1;; n++) {
		ino_t before = inode_of(target);
		fault.number = EIO;
		fault.came = false;
		fault.system = n;
		int rc = replaces_a_checkpoint(&err);
		fault.system = 0;
		if (!fault.came)
			break;
		bool says = rc < 0 && strstr(err.text, "in its place, but");
		if (rc < 0 && says != (inode_of(target) != before))
			fail_msg("system call %u: %s", n, err.text);
		told += says;
	}
	fault.came = false;
	assert_true(told >= 2); /* the folder's fsync, the file's close */
}

static void a_file_system_without_unnamed_files_has_the_same_failures(void **state)
{
	(void)state;
	fault.no_unnamed = EOPNOTSUPP;
	fail_each(&(struct scenario){"a new model", copies_a_model}, &fault.system, EIO);
	fault.no_unnamed = EISDIR;
	fail_each(&(struct scenario){"a checkpoint", replaces_a_checkpoint}, &fault.system, EEXIST);
	fault.no_unnamed = EINVAL;
	fail_each(&(struct scenario){"a spool", spools}, &fault.system, EIO);
	fault.no_unnamed = 0;
}

static void where_every_name_is_taken_nothing_is_written(void **state)
{
	struct error err;
	(void)state;
	fault.taken = true;
	assert_int_equal(replaces_a_checkpoint(&err), -1);
	assert_int_equal(err.status, STATUS_IO);
	assert_non_null(strstr(err.text, "its name"));
	fault.no_unnamed = EOPNOTSUPP;
	assert_int_equal(replaces_a_checkpoint(&err), -1);
	assert_int_equal(err.status, STATUS_CANT_CREATE);
	fault.no_unnamed = 0;
	fault.taken = false;
}

static void a_file_that_became_shorter_is_an_error(void **state)
{
	(void)state;
	for (int i = 0; i < SCENARIOS; i++)
		fail_each(&scenarios[i], &fault.end, 0);
}

/* EINTR at any call, and EAGAIN at a read or write, whose descriptor is then waited for. */
static void an_interrupted_call_is_made_again(void **state)
{
	(void)state;
	fail_each(&(struct scenario){"tokens", reads_tokens}, &fault.system, EINTR);
	fail_each(&(struct scenario){"a checkpoint", replaces_a_checkpoint}, &fault.system, EINTR);
	fail_each(&(struct scenario){"shards", reads_shards}, &fault.system, EINTR);
	fail_each(&(struct scenario){"a text", reads_a_text}, &fault.system, EINTR);
	fail_each(&(struct scenario){"a spool", spools}, &fault.system, EINTR);
	fail_each(&(struct scenario){"tokens", reads_tokens}, &fault.system, EAGAIN);
	fail_each(&(struct scenario){"a checkpoint", replaces_a_checkpoint}, &fault.system, EAGAIN);
}

static void a_cgroup_s_quota_limits_the_cores(void **state)
{
	static const struct {
		const char *quota;
		unsigned most;
	} cases[] = {
		{"max 100000\n", UINT_MAX}, /* none */
		{"100000 100000\n", 1},
		{"1 100000\n", 1},
		{"100001 100000\n", 2},
		{"999999999 100000\n", 10000},
		{"100000 0\n", UINT_MAX},
		{"", UINT_MAX},
	};
	(void)state;
	quota = "max 100000\n";
	unsigned all = pool_cores();
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		quota = cases[i].quota;
		assert_int_equal(pool_cores(), all < cases[i].most ? all : cases[i].most);
	}
	quota = "max 100000\n";
	fault.number = EINVAL;
	fault.system = 1; /* nobody knows the affinity */
	assert_int_equal(pool_cores(), 1);
	fault.memory = 1;
	assert_int_equal(pool_cores(), 1);
	fault.memory = fault.system = 0;
	quota = NULL;
}

static int set_up(void **state)
{
	(void)state;
	strcpy(folder, "/dev/shm/charpipe-faults-XXXXXX");
	if (!mkdtemp(folder))
		assert_non_null(mkdtemp(strcpy(folder, "/tmp/charpipe-faults-XXXXXX")));
	snprintf(target, sizeof target, "%s/config", folder);
	FILE *f = fopen(target, "w");
	assert_non_null(f);
	fputs("batchify:\n  rows: 7\n", f);
	assert_int_equal(fclose(f), 0);
	snprintf(target, sizeof target, "%s/out", folder);
	return 0;
}

static int tear_down(void **state)
{
	char path[100];
	(void)state;
	snprintf(path, sizeof path, "%s/config", folder);
	unlink(path);
	unlink(target);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_memory_there_is_an_error),
		cmocka_unit_test(a_call_of_base_that_fails_is_passed_on),
		cmocka_unit_test(where_every_name_is_taken_nothing_is_written),
		cmocka_unit_test(a_failing_system_call_is_an_error_or_makes_no_difference),
		cmocka_unit_test(a_failure_after_the_file_has_its_place_says_so),
		cmocka_unit_test(a_file_system_without_unnamed_files_has_the_same_failures),
		cmocka_unit_test(a_file_that_became_shorter_is_an_error),
		cmocka_unit_test(an_interrupted_call_is_made_again),
		cmocka_unit_test(a_cgroup_s_quota_limits_the_cores),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
