/* Text and MessagePack, byte by byte. */
#include "encoder.h"

#define ONES 0x0101010101010101u
#define HIGHS 0x8080808080808080u

static struct {
    char text[4];    /* the number and a comma */
    uint8_t length;
} decimals[256];

void fill_decimals(void)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        char *at = decimals[byte].text;
        if (byte >= 100) {
            *at++ = (char)('0' + byte / 100);
        }
        if (byte >= 10) {
            *at++ = (char)('0' + byte / 10 % 10);
        }
        *at++ = (char)('0' + byte % 10);
        *at++ = ',';
        decimals[byte].length = (uint8_t)(at - decimals[byte].text);
    }
}

status out_reserve(output *out, size_t more)
{
    if (more <= out->room - out->length) {
        return WROTE;
    }
    if (more > (size_t)PY_SSIZE_T_MAX / 4 || out->length > (size_t)PY_SSIZE_T_MAX / 4) {
        PyErr_NoMemory();
        return FAILED;
    }
    const size_t room = (out->length + more) * 2;
    char *grown = PyMem_Realloc(out->start, room);
    if (grown == NULL) {
        PyErr_NoMemory();
        return FAILED;
    }
    out->start = grown;
    out->room = room;
    return WROTE;
}

status out_raw(output *out, const char *bytes, size_t length)
{
    const status reserved = out_reserve(out, length);
    if (reserved == WROTE && length) {
        memcpy(out->start + out->length, bytes, length);
        out->length += length;
    }
    return reserved;
}

status out_key(output *out, const key_text *key)
{
    return out->wording == PACKED ? out_raw(out, key->packed, key->packed_length)
                                  : out_raw(out, key->json, key->json_length);
}

/* How many of the bytes stand in a JSON string as they are. */
static size_t plain_run(const char *text, size_t length)
{
    size_t at = 0;
    for (; length - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, text + at, 8);
        const uint64_t quote = word ^ (ONES * '"'), slash = word ^ (ONES * '\\');
        const uint64_t marks = ((word - ONES * 0x20) & ~word) | ((quote - ONES) & ~quote) | ((slash - ONES) & ~slash);
        if (marks & HIGHS) {
            break;
        }
    }
    while (at < length && (unsigned char)text[at] >= 0x20 && text[at] != '"' && text[at] != '\\') {
        at++;
    }
    return at;
}

static size_t escape(char *at, unsigned char byte)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = strchr("\"\"\\\\\bb\ff\nn\rr\tt", byte);
    at[0] = '\\';
    if (byte != 0 && found != NULL) {
        at[1] = found[1];
        return 2;
    }
    memcpy(at + 1, "u00", 3);
    at[4] = digits[byte >> 4];
    at[5] = digits[byte & 15];
    return 6;
}

static status json_text(output *out, utf8 text)
{
    status done = out_reserve(out, text.length + 2);
    if (done != WROTE) {
        return done;
    }
    out->start[out->length++] = '"';
    for (size_t at = 0; at < text.length; at++) {
        const size_t run = plain_run(text.start + at, text.length - at);
        memcpy(out->start + out->length, text.start + at, run);
        out->length += run;
        at += run;
        if (at == text.length) {
            break;
        }
        done = out_reserve(out, text.length - at + 7);    /* the longest escape, the rest, the closing quote */
        if (done != WROTE) {
            return done;
        }
        out->length += escape(out->start + out->length, (unsigned char)text.start[at]);
    }
    out->start[out->length++] = '"';
    return WROTE;
}

/* `mark`, then the number in so many bytes, the highest first. */
void put_number(output *out, int mark, uint64_t number, int bytes)
{
    out->start[out->length++] = (char)mark;
    while (bytes-- > 0) {
        out->start[out->length++] = (char)(number >> (8 * bytes));
    }
}

/* The header of a text, array or map: in one byte up to `fixed`; `wide` is the mark of the 16 bit form. */
static status packed_header(output *out, size_t count, int fixed, size_t fixed_limit, int wide)
{
    if (count > UINT32_MAX) {
        return NOT_MINE;
    }
    const status reserved = out_reserve(out, 5);
    if (reserved != WROTE) {
        return reserved;
    }
    if (count <= fixed_limit) {
        put_number(out, fixed | (int)count, 0, 0);
    }
    else if (fixed == 0xA0 && count <= 0xFF) {    /* only texts have a form of 8 bits */
        put_number(out, 0xD9, count, 1);
    }
    else if (count <= 0xFFFF) {
        put_number(out, wide, count, 2);
    }
    else {
        put_number(out, wide + 1, count, 4);
    }
    return WROTE;
}

status out_text(output *out, utf8 text)
{
    if (out->wording != PACKED) {
        return json_text(out, text);
    }
    const status headed = packed_header(out, text.length, 0xA0, 31, 0xDA);
    return headed == WROTE ? out_raw(out, text.start, text.length) : headed;
}

status out_literal(output *out, PyObject *value)
{
    if (out->wording == PACKED) {
        return out_raw(out, value == Py_None ? "\xC0" : value == Py_True ? "\xC3" : "\xC2", 1);
    }
    return value == Py_None ? out_raw(out, "null", 4) : value == Py_True ? out_raw(out, "true", 4)
                                                                         : out_raw(out, "false", 5);
}

static void put_octets(output *out, const uint8_t *bytes, size_t count)
{
    char *at = out->start + out->length;
    if (out->wording == PACKED) {
        for (size_t i = 0; i < count; i++) {
            if (bytes[i] > 0x7F) {
                *at++ = (char)0xCC;
            }
            *at++ = (char)bytes[i];
        }
    }
    else {
        *at++ = '[';
        for (size_t i = 0; i < count; i++) {
            memcpy(at, decimals[bytes[i]].text, 4);
            at += decimals[bytes[i]].length;
        }
        at -= count > 0;    /* the last comma */
        *at++ = ']';
    }
    out->length = (size_t)(at - out->start);
}

static status octets(output *out, const uint8_t *bytes, size_t count)
{
    if (out->depth == DEEPEST) {
        return NOT_MINE;
    }
    if (out->wording == PACKED) {
        const status headed = packed_header(out, count, 0x90, 15, 0xDC);
        if (headed != WROTE) {
            return headed;
        }
    }
    if (count > (size_t)PY_SSIZE_T_MAX / 16) {
        PyErr_NoMemory();
        return FAILED;
    }
    const status reserved = out_reserve(out, count * 4 + 2);
    if (reserved == WROTE) {
        put_octets(out, bytes, count);
    }
    return reserved;
}

status out_octets(output *out, PyObject *bytes)
{
    char *start;
    Py_ssize_t length;
    if (!PyBytes_CheckExact(bytes)) {
        return NOT_MINE;
    }
    if (PyBytes_AsStringAndSize(bytes, &start, &length) < 0) {
        return FAILED;
    }
    return octets(out, (const uint8_t *)start, (size_t)length);
}

status out_octet_list(output *out, PyObject *list)
{
    const Py_ssize_t count = PyList_Size(list);
    uint8_t *bytes = PyMem_Malloc(count ? (size_t)count : 1);
    status done = WROTE;
    if (bytes == NULL) {
        PyErr_NoMemory();
        return FAILED;
    }
    for (Py_ssize_t i = 0; i < count && done == WROTE; i++) {
        int overflow;
        PyObject *item = PyList_GetItem(list, i);
        const long long byte = PyLong_CheckExact(item) ? PyLong_AsLongLongAndOverflow(item, &overflow) : -1;
        done = byte >= 0 && byte <= 255 ? WROTE : NOT_MINE;
        bytes[i] = (uint8_t)byte;
    }
    if (done == WROTE) {
        done = octets(out, bytes, (size_t)count);
    }
    PyMem_Free(bytes);
    return done;
}

/* Begins an array '[' or object '{' of `count` items. In JSON each item brings the comma before it: see out_close. */
status out_open(output *out, char mark, size_t count)
{
    if (out->depth == DEEPEST) {
        return NOT_MINE;
    }
    out->depth++;
    if (out->wording != PACKED) {
        return WROTE;
    }
    return mark == '[' ? packed_header(out, count, 0x90, 15, 0xDC) : packed_header(out, count, 0x80, 15, 0xDE);
}

/* Ends what was begun at `start`: in JSON the first comma becomes the opening mark. */
status out_close(output *out, size_t start, char open, char close)
{
    out->depth--;
    if (out->wording == PACKED) {
        return WROTE;
    }
    const status reserved = out_reserve(out, 2);
    if (reserved != WROTE) {
        return reserved;
    }
    if (out->length == start) {
        out->length++;
    }
    out->start[start] = open;
    out->start[out->length++] = close;
    return WROTE;
}

/* NOT_MINE for whatever is no plain str, and for lone surrogates. */
status utf8_of(PyObject *text, utf8 *found)
{
    Py_ssize_t length;
    if (!PyUnicode_CheckExact(text)) {
        return NOT_MINE;
    }
    found->start = PyUnicode_AsUTF8AndSize(text, &length);
    if (found->start == NULL) {
        if (PyErr_ExceptionMatches(PyExc_MemoryError)) {
            return FAILED;
        }
        PyErr_Clear();
        return NOT_MINE;
    }
    found->length = (size_t)length;
    return WROTE;
}
