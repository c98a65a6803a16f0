/* test_emulation.cc: the emulation punishes what a GPU would: what the other tests rely on. What
 * ends the program is done in a child. */
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

extern "C" {
#include <cmocka.h>
}

#include "emulation.h"

#include <cstdio>
#include <cstdlib>
#include <cublas_v2.h>
#include <cuda_runtime.h>
#include <functional>
#include <sys/wait.h>
#include <unistd.h>

enum : size_t { COUNT = 100 };

static cudaStream_t stream;
static float *x; /* device, (COUNT) */

static int open_stream(void **)
{
	void *p = nullptr;
	if (cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) != cudaSuccess ||
		cudaMalloc(&p, COUNT * sizeof(float)) != cudaSuccess)
		return -1;
	x = static_cast<float *>(p);
	return 0;
}

static int close_stream(void **)
{
	cudaFree(x);
	cudaStreamDestroy(stream);
	return 0;
}

template <typename... Parameters, typename... Arguments>
static cudaError_t launch(
	dim3 grid, dim3 block, void (*kernel)(Parameters...), Arguments... arguments)
{
	cudaLaunchConfig_t config = {};
	config.gridDim = grid;
	config.blockDim = block;
	config.stream = stream;
	return cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...);
}

/* How a child ends that does this: its signal, or 0. */
static int signal_of(const std::function<void()> &deed)
{
	fflush(nullptr);
	const pid_t child = fork();
	if (child == 0) {
		signal(SIGSEGV, SIG_DFL);
		signal(SIGABRT, SIG_DFL);
		fclose(stderr);
		deed();
		_exit(0);
	}
	int status = 0;
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static __global__ void set(float *to, size_t n, float value)
{
	const size_t i = blockIdx.x * blockDim.x + threadIdx.x;
	if (i < n)
		to[i] = value + static_cast<float>(i);
}

static __global__ void set_at(float *to, long i)
{
	to[i] = 1;
}

static void kernels_run_for_every_thread(void **)
{
	float got[COUNT];
	assert_int_equal(launch(dim3(4), dim3(32), set, x, COUNT, 3.f), cudaSuccess);
	cudaMemcpyAsync(got, x, sizeof got, cudaMemcpyDeviceToHost, stream);
	assert_int_equal(cudaStreamSynchronize(stream), cudaSuccess);
	for (size_t i = 0; i < COUNT; i++)
		assert_true(got[i] == 3 + static_cast<float>(i));
}

static void fresh_memory_is_no_number(void **)
{
	float got[COUNT] = {};
	void *p = nullptr;
	assert_int_equal(cudaMalloc(&p, sizeof got), cudaSuccess);
	cudaMemcpyAsync(got, p, sizeof got, cudaMemcpyDeviceToHost, stream);
	cudaStreamSynchronize(stream);
	for (float value : got)
		assert_true(isnan(value));
	cudaFree(p);
}

static void the_host_cannot_touch_device_memory(void **)
{
	assert_int_equal(signal_of([] { *static_cast<volatile float *>(x) = 1; }), SIGSEGV);
	assert_int_equal(signal_of([] { (void)*static_cast<volatile float *>(x); }), SIGSEGV);
	assert_int_equal(signal_of([] {
		launch(dim3(1), dim3(1), set_at, x, 0);
		cudaStreamSynchronize(stream);
	}),
		0);
}

static void a_kernel_cannot_leave_device_memory(void **)
{
	const auto write_at = [](long i) {
		return signal_of([=] {
			launch(dim3(1), dim3(1), set_at, x, i);
			cudaStreamSynchronize(stream);
		});
	};
	assert_int_equal(write_at(COUNT - 1), 0);
	assert_int_equal(write_at(COUNT), SIGABRT);      /* watched */
	assert_int_equal(write_at(COUNT + 15), SIGSEGV); /* guard page */
	assert_int_equal(write_at(COUNT + 1000), SIGSEGV);
	assert_int_equal(write_at(-1), SIGABRT);
	assert_int_equal(write_at(-1000), SIGSEGV);
}

static void a_kernel_gets_no_host_memory(void **)
{
	static float here[4];
	assert_int_equal(signal_of([] { launch(dim3(1), dim3(1), set, here, 4, 0.f); }), SIGABRT);
}

static void copies_look_at_what_they_are_given(void **)
{
	static float here[2 * COUNT];
	const auto copy = [](void *to, const void *from, size_t n, cudaMemcpyKind kind) {
		return cudaMemcpyAsync(to, from, n * sizeof(float), kind, stream);
	};
	assert_int_equal(copy(x, here, COUNT + 1, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
	assert_int_equal(copy(here, x + 1, COUNT, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
	assert_int_equal(
		copy(here, here + COUNT, 1, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
	assert_int_equal(
		copy(here, here + COUNT, 1, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
	assert_int_equal(
		cudaMemsetAsync(x, 0, (COUNT + 1) * sizeof *x, stream), cudaErrorInvalidValue);
	assert_int_equal(signal_of([=] { copy(x, x + 1, 2, cudaMemcpyDeviceToDevice); }), SIGABRT);
	cudaGetLastError();
}

static void nothing_runs_before_it_is_waited_for(void **)
{
	float got = -1;
	launch(dim3(1), dim3(1), set, x, 1, 7.f);
	cudaMemcpyAsync(&got, x, sizeof got, cudaMemcpyDeviceToHost, stream);
	assert_true(got == -1);
	cudaStreamSynchronize(stream);
	assert_true(got == 7);

	float from = 1;
	cudaMemcpyAsync(x, &from, sizeof from, cudaMemcpyHostToDevice, stream);
	from = 2; /* too early */
	cudaMemcpyAsync(&got, x, sizeof got, cudaMemcpyDeviceToHost, stream);
	cudaStreamSynchronize(stream);
	assert_true(got == 2);
}

static void launches_have_limits(void **)
{
	const dim3 good(1),
		grids[] = {dim3(0), dim3(0x80000000u), dim3(1, 65536), dim3(1, 1, 65536)};
	const dim3 blocks[] = {dim3(0), dim3(1025), dim3(32, 33), dim3(1, 1, 65)};
	for (const dim3 &grid : grids)
		assert_int_equal(launch(grid, good, set, x, 1, 0.f), cudaErrorInvalidConfiguration);
	for (const dim3 &block : blocks)
		assert_int_equal(
			launch(good, block, set, x, 1, 0.f), cudaErrorInvalidConfiguration);
	assert_int_equal(cudaGetLastError(), cudaErrorInvalidConfiguration);
	assert_int_equal(cudaGetLastError(), cudaSuccess);
}

/* Everyone writes, everyone reads what a neighbour wrote. */
static __global__ void turn(float *to, bool wait)
{
	__shared__ float shared[64];
	shared[threadIdx.x] = static_cast<float>(threadIdx.x);
	if (wait)
		__syncthreads();
	to[threadIdx.x] = shared[(threadIdx.x + 1) % 64];
	if (wait)
		__syncthreads();
	shared[threadIdx.x] = -1;
}

static void a_barrier_lets_threads_see_each_other(void **)
{
	float got[64];
	for (int wait = 1; wait >= 0; wait--) {
		launch(dim3(3), dim3(64), turn, x, wait);
		cudaMemcpyAsync(got, x, sizeof got, cudaMemcpyDeviceToHost, stream);
		cudaStreamSynchronize(stream);
		for (int i = 0; wait && i < 64; i++)
			assert_true(got[i] == static_cast<float>((i + 1) % 64));
		if (!wait) /* the race shows: the neighbour has not been there */
			assert_true(got[0] == -1);
	}
}

static __global__ void part(float *to, unsigned waiting)
{
	if (threadIdx.x < waiting)
		__syncthreads();
	to[threadIdx.x] = 0;
}

static void all_threads_must_come_to_a_barrier(void **)
{
	const auto run = [](unsigned waiting) {
		return signal_of([=] {
			launch(dim3(1), dim3(8), part, x, waiting);
			cudaStreamSynchronize(stream);
		});
	};
	assert_int_equal(run(8), 0);
	assert_int_equal(run(0), 0);
	assert_int_equal(run(3), SIGABRT);
}

static __global__ void vote(float *to, unsigned who)
{
	const bool first = __syncthreads_or(threadIdx.x == who);
	const bool second = __syncthreads_or(threadIdx.x == 2 * who);
	to[threadIdx.x] = static_cast<float>(first + 2 * second);
}

static void a_barrier_tells_whether_anyone_says_yes(void **)
{
	static const struct {
		unsigned who;
		float expected;
	} cases[] = {{0, 3}, {3, 3}, {5, 1}, {9, 0}};
	for (const auto &c : cases) {
		float got[8];
		launch(dim3(2), dim3(8), vote, x, c.who);
		cudaMemcpyAsync(got, x, sizeof got, cudaMemcpyDeviceToHost, stream);
		cudaStreamSynchronize(stream);
		for (float value : got)
			assert_true(value == c.expected);
	}
}

static void a_graph_replays_what_was_captured(void **)
{
	cudaGraph_t graph;
	cudaGraphExec_t exec;
	float got = -1;
	cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
	launch(dim3(1), dim3(1), set, x, 1, 5.f);
	assert_int_equal(cudaStreamEndCapture(stream, &graph), cudaSuccess);
	assert_int_equal(cudaGraphInstantiate(&exec, graph, 0), cudaSuccess);
	cudaGraphDestroy(graph);
	for (float expected : {0.f, 5.f, 5.f}) {
		cudaMemsetAsync(x, 0, sizeof *x, stream);
		if (expected > 0)
			cudaGraphLaunch(exec, stream);
		cudaMemcpyAsync(&got, x, sizeof got, cudaMemcpyDeviceToHost, stream);
		cudaStreamSynchronize(stream);
		assert_true(got == expected);
	}
	cudaGraphExecDestroy(exec);
}

static void a_capture_is_spoilt_by_what_it_cannot_hold(void **)
{
	const auto capture = [](const std::function<void()> &deed) {
		cudaGraph_t graph = nullptr;
		cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
		deed();
		const cudaError_t error = cudaStreamEndCapture(stream, &graph);
		cudaGraphDestroy(graph);
		return error;
	};
	void *p = nullptr;
	assert_int_equal(capture([] {}), cudaSuccess);
	assert_int_equal(capture([&] { cudaMalloc(&p, 1); }), cudaErrorStreamCaptureInvalidated);
	assert_int_equal(capture([] { cudaFree(x); }), cudaErrorStreamCaptureInvalidated);
	assert_int_equal(
		capture([] { cudaStreamSynchronize(stream); }), cudaErrorStreamCaptureInvalidated);

	cublasHandle_t blas;
	const float one = 1, zero = 0;
	const auto product = [&] {
		cublasSgemm_64(blas, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, x, 1, x + 1, 1, &zero,
			x + 2, 1);
	};
	cublasCreate(&blas);
	cublasSetStream(blas, stream);
	assert_int_equal(capture(product), cudaErrorStreamCaptureInvalidated);
	cublasSetWorkspace(blas, x, sizeof *x);
	assert_int_equal(capture(product), cudaSuccess);
	cublasSetStream(blas, stream); /* takes the workspace away */
	assert_int_equal(capture(product), cudaErrorStreamCaptureInvalidated);
	cublasDestroy(blas);
	cudaGetLastError();
}

int main()
{
	const CMUnitTest tests[] = {
		cmocka_unit_test(kernels_run_for_every_thread),
		cmocka_unit_test(fresh_memory_is_no_number),
		cmocka_unit_test(the_host_cannot_touch_device_memory),
		cmocka_unit_test(a_kernel_cannot_leave_device_memory),
		cmocka_unit_test(a_kernel_gets_no_host_memory),
		cmocka_unit_test(copies_look_at_what_they_are_given),
		cmocka_unit_test(nothing_runs_before_it_is_waited_for),
		cmocka_unit_test(launches_have_limits),
		cmocka_unit_test(a_barrier_lets_threads_see_each_other),
		cmocka_unit_test(all_threads_must_come_to_a_barrier),
		cmocka_unit_test(a_barrier_tells_whether_anyone_says_yes),
		cmocka_unit_test(a_graph_replays_what_was_captured),
		cmocka_unit_test(a_capture_is_spoilt_by_what_it_cannot_hold),
	};
	return cmocka_run_group_tests_name("emulation", tests, open_stream, close_stream);
}
