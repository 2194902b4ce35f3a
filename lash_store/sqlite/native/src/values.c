/* From the steps of a plan to a job that needs no interpreter. Everything here runs with the GIL held. */
#include "executor.h"

#include <stdlib.h>
#include <string.h>

static int refuse(lash_module *module, Py_ssize_t step, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    PyObject *reason = PyUnicode_FromFormatV(format, arguments);
    va_end(arguments);
    if (reason == NULL) {
        return -1;
    }
    PyObject *number = step < 0 ? Py_NewRef(Py_None) : PyLong_FromSsize_t(step);
    PyObject *error = number ? PyObject_CallFunctionObjArgs(module->invalid_plan, number, reason, NULL) : NULL;
    Py_XDECREF(number);
    Py_DECREF(reason);
    if (error != NULL) {
        PyErr_SetObject(module->invalid_plan, error);
        Py_DECREF(error);
    }
    return -1;
}

/* Room for one more item; returns the (moved) array or NULL with an exception set. */
static void *grown(void *items, size_t count, size_t *capacity, size_t item_size)
{
    if (count < *capacity) {
        return items;
    }
    size_t wanted = *capacity ? *capacity * 2 : 16;
    void *moved = wanted > SIZE_MAX / item_size ? NULL : realloc(items, wanted * item_size);
    if (moved == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    *capacity = wanted;
    return moved;
}

/* Hands the reference `object` to the job, in success and in failure. */
static int keep(lash_job *job, PyObject *object)
{
    void *refs = grown(job->refs, job->ref_count, &job->ref_capacity, sizeof *job->refs);
    if (refs == NULL) {
        Py_DECREF(object);
        return -1;
    }
    job->refs = refs;
    job->refs[job->ref_count++] = object;
    return 0;
}

static int take_text(lash_module *module, lash_value *value, PyObject *object, Py_ssize_t step, Py_ssize_t position)
{
    Py_ssize_t size;
    /* The UTF-8 form is the string's own (ASCII) or cached inside it: it lives as long as the string. */
    const char *data = PyUnicode_AsUTF8AndSize(object, &size);
    if (data == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
            return -1;
        }
        PyErr_Clear();
        return refuse(module, step, "value %zd is a text with lone surrogates, which UTF-8 cannot hold", position);
    }
    value->type = SQLITE_TEXT;
    value->as.bytes.data = data;
    value->as.bytes.size = (uint64_t)size;
    return 0;
}

static int take_bytes(lash_module *module, lash_job *job, lash_value *value, PyObject *object, Py_ssize_t step,
                      Py_ssize_t position)
{
    PyObject *copy = PyBytes_CheckExact(object) ? NULL : PyBytes_FromObject(object);
    if (copy == NULL && !PyBytes_CheckExact(object)) {
        if (!PyErr_ExceptionMatches(PyExc_ValueError)) {
            return -1;
        }
        PyErr_Clear();
        return refuse(module, step, "value %zd is a memoryview that was released", position);
    }
    PyObject *bytes = copy ? copy : object;
    value->type = SQLITE_BLOB;
    value->as.bytes.data = PyBytes_AsString(bytes);
    value->as.bytes.size = (uint64_t)PyBytes_Size(bytes);
    return copy ? keep(job, copy) : 0;
}

static int take_value(lash_module *module, lash_job *job, lash_value *value, PyObject *object, Py_ssize_t step,
                      Py_ssize_t position)
{
    if (PyUnicode_Check(object)) {
        return take_text(module, value, object, step, position);
    }
    if (PyLong_Check(object)) {
        int overflow;
        value->type = SQLITE_INTEGER;
        value->as.integer = PyLong_AsLongLongAndOverflow(object, &overflow);
        if (overflow) {
            return refuse(module, step, "value %zd is an integer beyond 64 bits", position);
        }
        return value->as.integer == -1 && PyErr_Occurred() ? -1 : 0;
    }
    if (object == Py_None) {
        value->type = SQLITE_NULL;
        return 0;
    }
    if (PyFloat_Check(object)) {
        value->type = SQLITE_FLOAT;
        value->as.real = PyFloat_AsDouble(object);
        return 0;
    }
    if (PyBytes_Check(object) || PyByteArray_Check(object) || PyMemoryView_Check(object)) {
        return take_bytes(module, job, value, object, step, position);
    }
    PyObject *type = PyType_GetName(Py_TYPE(object));
    if (type != NULL) {
        refuse(module, step, "value %zd is a %U; pass None, int, float, str or bytes", position, type);
        Py_DECREF(type);
    }
    return -1;
}

/* A tuple with the items of a tuple or list; a list is copied, because its owner may change it while SQLite reads. */
static PyObject *as_tuple(lash_module *module, PyObject *object, Py_ssize_t step)
{
    if (PyTuple_Check(object)) {
        return Py_NewRef(object);
    }
    if (PyList_Check(object)) {
        return PyList_AsTuple(object);
    }
    refuse(module, step, "its values are no tuple and no list");
    return NULL;
}

/* Takes one run's values out of `object`; steals nothing. Returns their number or -1. */
static Py_ssize_t take_run(lash_module *module, lash_job *job, PyObject *object, Py_ssize_t step)
{
    PyObject *items = as_tuple(module, object, step);
    if (items == NULL || keep(job, items) != 0) {
        return -1;
    }
    Py_ssize_t count = PyTuple_Size(items);
    for (Py_ssize_t i = 0; i < count; i++) {
        void *values = grown(job->values, job->value_count, &job->value_capacity, sizeof *job->values);
        if (values == NULL) {
            return -1;
        }
        job->values = values;
        if (take_value(module, job, &job->values[job->value_count], PyTuple_GetItem(items, i), step, i + 1) != 0) {
            return -1;
        }
        job->value_count++;
    }
    return count;
}

static int take_runs(lash_module *module, lash_job *job, lash_step *step, PyObject *object, Py_ssize_t number)
{
    PyObject *runs = as_tuple(module, object, number);
    if (runs == NULL || keep(job, runs) != 0) {
        return -1;
    }
    Py_ssize_t count = PyTuple_Size(runs);
    step->run_count = (size_t)count;
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_ssize_t size = take_run(module, job, PyTuple_GetItem(runs, i), number);
        if (size < 0) {
            return -1;
        }
        if (i > 0 && (size_t)size != step->value_count) {
            return refuse(module, number, "row %zd has %zd values, the rows before it have %zu", i, size,
                          step->value_count);
        }
        step->value_count = (size_t)size;
    }
    return 0;
}

static int take_flag(PyObject *object, PyObject *name, int *flag)
{
    PyObject *value = PyObject_GetAttr(object, name);
    if (value == NULL) {
        return -1;
    }
    *flag = PyObject_IsTrue(value);
    Py_DECREF(value);
    return *flag < 0 ? -1 : 0;
}

static int take_integer(PyObject *object, PyObject *name, int64_t *number)
{
    PyObject *value = PyObject_GetAttr(object, name);
    if (value == NULL) {
        return -1;
    }
    *number = PyLong_AsLongLong(value);
    Py_DECREF(value);
    return *number == -1 && PyErr_Occurred() ? -1 : 0;
}

static int take_guard(lash_module *module, lash_step *step, PyObject *object, Py_ssize_t number)
{
    int64_t otherwise;
    if (take_integer(object, module->name_expect, &step->expect) != 0 ||
        take_integer(object, module->name_otherwise, &otherwise) != 0) {
        if (!PyErr_ExceptionMatches(PyExc_TypeError) && !PyErr_ExceptionMatches(PyExc_OverflowError)) {
            return -1;
        }
        PyErr_Clear();
        return refuse(module, number, "expect and otherwise must be integers of 64 bits");
    }
    if (step->expect < EXPECT_NO_ROW) {
        return refuse(module, number, "expect is %lld; pass an Expect or a number of changes",
                      (long long)step->expect);
    }
    if (otherwise != 0 && otherwise != 1) {
        return refuse(module, number, "otherwise is %lld; pass an Otherwise", (long long)otherwise);
    }
    step->stop_on_miss = (int)otherwise;
    return take_flag(object, module->name_rows, &step->wants_rows);
}

static int take_sql(lash_module *module, lash_executor *executor, lash_step *step, PyObject *object, Py_ssize_t number)
{
    PyObject *sql = PyObject_GetAttr(object, module->name_sql);
    if (sql == NULL) {
        return -1;
    }
    if (PyUnicode_Check(sql) && !PyUnicode_CheckExact(sql)) {
        PyObject *plain = PyUnicode_FromObject(sql); /* a subclass may hash and compare as it likes */
        Py_DECREF(sql);
        if ((sql = plain) == NULL) {
            return -1;
        }
    }
    int rc = -1;
    Py_ssize_t size;
    const char *text = PyUnicode_Check(sql) ? PyUnicode_AsUTF8AndSize(sql, &size) : NULL;
    if (text == NULL) {
        if (!PyErr_Occurred() || PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
            PyErr_Clear();
            refuse(module, number, "its SQL is no text that UTF-8 can hold");
        }
    } else if (memchr(text, 0, (size_t)size) != NULL) {
        refuse(module, number, "its SQL holds a NUL character; bind such text as a value");
    } else {
        step->statement = lash_statements_use(&executor->statements, &executor->lock, sql);
        rc = step->statement == NULL ? -1 : 0;
        if (rc != 0 && !PyErr_Occurred()) {
            lash_raise_with_path(module->store_closed, executor);
        }
    }
    Py_DECREF(sql);
    return rc;
}

static int take_step(lash_module *module, lash_executor *executor, lash_job *job, PyObject *object, Py_ssize_t number)
{
    lash_step *step = &job->steps[number];
    int many;
    job->step_count = (size_t)number + 1; /* from here on lash_job_clear gives the statement back */
    if (take_sql(module, executor, step, object, number) != 0 || take_guard(module, step, object, number) != 0 ||
        take_flag(object, module->name_many, &many) != 0) {
        return -1;
    }
    step->first_value = job->value_count;
    step->run_count = 1;
    PyObject *values = PyObject_GetAttr(object, module->name_values);
    if (values == NULL) {
        return -1;
    }
    int rc;
    if (many) {
        rc = take_runs(module, job, step, values, number);
    } else {
        Py_ssize_t count = take_run(module, job, values, number);
        step->value_count = count < 0 ? 0 : (size_t)count;
        rc = count < 0 ? -1 : 0;
    }
    Py_DECREF(values);
    return rc;
}

int lash_job_compile(lash_job *job, lash_executor *executor, PyObject *steps)
{
    lash_module *module = executor->module;
    PyObject *items = PySequence_Tuple(steps);
    if (items == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_TypeError)) {
            return -1;
        }
        PyErr_Clear();
        return refuse(module, -1, "its steps are no sequence");
    }
    if (keep(job, items) != 0) {
        return -1;
    }
    Py_ssize_t count = PyTuple_Size(items);
    if (count == 0) {
        return refuse(module, -1, "it has no steps");
    }
    job->steps = calloc((size_t)count, sizeof *job->steps);
    if (job->steps == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        if (take_step(module, executor, job, PyTuple_GetItem(items, i), i) != 0) {
            return -1;
        }
    }
    return 0;
}

void lash_job_clear(lash_job *job)
{
    for (size_t i = 0; i < job->step_count; i++) {
        if (job->steps[i].statement != NULL) {
            lash_statement_unuse(job->steps[i].statement);
        }
        lash_rows_free(&job->steps[i].rows);
    }
    job->step_count = 0;
    free(job->steps);
    job->steps = NULL;
    lash_rows_free(&job->seen);
    free(job->values);
    job->values = NULL;
    free(job->message);
    job->message = NULL;
    while (job->ref_count > 0) {
        Py_DECREF(job->refs[--job->ref_count]);
    }
    free(job->refs);
    job->refs = NULL;
}
