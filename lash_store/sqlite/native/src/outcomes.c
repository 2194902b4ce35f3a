/* From what became of a job to Python objects. Everything here runs with the GIL held. */
#include "job.h"

#include <string.h>

static PyObject *cell(const char **cursor)
{
    int type = *(*cursor)++;
    if (type == SQLITE_TEXT || type == SQLITE_BLOB) {
        uint64_t size;
        memcpy(&size, *cursor, sizeof size);
        const char *data = *cursor + sizeof size;
        *cursor = data + size;
        return type == SQLITE_TEXT ? PyUnicode_DecodeUTF8(data, (Py_ssize_t)size, NULL)
                                   : PyBytes_FromStringAndSize(data, (Py_ssize_t)size);
    }
    if (type == SQLITE_INTEGER) {
        int64_t value;
        memcpy(&value, *cursor, sizeof value);
        *cursor += sizeof value;
        return PyLong_FromLongLong(value);
    }
    if (type == SQLITE_FLOAT) {
        double value;
        memcpy(&value, *cursor, sizeof value);
        *cursor += sizeof value;
        return PyFloat_FromDouble(value);
    }
    return Py_NewRef(Py_None);
}

static PyObject *row(const lash_rows *rows, const char **cursor)
{
    PyObject *tuple = PyTuple_New(rows->columns);
    for (int column = 0; tuple != NULL && column < rows->columns; column++) {
        PyObject *value = cell(cursor);
        if (value == NULL || PyTuple_SetItem(tuple, column, value) != 0) {
            Py_CLEAR(tuple);
        }
    }
    return tuple;
}

static PyObject *row_list(const lash_rows *rows)
{
    const char *cursor = rows->data;
    PyObject *list = PyList_New((Py_ssize_t)rows->count);
    for (int64_t i = 0; list != NULL && i < rows->count; i++) {
        PyObject *tuple = row(rows, &cursor);
        if (tuple == NULL || PyList_SetItem(list, (Py_ssize_t)i, tuple) != 0) {
            Py_CLEAR(list);
        }
    }
    return list;
}

static PyObject *all_rows(const lash_job *job)
{
    Py_ssize_t marked = 0;
    for (size_t i = 0; i < job->step_count; i++) {
        marked += job->steps[i].wants_rows ? 1 : 0;
    }
    PyObject *tuple = PyTuple_New(marked);
    Py_ssize_t place = 0;
    for (size_t i = 0; tuple != NULL && i < job->step_count; i++) {
        if (job->steps[i].wants_rows) {
            PyObject *list = row_list(&job->steps[i].rows);
            if (list == NULL || PyTuple_SetItem(tuple, place++, list) != 0) {
                Py_CLEAR(tuple);
            }
        }
    }
    return tuple;
}

static PyObject *seen_row(const lash_job *job)
{
    const char *cursor = job->seen.data;
    return job->seen.count > 0 ? row(&job->seen, &cursor) : Py_NewRef(Py_None);
}

static PyObject *done(const lash_job *job)
{
    PyObject *stopped = job->stopped < 0 ? Py_NewRef(Py_None) : PyLong_FromLongLong(job->stopped);
    PyObject *seen = seen_row(job);
    PyObject *rows = all_rows(job);
    if (stopped == NULL || seen == NULL || rows == NULL) {
        Py_XDECREF(stopped);
        Py_XDECREF(seen);
        Py_XDECREF(rows);
        return NULL;
    }
    return Py_BuildValue("(iNNNL)", OUTCOME_DONE, stopped, seen, rows, (long long)job->changes);
}

/* SQLite quotes the texts it was given in its messages, and those may be cut in the middle of a character. */
static PyObject *message_text(const lash_job *job)
{
    const char *message = job->message ? job->message : "out of memory";
    return PyUnicode_DecodeUTF8(message, (Py_ssize_t)strlen(message), "replace");
}

PyObject *lash_job_outcome(lash_job *job)
{
    PyObject *seen;
    switch (job->outcome) {
    case OUTCOME_DONE:
        return done(job);
    case OUTCOME_GUARD:
        seen = seen_row(job);
        return seen ? Py_BuildValue("(iiNL)", OUTCOME_GUARD, job->step, seen, (long long)job->changes) : NULL;
    case OUTCOME_FAILED:
        return Py_BuildValue("(iiiiN)", OUTCOME_FAILED, job->step, job->code, job->extended_code, message_text(job));
    case OUTCOME_BUSY:
        return Py_BuildValue("(iL)", OUTCOME_BUSY, (long long)job->waited_ms);
    case OUTCOME_INVALID:
        return Py_BuildValue("(iiN)", OUTCOME_INVALID, job->step, message_text(job));
    case OUTCOME_CLOSED:
        break;
    }
    return Py_BuildValue("(i)", OUTCOME_CLOSED);
}
