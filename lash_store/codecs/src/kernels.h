/* The two conversions between a byte string and the elements of a MessagePack array of integers.
 *
 * An element below 0x80 is one byte, any other two: 0xcc and the byte. Element by element, each conversion waits for
 * the last one to know where it stands, some 2 ns a byte. Here a block is looked at as a whole: a bit mask says where
 * the 0xcc bytes belong (or are), and one shuffle moves all bytes of the block to their places. Which shuffle there is
 * depends on the processor, so the module asks at run time; the portable kernel does without.
 *
 * Every kernel does as much as it can with whole blocks and leaves the rest to the element-wise code, which is the only
 * one that judges input that upstream would not have written.
 */
#ifndef LASH_STORE_KERNELS_H
#define LASH_STORE_KERNELS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define UINT8_MARK 0xcc
#define LANES 64

/* Where a kernel stopped: how much it read, how much it wrote. */
typedef struct {
    size_t read;
    size_t written;
} progress;

/* From `in` (bytes: widen, elements: narrow) to `out`. Never reads beyond `in_size`, never writes beyond `room`, even if
 * somebody changes the input meanwhile. */
typedef progress (*conversion)(const uint8_t *in, size_t in_size, uint8_t *out, size_t room);

/* The size of `count` bytes as elements, without the header. */
static size_t widened_size(const uint8_t *in, size_t count)
{
    size_t size = count, i = 0;
    while (count - i >= LANES) {
        /* Counters side by side, which a compiler turns into vectors; emptied before one of them can overflow. */
        uint8_t counters[LANES] = {0};
        for (int round = 0; round < 255 && count - i >= LANES; round++, i += LANES) {
            for (int lane = 0; lane < LANES; lane++) {
                counters[lane] = (uint8_t)(counters[lane] + (in[i + (size_t)lane] >> 7));
            }
        }
        for (int lane = 0; lane < LANES; lane++) {
            size += counters[lane];
        }
    }
    for (; i < count; i++) {
        size += in[i] >> 7;
    }
    return size;
}
static progress widen_portable(const uint8_t *in, size_t in_size, uint8_t *out, size_t room)
{
    size_t from = 0, to = 0;
    for (; from < in_size && room - to >= 2; from++) {
        out[to] = UINT8_MARK;    /* overwritten by the byte unless that needs it */
        to += in[from] >> 7;
        out[to++] = in[from];
    }
    if (from < in_size && room > to && in[from] < 0x80) {
        out[to++] = in[from++];
    }
    return (progress){from, to};
}

static progress narrow_portable(const uint8_t *in, size_t in_size, uint8_t *out, size_t room)
{
    size_t from = 0, to = 0;
    while (to < room && from < in_size) {
        if (in[from] < 0x80) {
            out[to++] = in[from++];
        }
        else if (in[from] == UINT8_MARK && in_size - from >= 2) {
            out[to++] = in[from + 1];
            from += 2;
        }
        else {
            break;
        }
    }
    return (progress){from, to};
}

#if defined(__x86_64__) && defined(__GNUC__)
#define HAVE_X86_KERNELS 1
#include <immintrin.h>

/* Of a run of 0xcc bytes the first is a mark, the second its value, the third a mark again. `runs` has a bit for each
 * 0xcc byte of a block that does not begin inside an element; the result, one for each mark. Adding the first bit of a
 * run to the run carries through it, which tells the runs that begin at even places from the others. */
static inline uint64_t marks_of(uint64_t runs)
{
    const uint64_t even = 0x5555555555555555u;
    const uint64_t firsts = runs & ~(runs << 1);
    const uint64_t from_even = runs & ~(runs + (firsts & even));
    return (from_even & even) | (runs & ~from_even & ~even);
}

/* Looks at 64 bytes: `mark` has a bit for each 0xcc byte, `high` for each byte from 0x80 on. Sets `*marks`, and
 * `*inside` to whether the block ends between a mark and its value. False if the block holds anything else than the
 * two kinds of element. */
static inline int block_marks(uint64_t mark, uint64_t high, uint64_t *marks, uint64_t *inside)
{
    uint64_t runs = mark;
    if (__builtin_expect((mark & *inside) != 0, 0)) {
        /* The first byte is a value. This must stay a branch: waiting for the block before only where it matters lets
         * the processor work on several blocks at a time. */
        runs &= ~(uint64_t)1;
        __asm__("" : "+r"(runs));
    }
    const uint64_t found = marks_of(runs);
    const uint64_t values = found << 1 | *inside;
    if (high & ~found & ~values) {
        return 0;
    }
    *marks = found;
    *inside = found >> 63;
    return 1;
}

/* A block that ends inside an element has its mark behind it: the rest begins at that mark again. */
#define STOPPED_AT(from, inside) ((from) - (size_t)(inside))

/* For each mask of 8 bytes: where each byte of the output comes from. 8 stands for the mark; in the second table the
 * bytes under a set bit are dropped. Filled once, when the module is loaded. */
static uint8_t widen_shuffle[256][16];
static uint8_t narrow_shuffle[256][8];

static void fill_shuffles(void)
{
    for (int mask = 0; mask < 256; mask++) {
        int wide = 0, narrow = 0;
        memset(widen_shuffle[mask], 8, sizeof widen_shuffle[mask]);
        memset(narrow_shuffle[mask], 0x80, sizeof narrow_shuffle[mask]);
        for (int i = 0; i < 8; i++) {
            const int set = mask >> i & 1;
            wide += set;
            widen_shuffle[mask][wide++] = (uint8_t)i;
            if (!set) {
                narrow_shuffle[mask][narrow++] = (uint8_t)i;
            }
        }
    }
}

#define SSSE3 __attribute__((target("ssse3,popcnt")))
#define VBMI2 __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi2,bmi,bmi2,popcnt")))

SSSE3 static progress widen_ssse3(const uint8_t *in, size_t in_size, uint8_t *out, size_t room)
{
    const __m128i mark = _mm_set1_epi8((char)UINT8_MARK);
    uint8_t *to = out;
    size_t from = 0;
    for (; in_size - from >= 16 && room - (size_t)(to - out) >= 32; from += 16) {
        const __m128i bytes = _mm_loadu_si128((const void *)(in + from));
        const unsigned high = (unsigned)_mm_movemask_epi8(bytes);
        const unsigned low_half = high & 0xff, high_half = high >> 8;
        const __m128i low = _mm_shuffle_epi8(_mm_unpacklo_epi64(bytes, mark),
                                             _mm_loadu_si128((const void *)widen_shuffle[low_half]));
        const __m128i top = _mm_shuffle_epi8(_mm_unpackhi_epi64(bytes, mark),
                                             _mm_loadu_si128((const void *)widen_shuffle[high_half]));
        _mm_storeu_si128((void *)to, low);
        _mm_storeu_si128((void *)(to + 8 + __builtin_popcount(low_half)), top);
        to += 16 + __builtin_popcount(high);
    }
    return (progress){from, (size_t)(to - out)};
}

SSSE3 static inline uint8_t *drop_marks(__m128i bytes, unsigned marks, uint8_t *to)
{
    const __m128i shuffle = _mm_loadl_epi64((const void *)narrow_shuffle[marks]);
    _mm_storel_epi64((void *)to, _mm_shuffle_epi8(bytes, shuffle));
    return to + 8 - __builtin_popcount(marks);
}

SSSE3 static progress narrow_ssse3(const uint8_t *in, size_t in_size, uint8_t *out, size_t room)
{
    const __m128i mark = _mm_set1_epi8((char)UINT8_MARK);
    uint64_t inside = 0, marks;
    uint8_t *to = out;
    size_t from = 0;
    for (; in_size - from >= 64 && room - (size_t)(to - out) >= 64; from += 64) {
        __m128i part[4];
        uint64_t is_mark = 0, high = 0;
        for (int i = 0; i < 4; i++) {
            part[i] = _mm_loadu_si128((const void *)(in + from + 16 * i));
            is_mark |= (uint64_t)(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(part[i], mark)) << 16 * i;
            high |= (uint64_t)(unsigned)_mm_movemask_epi8(part[i]) << 16 * i;
        }
        if (!block_marks(is_mark, high, &marks, &inside)) {
            break;
        }
        for (int i = 0; i < 4; i++) {
            to = drop_marks(part[i], marks >> 16 * i & 0xff, to);
            to = drop_marks(_mm_unpackhi_epi64(part[i], part[i]), marks >> (16 * i + 8) & 0xff, to);
        }
    }
    return (progress){STOPPED_AT(from, inside), (size_t)(to - out)};
}

VBMI2 static progress widen_vbmi2(const uint8_t *in, size_t in_size, uint8_t *out, size_t room)
{
    const __m512i mark = _mm512_set1_epi8((char)UINT8_MARK);
    const uint64_t bytes_only = 0xaaaaaaaaaaaaaaaau;    /* 32 pairs (mark, byte), the marks missing */
    uint8_t *to = out;
    size_t from = 0;
    for (; in_size - from >= 32 && room - (size_t)(to - out) >= 64; from += 32) {
        const __m256i bytes = _mm256_loadu_si256((const void *)(in + from));
        const uint32_t high = _mm256_movepi8_mask(bytes);
        const uint64_t present = _pdep_u64(high, ~bytes_only) | bytes_only;
        const uint64_t places = _pext_u64(bytes_only, present);
        _mm512_storeu_si512(to, _mm512_mask_expand_epi8(mark, places, _mm512_castsi256_si512(bytes)));
        to += 32 + __builtin_popcount(high);
    }
    return (progress){from, (size_t)(to - out)};
}

VBMI2 static progress narrow_vbmi2(const uint8_t *in, size_t in_size, uint8_t *out, size_t room)
{
    const __m512i mark = _mm512_set1_epi8((char)UINT8_MARK);
    uint64_t inside = 0, marks;
    uint8_t *to = out;
    size_t from = 0;
    for (; in_size - from >= 64 && room - (size_t)(to - out) >= 64; from += 64) {
        const __m512i bytes = _mm512_loadu_si512(in + from);
        uint64_t is_mark = _mm512_cmpeq_epi8_mask(bytes, mark), high = _mm512_movepi8_mask(bytes);
        /* Keep the arithmetic out of the mask registers, where every step takes four times as long. */
        __asm__("" : "+r"(is_mark), "+r"(high));
        if (!block_marks(is_mark, high, &marks, &inside)) {
            break;
        }
        _mm512_storeu_si512(to, _mm512_maskz_compress_epi8(~marks, bytes));
        to += 64 - __builtin_popcountll(marks);
    }
    return (progress){STOPPED_AT(from, inside), (size_t)(to - out)};
}
#endif
#endif
