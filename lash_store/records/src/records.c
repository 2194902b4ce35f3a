/* Records, field by field, as their tables say.
 *
 * Attributes of records are read through their class, which no code of Python's has a part in.
 */
#include "encoder.h"

/* A new reference to an attribute, in `*found`. */
static status attribute(PyObject *object, PyObject *name, PyObject **found)
{
    *found = PyObject_GetAttr(object, name);
    if (*found != NULL) {
        return WROTE;
    }
    if (PyErr_ExceptionMatches(PyExc_MemoryError)) {
        return FAILED;
    }
    PyErr_Clear();    /* Python will meet it again, and raise it */
    return NOT_MINE;
}

/* Keys of a later version are left to Python. They are never hashed. */
static status has_no_other_keys(const output *out, PyObject *record)
{
    PyObject *others;
    if (out->wording == HASHED) {
        return WROTE;
    }
    status done = attribute(record, out->state->other_keys, &others);
    if (done == WROTE) {
        done = others == Py_None || (PyDict_CheckExact(others) && PyDict_Size(others) == 0) ? WROTE : NOT_MINE;
        Py_DECREF(others);
    }
    return done;
}

static status is_omitted(const output *out, const entry *field, PyObject *value, int *omitted)
{
    *omitted = field->omit != NEVER && value == Py_None;
    if (field->omit == IF_HOLLOW) {
        return is_hollow(out, field->value->inner, value, omitted);
    }
    if (field->omit != IF_EMPTY || *omitted) {
        return WROTE;
    }
    if (!(PyUnicode_CheckExact(value) || PyList_CheckExact(value) || PyDict_CheckExact(value) ||
          PyTuple_CheckExact(value) || PyBool_Check(value) || PyBytes_CheckExact(value))) {
        return NOT_MINE;
    }
    *omitted = !PyObject_IsTrue(value);
    return WROTE;
}

/* One key and its value. `*written` counts those that stay. */
static status write_field(output *out, const entry *field, PyObject *object, size_t *written)
{
    const size_t start = out->length;
    PyObject *value = NULL;
    int omitted = 0;
    status done = WROTE;
    if (field->value->kind != CONSTANT) {
        done = attribute(object, field->name, &value);
    }
    if (value != NULL) {
        done = is_omitted(out, field, value, &omitted);
    }
    if (done == WROTE && !omitted) {
        done = out_key(out, &field->key);
        if (done == WROTE) {
            done = write_form(out, field->value, value);
        }
        if (field->scrubbed && out->wording == HASHED) {
            out->length = start;    /* it was checked */
        }
        else {
            *written += 1;
        }
    }
    Py_XDECREF(value);
    return done;
}

static status write_listing(output *out, const listing *fields, PyObject *record, PyObject *inner)
{
    const int hashed = out->wording == HASHED;
    const size_t start = out->length;
    size_t written = 0;
    status done = hashed && fields->ambiguous ? NOT_MINE : out_open(out, '{', 0);
    for (size_t i = 0; i < fields->count && done == WROTE; i++) {
        const entry *field = hashed ? fields->sorted[i] : &fields->declared[i];
        done = write_field(out, field, field->inner ? inner : record, &written);
    }
    if (done != WROTE) {
        return done;
    }
    if (out->wording == PACKED) {
        if (written > 15) {
            return NOT_MINE;
        }
        out->start[start] = (char)(0x80 | written);    /* now that it is known how many there are */
    }
    return out_close(out, start, '{', '}');
}

/* The keys of the record, in its one object; with `through`, beside those of what lies there. */
static status write_body(output *out, const shape *form, PyObject *record)
{
    PyObject *inner = NULL;
    status done = has_no_other_keys(out, record);
    const listing *fields = form->listings;
    if (done == WROTE && form->through != NULL) {
        done = attribute(record, form->through, &inner);
        if (done == WROTE) {
            size_t i = 0;
            while (i < form->count && form->listings[i].type != Py_TYPE(inner)) {
                i++;
            }
            fields = &form->listings[i];
            done = i == form->count ? NOT_MINE : has_no_other_keys(out, inner);
        }
    }
    if (done == WROTE) {
        done = write_listing(out, fields, record, inner);
    }
    Py_XDECREF(inner);
    return done;
}

/* `key` around what the form writes of the value. */
static status write_around(output *out, const key_text *key, const shape *form, PyObject *value)
{
    const size_t start = out->length;
    status done = out_open(out, '{', 1);
    if (done == WROTE) {
        done = out_key(out, key);
    }
    if (done == WROTE) {
        done = write_body(out, form, value);
    }
    return done == WROTE ? out_close(out, start, '{', '}') : done;
}

/* The name of a variant or a member, which in JSON lies between a comma and a colon. */
static status write_name(output *out, const key_text *name)
{
    return out->wording == PACKED ? out_key(out, name) : out_raw(out, name->json + 1, name->json_length - 2);
}

static status write_fields(output *out, const shape *form, PyObject *record)
{
    if (form->variant == NULL) {
        return write_body(out, form, record);
    }
    if (form->through == NULL && form->listings[0].count == 0) {
        const status alone = has_no_other_keys(out, record);
        return alone == WROTE ? write_name(out, form->variant) : alone;
    }
    return write_around(out, form->variant, form, record);
}

/* A record of one of the classes; a subclass is left to Python. */
static status write_record(output *out, const shape *form, PyObject *value)
{
    for (size_t i = 0; i < form->count; i++) {
        const choice *found = &form->choices[i];
        if ((PyObject *)Py_TYPE(value) != found->object) {
            continue;
        }
        const shape *its = ((const writer *)found->writer)->root;
        if (its == NULL || its->kind != FIELDS) {
            return NOT_MINE;    /* a class with a writer of its own */
        }
        if (form->kind == RECORD) {
            return write_fields(out, its, value);
        }
        return its->variant == NULL ? write_around(out, &found->key, its, value) : NOT_MINE;
    }
    return NOT_MINE;
}

static status write_member(output *out, const shape *form, PyObject *value)
{
    for (size_t i = 0; i < form->count; i++) {
        if (form->choices[i].object == value) {
            return write_name(out, &form->choices[i].key);
        }
    }
    return NOT_MINE;
}

/* A new reference to an item of a list or tuple, which may shrink meanwhile. */
static status item_at(PyObject *sequence, Py_ssize_t index, PyObject **item)
{
    *item = PyList_CheckExact(sequence) ? PyList_GetItem(sequence, index) : PyTuple_GetItem(sequence, index);
    if (*item == NULL) {
        PyErr_Clear();
        return NOT_MINE;
    }
    Py_INCREF(*item);
    return WROTE;
}

static status write_items(output *out, const shape *form, PyObject *items)
{
    const size_t start = out->length;
    if (!PyList_CheckExact(items) && !PyTuple_CheckExact(items)) {
        return NOT_MINE;
    }
    const Py_ssize_t count = PyList_CheckExact(items) ? PyList_Size(items) : PyTuple_Size(items);
    status done = out_open(out, '[', (size_t)count);
    for (Py_ssize_t i = 0; i < count && done == WROTE; i++) {
        PyObject *item;
        done = item_at(items, i, &item);
        if (done != WROTE) {
            break;
        }
        done = out->wording == PACKED ? WROTE : out_raw(out, ",", 1);
        if (done == WROTE) {
            done = write_form(out, form, item);
        }
        Py_DECREF(item);
    }
    return done == WROTE ? out_close(out, start, '[', ']') : done;
}

/* Texts that are in order already, each once; others are left to Python. */
static status write_sorted_set(output *out, PyObject *items)
{
    static const shape text = {.kind = TEXT};
    utf8 last = {0}, next;
    if (!PyList_CheckExact(items)) {
        return NOT_MINE;
    }
    for (Py_ssize_t i = 0; i < PyList_Size(items); i++) {
        const status read = utf8_of(PyList_GetItem(items, i), &next);
        if (read != WROTE) {
            return read;
        }
        if (i > 0) {
            const int order = memcmp(last.start, next.start, last.length < next.length ? last.length : next.length);
            if (order > 0 || (order == 0 && last.length >= next.length)) {
                return NOT_MINE;
            }
        }
        last = next;
    }
    return write_items(out, &text, items);
}

/* A text without white space at its ends. What may be such a space is left to Python. */
static status write_trimmed(output *out, PyObject *value)
{
    utf8 text;
    const status read = utf8_of(value, &text);
    if (read == WROTE && text.length) {
        const unsigned char first = (unsigned char)text.start[0], last = (unsigned char)text.start[text.length - 1];
        if (first <= ' ' || first > 0x7E || last <= ' ' || last > 0x7E) {
            return NOT_MINE;
        }
    }
    return read == WROTE ? out_text(out, text) : read;
}

static status write_nulled(output *out, const shape *form, PyObject *value)
{
    const size_t start = out->length;
    const status done = write_form(out, form, value);
    if (done != WROTE || out->wording != HASHED) {
        return done;
    }
    out->length = start;
    return out_literal(out, Py_None);
}

status write_form(output *out, const shape *form, PyObject *value)
{
    utf8 text;
    switch (form->kind) {
    case TEXT: {
        const status read = utf8_of(value, &text);
        return read == WROTE ? out_text(out, text) : read;
    }
    case OPTIONAL:
        return value == Py_None ? out_literal(out, value) : write_form(out, form->inner, value);
    case INTEGER: return out_integer(out, value, form->low, form->high);
    case BOOLEAN: return PyBool_Check(value) ? out_literal(out, value) : NOT_MINE;
    case BYTES: return out_octets(out, value);
    case CONSTANT: return write_name(out, &form->choices[0].key);
    case FIELDS: return write_fields(out, form, value);
    case FREE:
        if ((form->inner->kind == STRUCT || form->inner->kind == MAP_OF) && !PyDict_CheckExact(value)) {
            return NOT_MINE;
        }
        return write_free(out, form->inner, value);
    case LIST: return write_items(out, form->inner, value);
    case MEMBER: return write_member(out, form, value);
    case NULLED: return write_nulled(out, form->inner, value);
    case RECORD:
    case WRAPPED: return write_record(out, form, value);
    case SORTED_SET: return write_sorted_set(out, value);
    case TRIMMED: return write_trimmed(out, value);
    default: return NOT_MINE;
    }
}
