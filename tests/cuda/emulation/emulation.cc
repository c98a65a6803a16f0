/* emulation.cc: see emulation.h. Memory is mapped, and opened only while queued work runs; a stream
 * is a list of closures; the threads of a block are taken one after the other, each on a context of
 * its own once it has come to a barrier. */
#include "emulation.h"

#include "cublas_v2.h"
#include "cuda_runtime.h"

#include <algorithm>
#include <cblas.h>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>
#include <vector>

#if defined __SANITIZE_ADDRESS__
#define WITH_ASAN 1
#elif defined __has_feature
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif
#ifdef WITH_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

using work = std::function<void()>;

struct CUgraph_st {
	std::vector<work> nodes;
};
struct CUgraphExec_st {
	std::vector<work> nodes;
};
struct CUstream_st {
	std::vector<work> queue;
	std::unique_ptr<CUgraph_st> capture; /* while one is made */
	bool invalid;                        /* the capture, by a call that it can't hold */
};

struct piece {
	size_t bytes;
	char *map; /* guard page, pages, guard page */
	size_t mapped;
};

enum : size_t {
	PAGE = 4096,
	ALIGNMENT = 64,
	MEMORY = size_t(1) << 30, /* bytes that this GPU has */
	FILLED = 1 << 20,         /* bytes of fresh memory that are made NaN, for speed */
	STACK = 128 << 10,        /* of a thread that waits at a barrier */
};
static const unsigned char WATCHED = 0xff; /* fills the bytes around a piece: no number */

/* All that the emulation knows. */
static struct {
	std::map<const char *, piece> pieces;
	size_t bytes;
	std::vector<cudaStream_t> streams;
	unsigned long count[EMULATION_CALLS], fail_at[EMULATION_CALLS];
	int failure[EMULATION_CALLS];
	cudaError_t last;
	bool lost, reverse;
	emulation_gpu gpu;
} gpu;

[[noreturn]] static void punish(const char *what)
{
	fprintf(stderr, "emulation: %s\n", what);
	abort();
}

/* --- errors ---------------------------------------------------------------------------------- */

static cudaError_t result(cudaError_t error)
{
	if (error != cudaSuccess)
		gpu.last = error;
	return error;
}

/* Counts a call; the error that it was told to have. */
static int planned(emulation_call call)
{
	const unsigned long count = ++gpu.count[call];
	return count == gpu.fail_at[call] ? gpu.failure[call] : 0;
}

static cudaError_t enter(emulation_call call)
{
	const int error = planned(call);
	if (gpu.lost)
		return result(cudaErrorLaunchFailure);
	return result(static_cast<cudaError_t>(error));
}

unsigned long emulation_count(emulation_call call)
{
	return gpu.count[call];
}

void emulation_fail(emulation_call call, unsigned long nth, int error)
{
	gpu.fail_at[call] = nth ? gpu.count[call] + nth : 0;
	gpu.failure[call] = error;
}

void emulation_lose(bool lost)
{
	gpu.lost = lost;
}

void emulation_set_gpu(emulation_gpu which)
{
	gpu.gpu = which;
}

void emulation_set_reverse(bool reverse)
{
	gpu.reverse = reverse;
}

cudaError_t cudaGetLastError()
{
	const cudaError_t last = gpu.last;
	gpu.last = gpu.lost ? cudaErrorLaunchFailure : cudaSuccess;
	return last;
}

const char *cudaGetErrorName(cudaError_t error)
{
	return error == cudaErrorLaunchFailure ? "cudaErrorLaunchFailure" : "cudaError";
}

const char *cudaGetErrorString(cudaError_t error)
{
	static char text[64];
	snprintf(text, sizeof text, "emulated error %d", error);
	return text;
}

/* --- the device ------------------------------------------------------------------------------ */

static emulation_gpu which()
{
	static const struct {
		const char *name;
		emulation_gpu gpu;
	} names[] = {
		{"absent", EMULATION_GPU_ABSENT},
		{"no-driver", EMULATION_GPU_NO_DRIVER},
		{"old-driver", EMULATION_GPU_OLD_DRIVER},
		{"old", EMULATION_GPU_OLD},
	};
	const char *wanted = getenv("EMULATION_GPU");
	for (const auto &n : names)
		if (wanted && strcmp(wanted, n.name) == 0)
			return n.gpu;
	return gpu.gpu;
}

cudaError_t cudaDriverGetVersion(int *version)
{
	*version = which() == EMULATION_GPU_NO_DRIVER    ? 0
		   : which() == EMULATION_GPU_OLD_DRIVER ? 11040
							 : CUDART_VERSION;
	return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *count)
{
	*count = 0;
	if (which() == EMULATION_GPU_ABSENT)
		return result(cudaErrorNoDevice);
	if (which() == EMULATION_GPU_NO_DRIVER || which() == EMULATION_GPU_OLD_DRIVER)
		return result(cudaErrorInsufficientDriver);
	*count = 1;
	return cudaSuccess;
}

cudaError_t cudaSetDevice(int device)
{
	return result(device == 0 ? cudaSuccess : cudaErrorInvalidValue);
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int)
{
	const int capability = which() == EMULATION_GPU_OLD ? 61 : 90;
	*value = attribute == cudaDevAttrComputeCapabilityMajor ? capability / 10 : capability % 10;
	return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int)
{
	*properties = {"a GPU emulated on the host", 9, 0};
	return cudaSuccess;
}

/* --- memory ---------------------------------------------------------------------------------- */

static size_t up(size_t n, size_t unit)
{
	return (n + unit - 1) / unit * unit;
}

/* The piece that holds p; NULL for host memory. */
static const std::pair<const char *const, piece> *piece_of(const void *p)
{
	auto next = gpu.pieces.upper_bound(static_cast<const char *>(p));
	if (next == gpu.pieces.begin())
		return nullptr;
	const auto &found = *std::prev(next);
	return p < found.first + std::max(found.second.bytes, size_t(1)) ? &found : nullptr;
}

static bool on_device(const void *p, size_t bytes)
{
	const auto *found = piece_of(p);
	return found && static_cast<const char *>(p) + bytes <= found->first + found->second.bytes;
}

void emulation_check_argument(const void *p)
{
	if (p && !piece_of(p))
		punish("a kernel gets a pointer to host memory");
}

static void protect(int how)
{
	for (const auto &p : gpu.pieces)
		mprotect(p.second.map + PAGE, p.second.mapped - 2 * PAGE, how);
}

static bool watched(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (static_cast<unsigned char>(p[i]) != WATCHED)
			return false;
	return true;
}

static void check_watched()
{
	for (const auto &p : gpu.pieces) {
		const size_t used = up(p.second.bytes, ALIGNMENT);
		const bool room = p.first - p.second.map > static_cast<ptrdiff_t>(PAGE);
		if (!watched(p.first + p.second.bytes, used - p.second.bytes) ||
			(room && !watched(p.first - ALIGNMENT, ALIGNMENT)))
			punish("a kernel has written beside a piece of device memory");
	}
}

/* Whether a stream records; calls that a graph can't hold spoil that. */
static bool spoil_captures()
{
	bool any = false;
	for (cudaStream_t s : gpu.streams)
		if (s->capture)
			any = s->invalid = true;
	return any;
}

static void run(cudaStream_t stream)
{
	std::vector<work> queue;
	queue.swap(stream->queue);
	if (queue.empty())
		return;
	protect(PROT_READ | PROT_WRITE);
	for (const work &w : queue)
		w();
	check_watched();
	protect(PROT_NONE);
}

cudaError_t cudaMalloc(void **p, size_t bytes)
{
	const cudaError_t error = enter(EMULATION_ALLOC);
	if (error != cudaSuccess)
		return error;
	if (spoil_captures())
		return result(cudaErrorStreamCaptureUnsupported);
	if (bytes > MEMORY - gpu.bytes)
		return result(cudaErrorMemoryAllocation);
	piece piece = {};
	const size_t used = up(bytes, ALIGNMENT);
	piece.bytes = bytes;
	piece.mapped = up(std::max(used, size_t(1)), PAGE) + 2 * PAGE;
	void *map = mmap(nullptr, piece.mapped, PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED)
		return result(cudaErrorMemoryAllocation);
	piece.map = static_cast<char *>(map);
	/* Its end is at the guard page. */
	char *const begin = piece.map + piece.mapped - PAGE - std::max(used, size_t(ALIGNMENT));
	mprotect(piece.map + PAGE, piece.mapped - 2 * PAGE, PROT_READ | PROT_WRITE);
	if (begin - piece.map > static_cast<ptrdiff_t>(PAGE))
		memset(begin - ALIGNMENT, WATCHED, ALIGNMENT);
	memset(begin, 0xff, std::min(bytes, size_t(FILLED)));
	memset(begin + bytes, WATCHED, used - bytes);
	mprotect(piece.map + PAGE, piece.mapped - 2 * PAGE, PROT_NONE);
	gpu.pieces[begin] = piece;
	gpu.bytes += bytes;
	*p = begin;
	return cudaSuccess;
}

cudaError_t cudaFree(void *p)
{
	const cudaError_t error = enter(EMULATION_FREE);
	if (!p)
		return cudaSuccess;
	if (spoil_captures())
		return result(cudaErrorStreamCaptureUnsupported);
	const auto found = gpu.pieces.find(static_cast<const char *>(p));
	if (found == gpu.pieces.end())
		punish("what is freed was never allocated");
	for (cudaStream_t s : gpu.streams)
		if (gpu.lost)
			s->queue.clear();
		else
			run(s);
	munmap(found->second.map, found->second.mapped);
	gpu.bytes -= found->second.bytes;
	gpu.pieces.erase(found);
	return error;
}

cudaError_t cudaMallocHost(void **p, size_t bytes)
{
	const cudaError_t error = enter(EMULATION_ALLOC);
	if (error != cudaSuccess)
		return error;
	*p = malloc(bytes);
	return *p ? cudaSuccess : result(cudaErrorMemoryAllocation);
}

cudaError_t cudaFreeHost(void *p)
{
	free(p);
	return cudaSuccess;
}

size_t emulation_pieces()
{
	return gpu.pieces.size();
}

size_t emulation_bytes()
{
	return gpu.bytes;
}

/* --- streams --------------------------------------------------------------------------------- */

static void queue(cudaStream_t stream, work w)
{
	(stream->capture ? stream->capture->nodes : stream->queue).push_back(std::move(w));
}

cudaError_t cudaMemsetAsync(void *p, int value, size_t bytes, cudaStream_t stream)
{
	const cudaError_t error = enter(EMULATION_COPY);
	if (error != cudaSuccess)
		return error;
	if (!on_device(p, bytes))
		return result(cudaErrorInvalidValue);
	queue(stream, [=] { memset(p, value, bytes); });
	return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(
	void *to, const void *from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream)
{
	const cudaError_t error = enter(EMULATION_COPY);
	if (error != cudaSuccess)
		return error;
	const bool down = kind == cudaMemcpyDeviceToHost, up = kind == cudaMemcpyHostToDevice;
	if (down ? piece_of(to) != nullptr : !on_device(to, bytes))
		return result(cudaErrorInvalidValue);
	if (up ? piece_of(from) != nullptr : !on_device(from, bytes))
		return result(cudaErrorInvalidValue);
	const char *const a = static_cast<const char *>(to);
	const char *const b = static_cast<const char *>(from);
	if (a < b + bytes && b < a + bytes)
		punish("a copy overlaps itself");
	queue(stream, [=] { memcpy(to, from, bytes); });
	return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned)
{
	*stream = new CUstream_st();
	gpu.streams.push_back(*stream);
	return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
	if (!gpu.lost)
		run(stream);
	for (auto s = gpu.streams.begin(); s != gpu.streams.end(); s++)
		if (*s == stream) {
			gpu.streams.erase(s);
			break;
		}
	delete stream;
	return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
	const cudaError_t error = enter(EMULATION_SYNC);
	if (error != cudaSuccess) {
		stream->queue.clear();
		return error;
	}
	if (spoil_captures())
		return result(cudaErrorStreamCaptureUnsupported);
	run(stream);
	return cudaSuccess;
}

/* --- graphs ---------------------------------------------------------------------------------- */

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode)
{
	const cudaError_t error = enter(EMULATION_CAPTURE);
	if (error != cudaSuccess)
		return error;
	if (stream->capture)
		return result(cudaErrorIllegalState);
	stream->capture = std::make_unique<CUgraph_st>();
	stream->invalid = false;
	return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph)
{
	*graph = nullptr;
	if (!stream->capture)
		return result(cudaErrorIllegalState);
	std::unique_ptr<CUgraph_st> captured = std::move(stream->capture);
	if (stream->invalid)
		return result(cudaErrorStreamCaptureInvalidated);
	*graph = captured.release();
	return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long)
{
	const cudaError_t error = enter(EMULATION_INSTANTIATE);
	if (error != cudaSuccess)
		return error;
	*exec = new CUgraphExec_st{graph->nodes};
	return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream)
{
	const cudaError_t error = enter(EMULATION_GRAPH_LAUNCH);
	if (error != cudaSuccess)
		return error;
	for (const work &node : exec->nodes)
		queue(stream, node);
	return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec)
{
	delete exec;
	return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
	delete graph;
	return cudaSuccess;
}

/* --- kernels --------------------------------------------------------------------------------- */

dim3 threadIdx, blockIdx, blockDim, gridDim;

/* A place where a computation goes on, with a stack of its own. swapcontext() would do, but it asks
 * the kernel for the signal mask each time, and blocks change contexts by the million. */
#if defined __x86_64__
struct context {
	void *top; /* of the stack while it is put aside: registers, then where to go on */
};

extern "C" void emulation_switch(void **top, void *other);
asm(R"(
	.text
	.type emulation_switch, @function
emulation_switch:
	push %rbp
	push %rbx
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rsp, (%rdi)
	mov %rsi, %rsp
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbx
	pop %rbp
	ret
	.size emulation_switch, . - emulation_switch
	.section .note.GNU-stack, "", @progbits
	.text
)");

static void make(context *c, char *stack, size_t size, void (*function)())
{
	void **const top = reinterpret_cast<void **>(stack + size) - 8;
	memset(top, 0, 8 * sizeof *top);
	top[6] = reinterpret_cast<void *>(function);
	c->top = top;
}

static void change(context *from, context *to)
{
	emulation_switch(&from->top, to->top);
}
#else
struct context {
	ucontext_t place;
};

static void make(context *c, char *stack, size_t size, void (*function)())
{
	getcontext(&c->place);
	c->place.uc_stack.ss_sp = stack;
	c->place.uc_stack.ss_size = size;
	makecontext(&c->place, function, 0);
}

static void change(context *from, context *to)
{
	swapcontext(&from->place, &to->place);
}
#endif

/* A context that takes threads one after the other until one of them waits at a barrier. */
struct fiber {
	context place;
	std::unique_ptr<char[]> stack;
	dim3 thread; /* whom it has */
	int line;    /* of the barrier where that waits */
	bool done;   /* there was no thread left */
};

/* The block that is running. */
static struct {
	const work *thread;
	unsigned count, next, finished; /* threads */
	std::vector<std::unique_ptr<fiber>> fibers;
	size_t used; /* of them, by this block */
	fiber *current;
	context scheduler;
	const void *scheduler_stack; /* for ASan */
	size_t scheduler_size;
	bool any;   /* what __syncthreads_or() will find at the barrier ahead */
	bool found; /* and what it found at the last one */
} block;

/* ASan is told which stack is the current one. */
static void leave_for([[maybe_unused]] const void *stack, [[maybe_unused]] size_t size)
{
#ifdef WITH_ASAN
	__sanitizer_start_switch_fiber(nullptr, stack, size);
#endif
}

static void arrive([[maybe_unused]] const void **stack, [[maybe_unused]] size_t *size)
{
#ifdef WITH_ASAN
	__sanitizer_finish_switch_fiber(nullptr, stack, size);
#endif
}

static void to_scheduler(fiber *f)
{
	leave_for(block.scheduler_stack, block.scheduler_size);
	change(&f->place, &block.scheduler);
	arrive(nullptr, nullptr);
}

static void to_fiber(fiber *f)
{
	block.current = f;
	threadIdx = f->thread;
	leave_for(f->stack.get(), STACK);
	change(&block.scheduler, &f->place);
	arrive(nullptr, nullptr);
}

static dim3 place(unsigned i, dim3 size)
{
	return dim3(i % size.x, i / size.x % size.y, i / size.x / size.y);
}

static void fiber_main()
{
	fiber *const f = block.current;
	arrive(&block.scheduler_stack, &block.scheduler_size);
	for (;;) {
		while (block.next < block.count) {
			const unsigned i = block.next++;
			threadIdx = f->thread =
				place(gpu.reverse ? block.count - 1 - i : i, blockDim);
			(*block.thread)();
			block.finished++;
		}
		f->done = true;
		to_scheduler(f);
	}
}

bool emulation_barrier(int line, bool value)
{
	fiber *const f = block.current;
	block.any |= value;
	f->line = line;
	to_scheduler(f);
	return block.found;
}

/* Makes one more fiber take threads. */
static void next_fiber()
{
	if (block.used == block.fibers.size()) {
		block.fibers.push_back(std::make_unique<fiber>());
		fiber *const f = block.fibers.back().get();
		f->stack = std::make_unique<char[]>(STACK);
		make(&f->place, f->stack.get(), STACK, fiber_main);
	}
	fiber *const f = block.fibers[block.used++].get();
	f->done = false;
	to_fiber(f);
}

/* All threads that wait must be at one barrier, and no other may have left. */
static void check_barrier()
{
	for (size_t i = 0; i < block.used; i++)
		if (block.finished > 0 || block.fibers[i]->line != block.fibers[0]->line)
			punish("the threads of a block don't meet at the same barrier");
}

static void run_block(const work &thread)
{
	block.thread = &thread;
	block.count = blockDim.x * blockDim.y * blockDim.z;
	block.next = block.finished = 0;
	block.used = 0;
	block.any = false;
	while (block.next < block.count)
		next_fiber();
	if (block.fibers[block.used - 1]->done)
		block.used--;
	while (block.used > 0) {
		check_barrier();
		block.found = block.any;
		block.any = false;
		for (size_t i = 0; i < block.used; i++)
			to_fiber(block.fibers[i].get());
		if (block.finished == block.count)
			block.used = 0;
	}
}

cudaError_t emulation_launch(const cudaLaunchConfig_t *config, work thread)
{
	const cudaError_t error = enter(EMULATION_LAUNCH);
	const dim3 grid = config->gridDim, threads = config->blockDim;
	if (error != cudaSuccess)
		return error;
	const unsigned long long together =
		static_cast<unsigned long long>(threads.x) * threads.y * threads.z;
	if (together == 0 || together > 1024 || threads.z > 64 || grid.x == 0 || grid.y == 0 ||
		grid.z == 0 || grid.x > 0x7fffffffu || grid.y > 0xffffu || grid.z > 0xffffu)
		return result(cudaErrorInvalidConfiguration);
	queue(config->stream, [=] {
		const unsigned blocks = grid.x * grid.y * grid.z;
		gridDim = grid;
		blockDim = threads;
		for (unsigned i = 0; i < blocks; i++) {
			blockIdx = place(gpu.reverse ? blocks - 1 - i : i, grid);
			run_block(thread);
		}
	});
	return cudaSuccess;
}

/* --- cuBLAS ---------------------------------------------------------------------------------- */

struct cublasContext {
	cudaStream_t stream;
	bool workspace, tf32;
};

const char *cublasGetStatusString(cublasStatus_t status)
{
	return status == CUBLAS_STATUS_ALLOC_FAILED ? "out of memory" : "an emulated failure";
}

cublasStatus_t cublasCreate(cublasHandle_t *handle)
{
	const int status = planned(EMULATION_BLAS);
	if (status != 0)
		return static_cast<cublasStatus_t>(status);
	openblas_set_num_threads(1);
	*handle = new cublasContext();
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy(cublasHandle_t handle)
{
	delete handle;
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetVersion(cublasHandle_t, int *version)
{
	*version = CUDART_VERSION;
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream)
{
	handle->stream = stream;
	handle->workspace = false; /* back to its own */
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetWorkspace(cublasHandle_t handle, void *workspace, size_t bytes)
{
	if (!on_device(workspace, bytes))
		return CUBLAS_STATUS_INVALID_VALUE;
	handle->workspace = true;
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetAtomicsMode(cublasHandle_t, cublasAtomicsMode_t)
{
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode)
{
	handle->tf32 = mode == CUBLAS_TF32_TENSOR_OP_MATH;
	return CUBLAS_STATUS_SUCCESS;
}

/* x (n) with mantissas of 10 bits, rounded to the nearest. */
static std::vector<float> rounded(const float *x, size_t n)
{
	std::vector<float> y(n);
	for (size_t i = 0; i < n; i++) {
		uint32_t bits;
		memcpy(&bits, &x[i], sizeof bits);
		bits = (bits + 0xfffu + (bits >> 13 & 1)) & ~0x1fffu;
		memcpy(&y[i], &bits, sizeof bits);
	}
	return y;
}

/* Floats from a matrix's first to its last. */
static size_t extent(int64_t rows, int64_t columns, int64_t ld)
{
	return static_cast<size_t>((columns - 1) * ld + rows);
}

cublasStatus_t cublasSgemm_64(cublasHandle_t handle, cublasOperation_t transa,
	cublasOperation_t transb, int64_t m, int64_t n, int64_t k, const float *alpha,
	const float *a, int64_t lda, const float *b, int64_t ldb, const float *beta, float *c,
	int64_t ldc)
{
	const int status = planned(EMULATION_BLAS);
	if (status != 0)
		return static_cast<cublasStatus_t>(status);
	if (gpu.lost)
		return CUBLAS_STATUS_EXECUTION_FAILED;
	if (handle->stream->capture && !handle->workspace)
		handle->stream->invalid = true;
	const bool ta = transa == CUBLAS_OP_T, tb = transb == CUBLAS_OP_T, tf32 = handle->tf32;
	if (m <= 0 || n <= 0 || k <= 0 || lda < (ta ? k : m) || ldb < (tb ? n : k) || ldc < m)
		return CUBLAS_STATUS_INVALID_VALUE;
	const size_t size_a = ta ? extent(k, m, lda) : extent(m, k, lda);
	const size_t size_b = tb ? extent(n, k, ldb) : extent(k, n, ldb);
	if (!on_device(a, size_a * sizeof *a) || !on_device(b, size_b * sizeof *b) ||
		!on_device(c, extent(m, n, ldc) * sizeof *c))
		punish("cuBLAS is led out of device memory");
	queue(handle->stream, [=, scale = *alpha, keep = *beta] {
		std::vector<float> short_a, short_b;
		if (tf32) {
			short_a = rounded(a, size_a);
			short_b = rounded(b, size_b);
		}
		cblas_sgemm(CblasColMajor, ta ? CblasTrans : CblasNoTrans,
			tb ? CblasTrans : CblasNoTrans, static_cast<blasint>(m),
			static_cast<blasint>(n), static_cast<blasint>(k), scale,
			tf32 ? short_a.data() : a, static_cast<blasint>(lda),
			tf32 ? short_b.data() : b, static_cast<blasint>(ldb), keep, c,
			static_cast<blasint>(ldc));
	});
	return CUBLAS_STATUS_SUCCESS;
}
