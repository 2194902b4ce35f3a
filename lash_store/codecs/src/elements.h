/* The parts of a MessagePack array of integers: its header, and single elements in whatever form. */
#ifndef LASH_STORE_ELEMENTS_H
#define LASH_STORE_ELEMENTS_H

#include <stddef.h>
#include <stdint.h>

#define LARGEST_HEADER 5

/* Writes the header of an array of `count` elements, count < 2^32, and returns its size. */
static size_t write_header(uint8_t *out, size_t count)
{
    if (count < 16) {
        out[0] = (uint8_t)(0x90 | count);
        return 1;
    }
    if (count < 65536) {
        out[0] = 0xdc;
        out[1] = (uint8_t)(count >> 8);
        out[2] = (uint8_t)count;
        return 3;
    }
    out[0] = 0xdd;
    for (int i = 0; i < 4; i++) {
        out[1 + i] = (uint8_t)(count >> (24 - 8 * i));
    }
    return 5;
}

static size_t big_endian(const uint8_t *at, size_t bytes)
{
    size_t value = 0;
    for (size_t i = 0; i < bytes; i++) {
        value = value << 8 | at[i];
    }
    return value;
}

/* Reads the header at `*at`; false if there is no array there. Moves `*at` behind it. */
static int read_header(const uint8_t *in, size_t size, size_t *at, size_t *count)
{
    if (*at >= size) {
        return 0;
    }
    const uint8_t first = in[*at];
    const size_t width = first == 0xdc ? 2 : first == 0xdd ? 4 : 0;
    if (width == 0 && (first & 0xf0) != 0x90) {
        return 0;
    }
    if (size - *at - 1 < width) {
        return 0;
    }
    *count = width ? big_endian(in + *at + 1, width) : (size_t)(first & 0x0f);
    *at += 1 + width;
    return 1;
}

/* One element in any of the integer forms: the upstream reader takes them all as long as the value fits a byte. */
static int read_element(const uint8_t *in, size_t size, size_t *at, uint8_t *value)
{
    const uint8_t first = in[*at];
    if (first < 0x80) {
        *value = first;
        *at += 1;
        return 1;
    }
    if (first < 0xcc || first > 0xd3) {
        return 0;
    }
    const size_t width = (size_t)1 << (first & 3);
    if (size - *at - 1 < width) {
        return 0;
    }
    for (size_t i = 1; i < width; i++) {
        if (in[*at + i] != 0) {
            return 0;
        }
    }
    *value = in[*at + width];
    if (first == 0xd0 && *value > 0x7f) {
        return 0;
    }
    *at += 1 + width;
    return 1;
}

#endif
