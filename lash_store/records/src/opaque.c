/* Values that the store does not interpret: free JSON, laid out as `layout.py` says.
 *
 * No code of Python's runs in here, and nothing that the collector watches is created: so whatever is borrowed stays.
 */
#include "encoder.h"

#include <stdlib.h>

#define ANY_LOW INT64_MIN
#define ANY_HIGH UINT64_MAX

#define FEW_PAIRS 24

/* One pair of a dict. */
typedef struct {
    utf8 key;
    PyObject *value;
} pair;

/* The pairs of a dict in one array: `few` if they fit, else memory that `pairs_free` gives back. */
typedef struct {
    pair *items;
    size_t count;
    pair few[FEW_PAIRS];
} pairs;

static int is(utf8 key, const char *name)
{
    return key.length == strlen(name) && memcmp(key.start, name, key.length) == 0;
}

/* Specification 4.8 step 3, as `commit.py` says it. */
int is_never_hashed(utf8 key)
{
    switch (key.length) {
    case 7: return is(key, "node_id");
    case 9: return is(key, "timestamp");
    case 12: return is(key, "leaf_node_id");
    case 14: return is(key, "parent_node_id");
    default: return 0;
    }
}

/* Whether the keys are those of a message or of a part, whose `id` is not hashed. */
static int pairs_have_an_id_to_scrub(const pairs *found)
{
    int seen = 0;
    for (size_t i = 0; i < found->count; i++) {
        const utf8 key = found->items[i].key;
        seen |= is(key, "role") | is(key, "parts") << 1 | is(key, "kind") << 2 | is(key, "content") << 3 |
                is(key, "prune_state") << 4;
    }
    return (seen & 3) == 3 || (seen & 28) == 28;
}

static int compare_pairs(const void *left, const void *right)
{
    const utf8 a = ((const pair *)left)->key, b = ((const pair *)right)->key;
    const int order = memcmp(a.start, b.start, a.length < b.length ? a.length : b.length);
    return order ? order : (a.length > b.length) - (a.length < b.length);
}

static void sort_pairs(pairs *found)
{
    if (found->count > FEW_PAIRS) {
        for (size_t i = 1; i < found->count; i++) {
            if (compare_pairs(&found->items[i - 1], &found->items[i]) > 0) {
                qsort(found->items, found->count, sizeof(pair), compare_pairs);
                return;
            }
        }
        return;
    }
    for (size_t i = 1; i < found->count; i++) {
        const pair moved = found->items[i];
        size_t at = i;
        for (; at > 0 && compare_pairs(&found->items[at - 1], &moved) > 0; at--) {
            found->items[at] = found->items[at - 1];
        }
        found->items[at] = moved;
    }
}

static void pairs_free(pairs *found)
{
    if (found->items != found->few) {
        PyMem_Free(found->items);
    }
}

/* The pairs of a dict, sorted by key. NOT_MINE if a key is no plain str. */
static status pairs_sorted(PyObject *dict, pairs *found)
{
    const Py_ssize_t size = PyDict_Size(dict);
    PyObject *key, *value;
    Py_ssize_t position = 0;
    found->items = found->few;
    found->count = 0;
    if (size > FEW_PAIRS) {
        found->items = (size_t)size > (size_t)PY_SSIZE_T_MAX / sizeof(pair) ? NULL
                                                                            : PyMem_Malloc((size_t)size * sizeof(pair));
        if (found->items == NULL) {
            PyErr_NoMemory();
            return FAILED;
        }
    }
    while (found->count < (size_t)size && PyDict_Next(dict, &position, &key, &value)) {
        pair *next = &found->items[found->count];
        const status read = utf8_of(key, &next->key);
        if (read != WROTE) {
            pairs_free(found);
            return read;
        }
        next->value = value;
        found->count++;
    }
    sort_pairs(found);
    return WROTE;
}

static status write_pair(output *out, utf8 key, const shape *layout, PyObject *value)
{
    status done = out->wording == PACKED ? WROTE : out_raw(out, ",", 1);
    if (done == WROTE) {
        done = out_text(out, key);
    }
    if (done == WROTE && out->wording != PACKED) {
        done = out_raw(out, ":", 1);
    }
    return done == WROTE ? write_free(out, layout, value) : done;
}

/* All pairs, sorted; `layout` is that of the values. */
static status write_sorted(output *out, const shape *layout, PyObject *dict)
{
    pairs found;
    status done = pairs_sorted(dict, &found);
    if (done != WROTE) {
        return done;
    }
    const int no_id = out->wording == HASHED && pairs_have_an_id_to_scrub(&found);
    for (size_t i = 0; i < found.count && done == WROTE; i++) {
        const utf8 key = found.items[i].key;
        const size_t start = out->length;
        done = write_pair(out, key, layout, found.items[i].value);
        if (out->wording == HASHED && (is_never_hashed(key) || (no_id && is(key, "id")))) {
            out->length = start;
        }
    }
    pairs_free(&found);
    return done;
}

/* The pairs in the given order, without those that `known` names. */
static status write_as_given(output *out, const shape *layout, PyObject *dict, const listing *known)
{
    PyObject *key, *value;
    Py_ssize_t position = 0;
    status done = WROTE;
    while (done == WROTE && PyDict_Next(dict, &position, &key, &value)) {
        utf8 text;
        size_t i = 0;
        done = utf8_of(key, &text);
        if (done != WROTE) {
            break;
        }
        const size_t count = known == NULL ? 0 : known->count;
        while (i < count && !(known->declared[i].key.json_length == text.length + 4 &&
                              memcmp(known->declared[i].key.json + 2, text.start, text.length) == 0)) {
            i++;
        }
        if (i == count) {
            done = write_pair(out, text, layout, value);
        }
    }
    return done;
}

static status write_struct_key(output *out, const entry *key, PyObject *value)
{
    const size_t start = out->length;
    status done = out_key(out, &key->key);
    if (done == WROTE) {
        done = write_free(out, key->value, value);
    }
    if (key->scrubbed && out->wording == HASHED) {
        out->length = start;
    }
    return done;
}

/* The known keys; in the hashed form, as their owner would write them, and in others followed by the unknown ones. */
static status write_struct(output *out, const shape *layout, PyObject *dict)
{
    static const shape as_given = {.kind = AS_GIVEN};
    const listing *keys = &layout->listings[0];
    const int hashed = out->wording == HASHED;
    size_t found = 0;
    status done = hashed && keys->ambiguous ? NOT_MINE : keys_are_plain(dict);
    for (size_t i = 0; i < keys->count && done == WROTE; i++) {
        const entry *key = hashed ? keys->sorted[i] : &keys->declared[i];
        int written = 1;
        PyObject *value = PyDict_GetItemWithError(dict, key->name);
        if (value == NULL && PyErr_Occurred()) {
            return FAILED;
        }
        found += value != NULL;
        if (hashed && value != NULL) {
            done = is_written(key, value, &written);
        }
        else if (value == NULL) {
            written = hashed && key->always;
            value = key->absent;
        }
        if (done == WROTE && written) {
            done = write_struct_key(out, key, value);
        }
    }
    if (done == WROTE && !hashed && found < (size_t)PyDict_Size(dict)) {
        done = write_as_given(out, &as_given, dict, keys);
    }
    return done;
}

static status write_object(output *out, const shape *layout, PyObject *dict)
{
    const size_t start = out->length;
    status done = out_open(out, '{', (size_t)PyDict_Size(dict));
    if (done != WROTE) {
        return done;
    }
    if (layout->kind == STRUCT) {
        done = write_struct(out, layout, dict);
    }
    else if (layout->kind == AS_GIVEN && out->wording != HASHED) {
        done = write_as_given(out, layout, dict, NULL);
    }
    else {
        static const shape sorted = {.kind = SORTED};
        const shape *values = layout->kind == MAP_OF ? layout->inner : layout->kind == AS_GIVEN ? layout : &sorted;
        done = write_sorted(out, values, dict);
    }
    return done == WROTE ? out_close(out, start, '{', '}') : done;
}

static status write_list(output *out, const shape *layout, PyObject *list)
{
    const size_t start = out->length;
    status done = out_open(out, '[', (size_t)PyList_Size(list));
    for (Py_ssize_t i = 0; done == WROTE && i < PyList_Size(list); i++) {
        done = out->wording == PACKED ? WROTE : out_raw(out, ",", 1);
        if (done == WROTE) {
            done = write_free(out, layout, PyList_GetItem(list, i));
        }
    }
    return done == WROTE ? out_close(out, start, '[', ']') : done;
}

status write_free(output *out, const shape *layout, PyObject *value)
{
    if (PyUnicode_CheckExact(value)) {
        utf8 text;
        const status read = utf8_of(value, &text);
        return read == WROTE ? out_text(out, text) : read;
    }
    if (value == Py_None || PyBool_Check(value)) {
        return out_literal(out, value);
    }
    if (PyDict_CheckExact(value)) {
        return write_object(out, layout, value);
    }
    if (PyList_CheckExact(value)) {
        return layout->kind == OCTETS ? out_octet_list(out, value) : write_list(out, layout, value);
    }
    if (PyLong_CheckExact(value)) {
        return out_integer(out, value, ANY_LOW, ANY_HIGH);
    }
    if (PyFloat_CheckExact(value)) {
        return out_double(out, value);
    }
    return layout->kind == OCTETS ? out_octets(out, value) : NOT_MINE;
}
