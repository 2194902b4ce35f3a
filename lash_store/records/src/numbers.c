/* Numbers: integers in decimal or in the shortest MessagePack form, doubles by their shortest digits. */
#include "encoder.h"

#include <math.h>

#define SMALLEST_PLAIN 1e-4    /* below, doubles have more than one usual spelling */

static void packed_integer(output *out, int negative, uint64_t magnitude)
{
    if (negative) {
        const uint64_t bits = ~magnitude + 1;
        const int bytes = magnitude <= 0x80 ? 1 : magnitude <= 0x8000 ? 2 : magnitude <= 0x80000000 ? 4 : 8;
        if (magnitude <= 32) {
            put_number(out, (int)(bits & 0xFF), 0, 0);
        }
        else {
            put_number(out, bytes == 1 ? 0xD0 : bytes == 2 ? 0xD1 : bytes == 4 ? 0xD2 : 0xD3, bits, bytes);
        }
        return;
    }
    const int bytes = magnitude <= 0xFF ? 1 : magnitude <= 0xFFFF ? 2 : magnitude <= 0xFFFFFFFF ? 4 : 8;
    if (magnitude <= 0x7F) {
        put_number(out, (int)magnitude, 0, 0);
    }
    else {
        put_number(out, bytes == 1 ? 0xCC : bytes == 2 ? 0xCD : bytes == 4 ? 0xCE : 0xCF, magnitude, bytes);
    }
}

static void json_integer(output *out, int negative, uint64_t magnitude)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + magnitude % 10);
        magnitude /= 10;
    } while (magnitude);
    if (negative) {
        out->start[out->length++] = '-';
    }
    memcpy(out->start + out->length, digits + at, sizeof digits - at);
    out->length += sizeof digits - at;
}

status out_integer(output *out, PyObject *value, int64_t low, uint64_t high)
{
    int overflow;
    uint64_t magnitude;
    if (!PyLong_CheckExact(value)) {
        return NOT_MINE;
    }
    const long long small = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow < 0 || (overflow == 0 && small < low)) {
        return NOT_MINE;
    }
    if (overflow > 0) {
        magnitude = PyLong_AsUnsignedLongLong(value);
        if (magnitude == UINT64_MAX && PyErr_Occurred()) {
            PyErr_Clear();
            return NOT_MINE;
        }
    }
    else {
        magnitude = small < 0 ? ~(uint64_t)small + 1 : (uint64_t)small;
    }
    const int negative = overflow == 0 && small < 0;
    if (!negative && magnitude > high) {
        return NOT_MINE;
    }
    const status reserved = out_reserve(out, 21);
    if (reserved == WROTE) {
        (out->wording == PACKED ? packed_integer : json_integer)(out, negative, magnitude);
    }
    return reserved;
}

status out_double(output *out, PyObject *value)
{
    const double number = PyFloat_AsDouble(value), size = fabs(number);
    if (!isfinite(number) || (out->wording != PACKED && size != 0 && size < SMALLEST_PLAIN)) {
        return NOT_MINE;
    }
    if (out->wording == PACKED) {
        uint64_t bits;
        memcpy(&bits, &number, 8);
        const status reserved = out_reserve(out, 9);
        if (reserved == WROTE) {
            put_number(out, 0xCB, bits, 8);
        }
        return reserved;
    }
    char *text = PyOS_double_to_string(number, 'r', 0, Py_DTSF_ADD_DOT_0, NULL);
    if (text == NULL) {
        return FAILED;
    }
    const status done = out_raw(out, text, strlen(text));
    PyMem_Free(text);
    return done;
}
