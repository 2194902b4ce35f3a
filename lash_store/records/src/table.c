/* Tables: what Python says about a class (`encoder.py`), made ready for writing.
 *
 * A table is a tree of tuples. The writer keeps it, so whatever is in it may be borrowed. All else lies in blocks.
 */
#include "encoder.h"

struct block {
    block *older;
};

typedef struct {
    writer *owner;
    const encoder_state *state;
} reading;

static const struct {
    const char *name;
    form_kind kind;
} KINDS[] = {
    {"as given", AS_GIVEN}, {"boolean", BOOLEAN}, {"bytes", BYTES},       {"constant", CONSTANT}, {"fields", FIELDS},
    {"free", FREE},         {"integer", INTEGER}, {"list", LIST},         {"map of", MAP_OF},     {"member", MEMBER},
    {"nulled", NULLED},     {"octets", OCTETS},   {"optional", OPTIONAL}, {"record", RECORD},     {"set", SORTED_SET},
    {"sorted", SORTED},     {"struct", STRUCT},   {"text", TEXT},         {"trimmed", TRIMMED},   {"wrapped", WRAPPED},
};

static const struct {
    const char *name;
    omission when;
} OMISSIONS[] = {{"never", NEVER}, {"none", IF_NONE}, {"empty", IF_EMPTY}, {"hollow", IF_HOLLOW}};

void free_blocks(block *newest)
{
    while (newest != NULL) {
        block *older = newest->older;
        PyMem_Free(newest);
        newest = older;
    }
}

/* Zeroed memory that lives as long as the writer. */
static void *take(reading *of, size_t count, size_t size)
{
    if (count > ((size_t)PY_SSIZE_T_MAX - sizeof(block)) / size) {
        PyErr_NoMemory();
        return NULL;
    }
    block *taken = PyMem_Calloc(1, sizeof(block) + count * size);
    if (taken == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    taken->older = of->owner->memory;
    of->owner->memory = taken;
    return taken + 1;
}

static int refuse(PyObject *table)
{
    PyErr_Format(PyExc_TypeError, "no table of a writer: %R", table);
    return -1;
}

static int is_tuple(PyObject *table)
{
    return PyTuple_CheckExact(table) || refuse(table) == 0;
}

/* `name` in both languages. It must need no escapes, and no longer header than a short one. */
static int read_key(reading *of, PyObject *name, key_text *key)
{
    output json = {.wording = COMPACT}, packed = {.wording = PACKED};
    utf8 text;
    int good = 0;
    if (utf8_of(name, &text) != WROTE) {
        return PyErr_Occurred() ? -1 : refuse(name);
    }
    if (out_raw(&json, ",", 1) == WROTE && out_text(&json, text) == WROTE && out_raw(&json, ":", 1) == WROTE &&
        out_text(&packed, text) == WROTE) {
        char *kept = take(of, json.length + packed.length, 1);
        if (json.length != text.length + 4) {
            refuse(name);
        }
        else if (kept != NULL) {
            memcpy(kept, json.start, json.length);
            memcpy(kept + json.length, packed.start, packed.length);
            *key = (key_text){kept, json.length, kept + json.length, packed.length};
            good = 1;
        }
    }
    PyMem_Free(json.start);
    PyMem_Free(packed.start);
    return good ? 0 : -1;
}

static int has(const listing *keys, const char *name, int always)
{
    for (size_t i = 0; i < keys->count; i++) {
        const entry *key = &keys->declared[i];
        if (key->key.json_length == strlen(name) + 4 && memcmp(key->key.json + 2, name, strlen(name)) == 0) {
            return !always || key->omit == NEVER;
        }
    }
    return 0;
}

/* Which keys are never hashed (4.8 step 3): some by name, and the id of what looks like a message or a part. */
static void mark_scrubbed(listing *keys, int values_decide)
{
    const int maybe = (has(keys, "role", 0) && has(keys, "parts", 0)) ||
                      (has(keys, "kind", 0) && has(keys, "content", 0) && has(keys, "prune_state", 0));
    const int always = (has(keys, "role", 1) && has(keys, "parts", 1)) ||
                       (has(keys, "kind", 1) && has(keys, "content", 1) && has(keys, "prune_state", 1));
    const int sure = always && !values_decide;
    for (size_t i = 0; i < keys->count; i++) {
        entry *key = &keys->declared[i];
        const utf8 name = {key->key.json + 2, key->key.json_length - 4};
        const int is_id = name.length == 2 && memcmp(name.start, "id", 2) == 0;
        key->scrubbed = is_never_hashed(name) || (is_id && sure);
        keys->ambiguous |= is_id && maybe && !sure;
    }
}

static int goes_before(const entry *left, const entry *right)
{
    const size_t left_length = left->key.json_length - 4, right_length = right->key.json_length - 4;
    const size_t shorter = left_length < right_length ? left_length : right_length;
    const int order = memcmp(left->key.json + 2, right->key.json + 2, shorter);
    return order < 0 || (order == 0 && left_length < right_length);
}

static shape *read_form(reading *of, PyObject *table);

/* One key of a record: (name, inner, form, omission); or of a struct: (name, layout, absent, always, needs). */
static int read_entry(reading *of, PyObject *table, entry *key, int of_struct)
{
    PyObject *value;
    const char *omitted = "never";
    if (!is_tuple(table)) {
        return -1;
    }
    if (of_struct ? !PyArg_ParseTuple(table, "UOOpU", &key->name, &value, &key->absent, &key->always, &key->needs)
                  : !PyArg_ParseTuple(table, "UpOs", &key->name, &key->inner, &value, &omitted)) {
        return -1;
    }
    size_t i = 0;
    while (i < sizeof OMISSIONS / sizeof OMISSIONS[0] && strcmp(OMISSIONS[i].name, omitted) != 0) {
        i++;
    }
    if (i == sizeof OMISSIONS / sizeof OMISSIONS[0] || read_key(of, key->name, &key->key) < 0) {
        return PyErr_Occurred() ? -1 : refuse(table);
    }
    key->omit = OMISSIONS[i].when;
    key->value = read_form(of, value);
    if (key->value == NULL) {
        return -1;
    }
    const int laid_out = key->value->kind == FREE && key->value->inner->kind == STRUCT;
    return key->omit == IF_HOLLOW && !laid_out ? refuse(table) : 0;
}

static int read_listing(reading *of, PyObject *table, listing *keys, int of_struct)
{
    if (!is_tuple(table)) {
        return -1;
    }
    keys->count = (size_t)PyTuple_Size(table);
    keys->declared = take(of, keys->count, sizeof(entry));
    keys->sorted = take(of, keys->count, sizeof(entry *));
    if (keys->declared == NULL || keys->sorted == NULL) {
        return -1;
    }
    for (size_t i = 0; i < keys->count; i++) {
        entry *key = &keys->declared[i];
        if (read_entry(of, PyTuple_GetItem(table, (Py_ssize_t)i), key, of_struct) < 0) {
            return -1;
        }
        size_t at = i;
        for (; at > 0 && goes_before(key, keys->sorted[at - 1]); at--) {
            keys->sorted[at] = keys->sorted[at - 1];
        }
        keys->sorted[at] = key;
    }
    mark_scrubbed(keys, of_struct);
    return 0;
}

/* ("fields", variant, through, ((class or None, keys), ...)) */
static int read_fields(reading *of, PyObject *table, shape *form)
{
    PyObject *name, *variant, *through, *cases;
    if (!PyArg_ParseTuple(table, "OUUO!", &name, &variant, &through, &PyTuple_Type, &cases)) {
        return -1;
    }
    form->count = (size_t)PyTuple_Size(cases);
    form->listings = take(of, form->count, sizeof(listing));
    if (form->listings == NULL || form->count == 0) {
        return PyErr_Occurred() ? -1 : refuse(table);
    }
    if (PyUnicode_GetLength(variant) > 0) {
        form->variant = take(of, 1, sizeof(key_text));
        if (form->variant == NULL || read_key(of, variant, form->variant) < 0) {
            return -1;
        }
    }
    form->through = PyUnicode_GetLength(through) > 0 ? through : NULL;
    for (size_t i = 0; i < form->count; i++) {
        PyObject *found = PyTuple_GetItem(cases, (Py_ssize_t)i), *type, *keys;
        if (!is_tuple(found) || !PyArg_ParseTuple(found, "OO", &type, &keys)) {
            return -1;
        }
        form->listings[i].type = PyType_Check(type) ? (PyTypeObject *)type : NULL;
        if (read_listing(of, keys, &form->listings[i], 0) < 0) {
            return -1;
        }
    }
    return 0;
}

/* ((object, name), ...) of members; ((class, writer, name), ...) of records */
static int read_choices(reading *of, PyObject *table, shape *form)
{
    PyObject *name, *choices;
    if (!PyArg_ParseTuple(table, "OO!", &name, &PyTuple_Type, &choices)) {
        return -1;
    }
    form->count = (size_t)PyTuple_Size(choices);
    form->choices = take(of, form->count, sizeof(choice));
    for (size_t i = 0; form->choices != NULL && i < form->count; i++) {
        PyObject *item = PyTuple_GetItem(choices, (Py_ssize_t)i);
        choice *found = &form->choices[i];
        if (!is_tuple(item)) {
            return -1;
        }
        if (form->kind == MEMBER) {
            if (!PyArg_ParseTuple(item, "OU", &found->object, &name)) {
                return -1;
            }
        }
        else if (!PyArg_ParseTuple(item, "OO!U", &found->object, of->state->writer_type, &found->writer, &name)) {
            return -1;
        }
        if (read_key(of, name, &found->key) < 0) {
            return -1;
        }
    }
    return form->choices == NULL ? -1 : 0;
}

/* (kind, form) or (kind, layout) */
static int read_inner(reading *of, PyObject *table, shape *form)
{
    PyObject *name, *inner;
    if (!PyArg_ParseTuple(table, "OO", &name, &inner)) {
        return -1;
    }
    form->inner = read_form(of, inner);
    return form->inner == NULL ? -1 : 0;
}

static int read_parts(reading *of, PyObject *table, shape *form)
{
    PyObject *name, *part;
    long long low;
    unsigned long long high;
    switch (form->kind) {
    case FIELDS: return read_fields(of, table, form);
    case FREE:
    case LIST:
    case MAP_OF:
    case NULLED:
    case OPTIONAL: return read_inner(of, table, form);
    case MEMBER:
    case RECORD:
    case WRAPPED: return read_choices(of, table, form);
    case CONSTANT:
        form->choices = take(of, 1, sizeof(choice));
        if (form->choices == NULL || !PyArg_ParseTuple(table, "OU", &name, &part)) {
            return -1;
        }
        return read_key(of, part, &form->choices[0].key);
    case INTEGER:
        if (!PyArg_ParseTuple(table, "OLK", &name, &low, &high)) {
            return -1;
        }
        form->low = low;
        form->high = high;
        return 0;
    case STRUCT:
        form->listings = take(of, 1, sizeof(listing));
        if (form->listings == NULL || !PyArg_ParseTuple(table, "OO", &name, &part)) {
            return -1;
        }
        return read_listing(of, part, form->listings, 1);
    default: return 0;
    }
}

static shape *read_form(reading *of, PyObject *table)
{
    const size_t kinds = sizeof KINDS / sizeof KINDS[0];
    utf8 name;
    size_t i = 0;
    if (!is_tuple(table) || PyTuple_Size(table) == 0 || utf8_of(PyTuple_GetItem(table, 0), &name) != WROTE) {
        if (!PyErr_Occurred()) {
            refuse(table);
        }
        return NULL;
    }
    while (i < kinds && strcmp(KINDS[i].name, name.start) != 0) {
        i++;
    }
    if (i == kinds) {
        refuse(table);
        return NULL;
    }
    if (Py_EnterRecursiveCall(" in a table")) {
        return NULL;
    }
    shape *read = take(of, 1, sizeof(shape));
    if (read != NULL) {
        read->kind = KINDS[i].kind;
        if (read_parts(of, table, read) < 0) {
            read = NULL;
        }
    }
    Py_LeaveRecursiveCall();
    return read;
}

/* NULL with an exception if it is none. What was taken from memory is the owner's. */
shape *read_table(writer *owner, const encoder_state *state, PyObject *table)
{
    reading of = {owner, state};
    return read_form(&of, table);
}
