/* What uninterpreted values are worth: whether their owner would write them at all (`layout.Key`).
 *
 * Only values of the plain kinds are compared, so that no code of Python's runs.
 */
#include "encoder.h"

static int is_plain(PyObject *value)
{
    return value == Py_None || PyBool_Check(value) || PyUnicode_CheckExact(value) || PyLong_CheckExact(value) ||
           PyFloat_CheckExact(value) || PyDict_CheckExact(value) || PyList_CheckExact(value) ||
           PyBytes_CheckExact(value);
}

/* NOT_MINE if a key is no plain str, which could run code of its own when it is compared. */
status keys_are_plain(PyObject *dict)
{
    PyObject *key, *value;
    Py_ssize_t position = 0;
    while (PyDict_Next(dict, &position, &key, &value)) {
        if (!PyUnicode_CheckExact(key)) {
            return NOT_MINE;
        }
    }
    return WROTE;
}

/* Whether two values are equal, as Python would say, but only of the plain kinds; NOT_MINE for others. */
static status are_equal(PyObject *value, PyObject *other, int *equal)
{
    *equal = 0;
    if (!is_plain(value)) {
        return NOT_MINE;
    }
    if (Py_TYPE(value) != Py_TYPE(other)) {
        return PyNumber_Check(value) && PyNumber_Check(other) ? NOT_MINE : WROTE;
    }
    if (PyDict_CheckExact(value)) {
        PyObject *key, *item;
        Py_ssize_t position = 0;
        *equal = PyDict_Size(value) == PyDict_Size(other);
        while (*equal && PyDict_Next(value, &position, &key, &item)) {
            if (!PyUnicode_CheckExact(key)) {
                return NOT_MINE;
            }
            PyObject *its = PyDict_GetItemWithError(other, key);
            if (its == NULL && PyErr_Occurred()) {
                return FAILED;
            }
            *equal = its != NULL;
            const status compared = its == NULL ? WROTE : are_equal(item, its, equal);
            if (compared != WROTE) {
                return compared;
            }
        }
        return WROTE;
    }
    if (PyList_CheckExact(value)) {
        if (PyList_Size(value) && PyList_Size(other)) {
            return NOT_MINE;    /* no default is a list with something in it */
        }
        *equal = PyList_Size(value) == PyList_Size(other);
        return WROTE;
    }
    *equal = PyObject_RichCompareBool(value, other, Py_EQ);
    return *equal < 0 ? FAILED : WROTE;
}

/* Whether the hashed form of a struct could leave out some of what is there: an unknown key, or a key of its default. */
static status loses_keys(const shape *layout, PyObject *dict, int *loses)
{
    const listing *keys = &layout->listings[0];
    size_t kept = 0;
    *loses = 0;
    for (size_t i = 0; i < keys->count; i++) {
        const entry *key = &keys->declared[i];
        PyObject *item = PyDict_GetItemWithError(dict, key->name);
        if (item == NULL && PyErr_Occurred()) {
            return FAILED;
        }
        int equal = 0;
        const status compared = item == NULL || Py_TYPE(item) != Py_TYPE(key->absent) ? WROTE : are_equal(item, key->absent, &equal);
        if (compared != WROTE) {
            return compared;
        }
        kept += item != NULL && !equal;
    }
    *loses = kept < (size_t)PyDict_Size(dict);
    return WROTE;
}

/* `layout.Key.written`. The default of a struct is compared with what is left of the value in the hashed form: where that
 * is not all of it, Python has to look. */
status is_written(const entry *key, PyObject *value, int *written)
{
    if (!is_plain(value)) {
        return NOT_MINE;
    }
    if (PyDict_CheckExact(key->absent) && PyDict_CheckExact(value) && key->value->kind == STRUCT && !key->always) {
        int loses;
        const status looked = keys_are_plain(value) == WROTE ? loses_keys(key->value, value, &loses) : NOT_MINE;
        if (looked != WROTE || loses) {
            return looked != WROTE ? looked : NOT_MINE;
        }
    }
    if (PyUnicode_GetLength(key->needs) > 0 && PyDict_CheckExact(value)) {
        if (keys_are_plain(value) != WROTE) {
            return NOT_MINE;
        }
        PyObject *needed = PyDict_GetItemWithError(value, key->needs);
        if (needed == NULL && PyErr_Occurred()) {
            return FAILED;
        }
        if (needed != NULL && !is_plain(needed)) {
            return NOT_MINE;
        }
        *written = needed == NULL ? 0 : PyObject_IsTrue(needed);
        if (*written <= 0) {
            return *written < 0 ? FAILED : WROTE;
        }
    }
    *written = 1;
    if (key->always || Py_TYPE(value) != Py_TYPE(key->absent)) {
        return WROTE;
    }
    int equal;
    const status compared = are_equal(value, key->absent, &equal);
    *written = !equal;
    return compared;
}

/* Whether an object says nothing: each key of its layout is missing, None or the default, and no other key counts. */
status is_hollow(const output *out, const shape *layout, PyObject *value, int *hollow)
{
    const listing *keys = &layout->listings[0];
    size_t found = 0;
    *hollow = 1;
    if (!PyDict_CheckExact(value) || keys_are_plain(value) != WROTE) {
        return NOT_MINE;
    }
    for (size_t i = 0; i < keys->count && *hollow; i++) {
        PyObject *item = PyDict_GetItemWithError(value, keys->declared[i].name);
        if (item == NULL) {
            if (PyErr_Occurred()) {
                return FAILED;
            }
            continue;
        }
        found++;
        if (item != Py_None) {
            const status compared = are_equal(item, keys->declared[i].absent, hollow);
            if (compared != WROTE || (!*hollow && !PyDict_CheckExact(item))) {
                return compared == WROTE ? NOT_MINE : compared;
            }
        }
    }
    *hollow = *hollow && (out->wording == HASHED || found == (size_t)PyDict_Size(value));
    return WROTE;
}
