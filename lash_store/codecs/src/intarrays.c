/* lash_store.codecs._intarrays: byte strings as MessagePack arrays of integers.
 *
 * Upstream's byte vectors are arrays with one element for each byte, never the `bin` family, and content addresses are
 * taken over these bytes. In Python that costs an integer object for every byte; here a copy with a few extra bytes.
 * The contract is _intarrays.pyi; _intarrays_python.py is the twin.
 *
 * Rules of this file: everything a caller controls is checked before memory is touched; the interpreter's lock is given
 * away for long inputs only, while the buffer is held; there is no mutable state but the kernel chosen at load.
 */
#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030B0000
#endif
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "elements.h"
#include "kernels.h"

/* Set by the build that tests under sanitizers, so that a test can prove they were on. */
#ifndef LASH_SANITIZERS
#define LASH_SANITIZERS ""
#endif

#define LONG_INPUT 65536    /* bytes: below, giving the lock away costs more than it frees */

typedef struct {
    const char *name;
    conversion widen;
    conversion narrow;
} kernel;

static const kernel KERNELS[] = {
#ifdef HAVE_X86_KERNELS
    {"vbmi2", widen_vbmi2, narrow_vbmi2},
    {"ssse3", widen_ssse3, narrow_ssse3},
#endif
    {"portable", widen_portable, narrow_portable},
};
#define KERNEL_COUNT (sizeof KERNELS / sizeof KERNELS[0])

typedef struct {
    const kernel *chosen;
} module_state;

static int runs_here(const kernel *candidate)
{
#ifdef HAVE_X86_KERNELS
    if (candidate->widen == widen_vbmi2) {
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi2") &&
               __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
    }
    if (candidate->widen == widen_ssse3) {
        return __builtin_cpu_supports("ssse3") && __builtin_cpu_supports("popcnt");
    }
#endif
    return candidate->widen == widen_portable;
}

/* False if the elements do not fill `size` exactly, which happens only if the input is changed meanwhile. */
static int widen_all(const kernel *with, const uint8_t *in, size_t count, uint8_t *out, size_t size)
{
    const progress most = with->widen(in, count, out, size);
    const progress rest = widen_portable(in + most.read, count - most.read, out + most.written, size - most.written);
    return most.read + rest.read == count && most.written + rest.written == size;
}

/* The array of `data`, `prefix` before it, in a new bytes object. */
static PyObject *encoded(const kernel *with, const Py_buffer *data, const Py_buffer *prefix)
{
    const size_t count = (size_t)data->len, before = (size_t)prefix->len;
    uint8_t header[LARGEST_HEADER];
    int good;
    if (count > UINT32_MAX) {
        PyErr_SetString(PyExc_OverflowError, "a MessagePack array has at most 2^32 - 1 elements");
        return NULL;
    }
    const size_t headed = before + write_header(header, count);
    const size_t elements = widened_size(data->buf, count);
    if (before > PY_SSIZE_T_MAX / 2 || elements > PY_SSIZE_T_MAX / 2 - LARGEST_HEADER) {
        return PyErr_NoMemory();
    }
    PyObject *result = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(headed + elements));
    if (result == NULL) {
        return NULL;
    }
    uint8_t *out = (uint8_t *)PyBytes_AsString(result);
    if (before) {
        memcpy(out, prefix->buf, before);
    }
    memcpy(out + before, header, headed - before);
    if (count >= LONG_INPUT) {
        Py_BEGIN_ALLOW_THREADS
        good = widen_all(with, data->buf, count, out + headed, elements);
        Py_END_ALLOW_THREADS
    }
    else {
        good = widen_all(with, data->buf, count, out + headed, elements);
    }
    if (!good) {
        Py_DECREF(result);
        PyErr_SetString(PyExc_ValueError, "the bytes were changed by another thread while they were encoded");
        return NULL;
    }
    return result;
}

static PyObject *encode(PyObject *module, PyObject *args)
{
    const module_state *state = PyModule_GetState(module);
    Py_buffer data, prefix = {0};
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(args, "y*|y*:encode", &data, &prefix)) {
        return NULL;
    }
    result = encoded(state->chosen, &data, &prefix);
    PyBuffer_Release(&data);
    PyBuffer_Release(&prefix);
    return result;
}

/* Fills `out` with `count` bytes from the elements at `*at`; false if one is no byte or the input ends early. */
static int narrow_all(const kernel *with, const uint8_t *in, size_t size, size_t *at, uint8_t *out, size_t count)
{
    size_t done = 0;
    while (done < count) {
        progress step = with->narrow(in + *at, size - *at, out + done, count - done);
        *at += step.read;
        done += step.written;
        step = narrow_portable(in + *at, size - *at, out + done, count - done);
        *at += step.read;
        done += step.written;
        if (done < count && (*at >= size || !read_element(in, size, at, &out[done++]))) {
            return 0;
        }
    }
    return 1;
}

static PyObject *decoded(const kernel *with, const Py_buffer *data, Py_ssize_t start)
{
    const size_t size = (size_t)data->len;
    size_t at = (size_t)start, count = 0;    /* a negative start lies beyond any size */
    int good;
    if (!read_header(data->buf, size, &at, &count) || count > size - at) {
        PyErr_SetString(PyExc_ValueError, "there is no array of integers 0 ... 255 at this place");
        return NULL;
    }
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)count);
    if (bytes == NULL) {
        return NULL;
    }
    uint8_t *out = (uint8_t *)PyBytes_AsString(bytes);
    if (count >= LONG_INPUT) {
        Py_BEGIN_ALLOW_THREADS
        good = narrow_all(with, data->buf, size, &at, out, count);
        Py_END_ALLOW_THREADS
    }
    else {
        good = narrow_all(with, data->buf, size, &at, out, count);
    }
    if (!good) {
        Py_DECREF(bytes);
        PyErr_SetString(PyExc_ValueError, "there is no array of integers 0 ... 255 at this place");
        return NULL;
    }
    return Py_BuildValue("Nn", bytes, (Py_ssize_t)at);
}

static PyObject *decode(PyObject *module, PyObject *args)
{
    const module_state *state = PyModule_GetState(module);
    Py_buffer data;
    Py_ssize_t start = 0;
    if (!PyArg_ParseTuple(args, "y*|n:decode", &data, &start)) {
        return NULL;
    }
    PyObject *result = decoded(state->chosen, &data, start);
    PyBuffer_Release(&data);
    return result;
}

static PyObject *kernels(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    PyObject *names = PyList_New(0);
    for (size_t i = 0; names != NULL && i < KERNEL_COUNT; i++) {
        if (!runs_here(&KERNELS[i])) {
            continue;
        }
        PyObject *name = PyUnicode_FromString(KERNELS[i].name);
        if (name == NULL || PyList_Append(names, name) < 0) {
            Py_CLEAR(names);
        }
        Py_XDECREF(name);
    }
    return names;
}

static PyObject *use_kernel(PyObject *module, PyObject *args)
{
    module_state *state = PyModule_GetState(module);
    const char *wanted;
    if (!PyArg_ParseTuple(args, "s:use_kernel", &wanted)) {
        return NULL;
    }
    for (size_t i = 0; i < KERNEL_COUNT; i++) {
        if (strcmp(KERNELS[i].name, wanted) == 0 && runs_here(&KERNELS[i])) {
            state->chosen = &KERNELS[i];
            Py_RETURN_NONE;
        }
    }
    PyErr_Format(PyExc_ValueError, "no kernel %s on this processor", wanted);
    return NULL;
}

static PyMethodDef METHODS[] = {
    {"decode", decode, METH_VARARGS, "decode(data, start=0) -> (bytes, end)"},
    {"encode", encode, METH_VARARGS, "encode(data, prefix=b'') -> bytes"},
    {"kernels", kernels, METH_NOARGS, "kernels() -> names, the fastest first"},
    {"use_kernel", use_kernel, METH_VARARGS, "use_kernel(name), for tests"},
    {NULL, NULL, 0, NULL},
};

static int on_load(PyObject *module)
{
    module_state *state = PyModule_GetState(module);
#ifdef HAVE_X86_KERNELS
    __builtin_cpu_init();
    fill_shuffles();
#endif
    size_t i = 0;
    while (!runs_here(&KERNELS[i])) {
        i++;
    }
    state->chosen = &KERNELS[i];
    return PyModule_AddStringConstant(module, "SANITIZERS", LASH_SANITIZERS);
}

static PyModuleDef_Slot SLOTS[] = {
    {Py_mod_exec, on_load},
    {0, NULL},
};

static PyModuleDef DEFINITION = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "lash_store.codecs._intarrays",
    .m_doc = "Byte strings as MessagePack arrays of integers.",
    .m_size = sizeof(module_state),
    .m_methods = METHODS,
    .m_slots = SLOTS,
};

PyMODINIT_FUNC PyInit__intarrays(void)
{
    return PyModuleDef_Init(&DEFINITION);
}
