/* blas.c: see blas.h. */
#include "cpu/blas.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
	LIBRARY_BYTES = 64 << 20, /* of addresses: the library, those that it needs, its tables */
	BUFFER_BYTES =
		128 << 20, /* of addresses: what a call maps and its thread's next ones use */
};

/* Whether there are so many addresses, for what will then ask without end. */
static int probe(size_t bytes, const char *what, struct error *err)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return error_memory(err, bytes, what);
	munmap(p, bytes);
	return 0;
}

/* OpenBLAS starts a thread for each core when it is loaded, each with a buffer, and ends the process
 * if it can't. There is no way to ask for none but this variable, which is as it was afterwards:
 * another library may bring an OpenBLAS of its own. */
static void *load(const char *name)
{
	static const char variable[] = "OPENBLAS_NUM_THREADS";
	const char *value = getenv(variable);
	char *old = value ? strdup(value) : NULL;
	if (value && !old)
		return NULL;
	setenv(variable, "1", 1);
	void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
	if (old)
		setenv(variable, old, 1);
	else
		unsetenv(variable);
	free(old);
	return library;
}

static void *load_any(struct error *err)
{
	static const char *const names[] = {
		"libopenblas.so.0", "libopenblas.so", "libopenblas.0.dylib"};
	void *library = NULL;
	for (size_t i = 0; i < sizeof names / sizeof *names && !library; i++) {
		library = load(names[i]);
		if (!library && i == 0) {
			const char *why = dlerror();
			error_set(err, STATUS_NO_DEVICE, "training needs OpenBLAS: %s",
				why ? why : "out of memory");
		}
	}
	return library;
}

/* Where it has threads all the same, as it was loaded before, it is to use none of them; where it
 * has this function (it is what OpenBLAS itself calls before a fork), they end at once. */
static void stop_threads(void *library)
{
	__typeof__(openblas_set_num_threads) *set_threads =
		dlsym(library, "openblas_set_num_threads");
	int (*shutdown)(void) = dlsym(library, "blas_thread_shutdown_");
	if (set_threads)
		set_threads(1);
	if (shutdown)
		shutdown();
}

/* A call takes the first buffer that is free, and maps one more if there is none: so as many are
 * taken at once, and given back, as calls will take. */
static int reserve(void *library, unsigned threads, struct error *err)
{
	void *(*take)(int) = dlsym(library, "blas_memory_alloc");
	void (*give_back)(void *) = dlsym(library, "blas_memory_free");
	void **buffers = calloc(threads, sizeof *buffers);
	int rc = 0;
	if (!buffers)
		return error_memory(err, threads * sizeof *buffers, "OpenBLAS's buffers");
	for (unsigned i = 0; i < threads && rc == 0; i++) {
		rc = probe(BUFFER_BYTES, "a thread's buffer in OpenBLAS: fewer -j take less", err);
		if (rc == 0 && take && give_back)
			buffers[i] = take(0);
	}
	for (unsigned i = 0; i < threads; i++)
		if (buffers[i])
			give_back(buffers[i]);
	free(buffers);
	return rc;
}

int blas_open(struct blas *blas, unsigned threads, struct error *err)
{
	if (probe(LIBRARY_BYTES, "OpenBLAS", err) < 0)
		return -1;
	void *library = load_any(err);
	if (!library)
		return -1;
	blas->sgemm = (__typeof__(cblas_sgemm) *)dlsym(library, "cblas_sgemm");
	__typeof__(openblas_get_corename) *name = dlsym(library, "openblas_get_corename");
	if (!blas->sgemm || !name)
		return error_set(err, STATUS_NO_DEVICE, "training needs OpenBLAS: %s", dlerror());
	blas->kernel = name();
	stop_threads(library);
	return reserve(library, threads, err);
}
