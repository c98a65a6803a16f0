/* vec.h: one vector of floats, as wide as the instruction set that this file is compiled for, and
 * exp, sigmoid and tanh on it.
 *
 * GNU vector types give + - * / and comparisons; what they lack is here. kernels.c is compiled once
 * per width. NaN goes in and comes out of every function. */
#ifndef CPU_VEC_H
#define CPU_VEC_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined __AVX512F__
#include <immintrin.h>
enum { VL = 16 };
#elif defined __AVX2__ && defined __FMA__
#include <immintrin.h>
enum { VL = 8 };
#elif defined __aarch64__
#include <arm_neon.h>
enum { VL = 4 };
#else
enum { VL = 4 };
#endif

typedef float vf __attribute__((vector_size(4 * VL)));   /* VL floats */
typedef int32_t vi __attribute__((vector_size(4 * VL))); /* comparison results, bit patterns */
typedef uint32_t vu __attribute__((vector_size(4 * VL)));

static inline vf vload(const float *p)
{
	vf x;
	memcpy(&x, p, sizeof x);
	return x;
}

static inline void vstore(float *p, vf x)
{
	memcpy(p, &x, sizeof x);
}

static inline vf vset(float x)
{
	return x - (vf){0};
}

static inline vu vset_word(uint32_t x)
{
	return x + (vu){0};
}

static inline vi vlanes(void)
{
	vi lane;
	for (int i = 0; i < VL; i++)
		lane[i] = i;
	return lane;
}

/* The first n < VL floats; the others are zero, or not written. */
static inline vf vload_part(const float *p, size_t n)
{
#if defined __AVX512F__
	return (vf)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#elif defined __AVX2__ && defined __FMA__
	return (vf)_mm256_maskload_ps(p, (__m256i)(vlanes() < (int32_t)n));
#else
	vf x = {0};
	memcpy(&x, p, n * sizeof *p);
	return x;
#endif
}

static inline void vstore_part(float *p, vf x, size_t n)
{
#if defined __AVX512F__
	_mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)x);
#elif defined __AVX2__ && defined __FMA__
	_mm256_maskstore_ps(p, (__m256i)(vlanes() < (int32_t)n), (__m256)x);
#else
	memcpy(p, &x, n * sizeof *p);
#endif
}

/* a b + c, rounded once where the instruction set has FMA. */
static inline vf vfma(vf a, vf b, vf c)
{
#if defined __AVX512F__
	return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined __AVX2__ && defined __FMA__
	return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined __aarch64__
	return (vf)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
	return a * b + c;
#endif
}

static inline vf vselect(vi mask, vf yes, vf no)
{
	return (vf)((mask & (vi)yes) | (~mask & (vi)no));
}

/* The larger and the smaller of two; of a number and none, b if that is none. */
static inline vf vmax(vf a, vf b)
{
#if defined __AVX512F__
	return (vf)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined __AVX2__ && defined __FMA__
	return (vf)_mm256_max_ps((__m256)a, (__m256)b);
#else
	return vselect(a > b, a, b);
#endif
}

static inline vf vmin(vf a, vf b)
{
#if defined __AVX512F__
	return (vf)_mm512_min_ps((__m512)a, (__m512)b);
#elif defined __AVX2__ && defined __FMA__
	return (vf)_mm256_min_ps((__m256)a, (__m256)b);
#else
	return vselect(a < b, a, b);
#endif
}

/* x limited to low..high; NaN stays. */
static inline vf vclamp(vf x, float low, float high)
{
	return vmin(vset(high), vmax(vset(low), x));
}

static inline vf vabs(vf x)
{
	return (vf)((vi)x & 0x7fffffff);
}

/* The first n elements; the others are zero. */
static inline vf vfirst(vf x, size_t n)
{
	return (vf)((vi)x & (vlanes() < (int32_t)n));
}

static inline vi visnan(vf x)
{
	return (vi)vabs(x) > 0x7f800000;
}

static inline vf vsqrt(vf x)
{
#if defined __AVX512F__
	return (vf)_mm512_sqrt_ps((__m512)x);
#elif defined __AVX2__ && defined __FMA__
	return (vf)_mm256_sqrt_ps((__m256)x);
#elif defined __aarch64__
	return (vf)vsqrtq_f32((float32x4_t)x);
#else
	for (int i = 0; i < VL; i++)
		x[i] = __builtin_sqrtf(x[i]);
	return x;
#endif
}

/* VL floats as halves (IEEE 754 binary16), rounded to the nearest, ties to even, in the low half of
 * each word. Numbers lie within -HALF_MAX..HALF_MAX; what is below 2^-14 becomes zero. */
#define HALF_MAX 65504.f
static inline vu vhalf(vf x)
{
	const vu bits = (vu)x, rest = bits & 0x7fffffff;
	const vu half = (rest + 0xfff + (rest >> 13 & 1) - (112u << 23)) >> 13;
	return (half & (vu)(rest >= 113u << 23)) | (bits >> 16 & 0x8000);
}

/* The halves in each word, as floats HALF_SCALE times smaller: without an instruction that converts
 * them as they lie there, the exponent's offset stays 15, where it should be 127. */
#if defined __aarch64__
#define HALF_SCALE 1.f
static inline vf vhalf_low(vu pair)
{
	return (vf)vcvt_f32_f16(vreinterpret_f16_u16(vmovn_u32((uint32x4_t)pair)));
}

static inline vf vhalf_high(vu pair)
{
	return (vf)vcvt_f32_f16(vreinterpret_f16_u16(vshrn_n_u32((uint32x4_t)pair, 16)));
}
#else
#define HALF_SCALE 0x1p112f
static inline vf vhalf_low(vu pair)
{
#if defined __AVX512F__
	/* Moves the low half up and spreads its sign, on another port than a shift. */
	const vu at_place = (vu)_mm512_madd_epi16((__m512i)pair, _mm512_set1_epi32(1 << 13));
#else
	const vu at_place = (vu)((vi)(pair << 16) >> 3);
#endif
	return (vf)(at_place & 0x8fffe000);
}

static inline vf vhalf_high(vu pair)
{
	return (vf)((vu)((vi)pair >> 3) & 0x8fffe000);
}
#endif

/* VL floats as bfloat16, the upper half of a float, rounded to the nearest, ties to even; each in the
 * low half of a word. */
static inline vu vbf16(vf x)
{
#if defined __AVX512BF16__
	return (vu)_mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)x));
#else
	const vu bits = (vu)x, rounded = bits + 0x7fff + (bits >> 16 & 1);
	/* NaN may have its bits in the lower half alone. */
	return (vu)vselect(visnan(x), (vf)(bits | 0x400000), (vf)rounded) >> 16;
#endif
}

/* The low halves of 2 VL words, one behind the other. */
static inline void vstore_low(uint32_t *p, vu first, vu second)
{
	typedef uint16_t vh __attribute__((vector_size(2 * VL)));
	const vh low = __builtin_convertvector(first, vh);
	const vh high = __builtin_convertvector(second, vh);
	memcpy(p, &low, sizeof low);
	memcpy((char *)p + sizeof low, &high, sizeof high);
}

/* 2 VL floats as bfloat16, one behind the other. */
static inline void vstore_bf16(uint32_t *p, vf first, vf second)
{
#if defined __AVX512BF16__
	const __m512i both = (__m512i)_mm512_cvtne2ps_pbh((__m512)second, (__m512)first);
	memcpy(p, &both, sizeof both);
#else
	vstore_low(p, vbf16(first), vbf16(second));
#endif
}

/* sum + a b, a and b being two bfloat16 in each word. */
static inline vf vdot_bf16(vu a, vu b, vf sum)
{
#if defined __AVX512BF16__
	return (vf)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
#else
	sum = vfma((vf)(a & 0xffff0000), (vf)(b & 0xffff0000), sum);
	return vfma((vf)(a << 16), (vf)(b << 16), sum);
#endif
}

/* Whole numbers of 8 bits, four in each word: x, -127..127, has BYTE_OFFSET added where the
 * instruction takes it without a sign. */
#if defined __AVX512VNNI__ || defined __AVXVNNI__
enum { BYTE_OFFSET = 128 };
#else
enum { BYTE_OFFSET = 0 };
#endif

/* VL floats, -1..1, as 127ths, rounded to the nearest, ties to even; NaN is 0. */
static inline void vstore_bytes(uint8_t *p, vf x)
{
	typedef uint8_t vb __attribute__((vector_size(VL)));
	x = vselect(visnan(x), (vf){0}, vclamp(x, -1, 1));
	/* Added, it leaves the integer in the low bits. */
	const vb bytes = __builtin_convertvector((vu)(x * 127.f + 0x1.8p23f) + BYTE_OFFSET, vb);
	memcpy(p, &bytes, sizeof bytes);
}

/* sum + x w, four products in each word, w within -127..127. Exact: two products of 7 bits and a
 * sign fit into the 16 bits that they are added in. */
static inline vi vdot_bytes(vu x, vu w, vi sum)
{
#if defined __AVX512VNNI__
	return (vi)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)x, (__m512i)w);
#elif defined __AVXVNNI__
	return (vi)_mm256_dpbusd_avx_epi32((__m256i)sum, (__m256i)x, (__m256i)w);
#elif defined __AVX512F__
	/* |x| times w with x's sign. */
	const __m512i signed_w = _mm512_mask_sub_epi8(
		(__m512i)w, _mm512_movepi8_mask((__m512i)x), _mm512_setzero_si512(), (__m512i)w);
	const __m512i pairs = _mm512_maddubs_epi16(_mm512_abs_epi8((__m512i)x), signed_w);
	return sum + (vi)_mm512_madd_epi16(pairs, _mm512_set1_epi16(1));
#elif defined __AVX2__ && defined __FMA__
	const __m256i pairs = _mm256_maddubs_epi16(
		_mm256_abs_epi8((__m256i)x), _mm256_sign_epi8((__m256i)w, (__m256i)x));
	return sum + (vi)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
#elif defined __ARM_FEATURE_DOTPROD
	return (vi)vdotq_s32((int32x4_t)sum, (int8x16_t)x, (int8x16_t)w);
#elif defined __aarch64__
	const int16x8_t low = vmull_s8(vget_low_s8((int8x16_t)x), vget_low_s8((int8x16_t)w));
	const int16x8_t high = vmull_high_s8((int8x16_t)x, (int8x16_t)w);
	return (vi)vpadalq_s16((int32x4_t)sum, vpaddq_s16(low, high));
#else
	for (int at = 24; at >= 0; at -= 8)
		sum += ((vi)(x << at) >> 24) * ((vi)(w << at) >> 24);
	return sum;
#endif
}

/* The upper 32 bits of the 64-bit products. */
static inline vu vmulhi(vu a, uint32_t b)
{
#if defined __AVX512F__
	const __m512i factor = _mm512_set1_epi32((int32_t)b);
	__m512i even = _mm512_srli_epi64(_mm512_mul_epu32((__m512i)a, factor), 32);
	__m512i odd = _mm512_mul_epu32(_mm512_srli_epi64((__m512i)a, 32), factor);
	return (vu)_mm512_mask_blend_epi32(0xaaaa, even, odd);
#elif defined __AVX2__ && defined __FMA__
	const __m256i factor = _mm256_set1_epi32((int32_t)b);
	__m256i even = _mm256_srli_epi64(_mm256_mul_epu32((__m256i)a, factor), 32);
	__m256i odd = _mm256_mul_epu32(_mm256_srli_epi64((__m256i)a, 32), factor);
	return (vu)_mm256_blend_epi32(even, odd, 0xaa);
#elif defined __aarch64__
	const uint64x2_t low = vmull_n_u32(vget_low_u32((uint32x4_t)a), b);
	const uint64x2_t high = vmull_high_n_u32((uint32x4_t)a, b);
	return (vu)vuzp2q_u32((uint32x4_t)low, (uint32x4_t)high);
#else
	for (int i = 0; i < VL; i++)
		a[i] = (uint32_t)((uint64_t)a[i] * b >> 32);
	return a;
#endif
}

/* e^x: x = n ln 2 + r, |r| <= ln 2 / 2, a polynomial in r (Cephes, S. Moshier), n added to the
 * exponent. Arguments are limited to [-87.3, 88], where the result is a normal number: it
 * neither reaches infinity nor 0. Error below 2 ulp. */
static inline vf vexp(vf x)
{
	x = vclamp(x, -87.3f, 88.f);
	const float magic = 0x1.8p23f; /* added, it leaves the integer nearest in the low bits */
	vf shifted = vfma(x, vset(1.44269504f), vset(magic));
	vf n = shifted - magic;
	vf r = vfma(
		n, vset(-0.693359375f), x); /* ln 2 in two parts: the first is exact in 10 bits */
	r = vfma(n, vset(2.12194440e-4f), r);
	vf p = vset(1.9875691500e-4f);
	p = vfma(p, r, vset(1.3981999507e-3f));
	p = vfma(p, r, vset(8.3334519073e-3f));
	p = vfma(p, r, vset(4.1665795894e-2f));
	p = vfma(p, r, vset(1.6666665459e-1f));
	p = vfma(p, r, vset(5.0000001201e-1f));
	p = vfma(p, r * r, r) + 1.f;
#if defined __AVX512F__
	return (vf)_mm512_scalef_ps((__m512)p, (__m512)n);
#else
	/* NaN went through the arithmetic on bits as anything at all. */
	return vselect(visnan(x), x, (vf)((vu)p + ((vu)shifted << 23)));
#endif
}

/* 1 / (1 + e^-x), relative error below 3 ulp. */
static inline vf vsigmoid(vf x)
{
	return 1.f / (1.f + vexp(-x));
}

/* tanh x: an odd polynomial for |x| < 0.625 (Cephes), else 1 - 2 / (e^2|x| + 1) with x's sign.
 * Relative error below 2 ulp. */
static inline vf vtanh(vf x)
{
	vf a = vabs(x), z = x * x;
	vf p = vset(-5.70498872745e-3f);
	p = vfma(p, z, vset(2.06390887954e-2f));
	p = vfma(p, z, vset(-5.37397155531e-2f));
	p = vfma(p, z, vset(1.33314422036e-1f));
	p = vfma(p, z, vset(-3.33332819422e-1f));
	vf small = vfma(p * z, x, x);
	vf large = 1.f - 2.f / (vexp(a + a) + 1.f);
	large = (vf)((vi)large | ((vi)x & INT32_MIN));
	return vselect(a < 0.625f, small, large);
}

#endif
