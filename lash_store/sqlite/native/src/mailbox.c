/* Mailbox: outcomes on their way to an event loop. The writer puts them in without the GIL and raises a signal that the
 * loop polls; the loop takes all of them at once. */
#include "executor.h"

#include <errno.h>

void lash_mailbox_put(lash_mailbox *mailbox, lash_job *first, lash_job *last)
{
    last->next_delivered = NULL;
    lash_mutex_lock(&mailbox->lock);
    int was_empty = mailbox->first == NULL;
    if (was_empty) {
        mailbox->first = first;
    } else {
        mailbox->last->next_delivered = first;
    }
    mailbox->last = last;
    if (was_empty && mailbox->signal.writer >= 0) {
        lash_signal_raise(&mailbox->signal);
    }
    if (mailbox->waiters > 0) {
        lash_cond_signal(&mailbox->arrived);
    }
    lash_mutex_unlock(&mailbox->lock);
}

static lash_job *take_all(lash_mailbox *mailbox)
{
    lash_mutex_lock(&mailbox->lock);
    lash_job *list = mailbox->first;
    mailbox->first = mailbox->last = NULL;
    if (mailbox->signal.reader >= 0) {
        lash_signal_clear(&mailbox->signal);
    }
    lash_mutex_unlock(&mailbox->lock);
    return list;
}

static PyObject *outcome_of(lash_job *job)
{
    return job->answer != NULL ? Py_NewRef(job->answer) : lash_job_outcome(job);
}

static int append_delivery(PyObject *list, lash_job *job)
{
    PyObject *outcome = outcome_of(job);
    PyObject *pair = outcome ? PyTuple_Pack(2, job->token, outcome) : NULL;
    Py_XDECREF(outcome);
    int rc = pair ? PyList_Append(list, pair) : -1;
    Py_XDECREF(pair);
    return rc;
}

/* What could not be turned into objects for lack of memory goes back, in order, and is not lost. */
static void put_back(lash_mailbox *mailbox, lash_job *list)
{
    lash_job *last = list;
    while (last->next_delivered) {
        last = last->next_delivered;
    }
    lash_mutex_lock(&mailbox->lock);
    last->next_delivered = mailbox->first;
    mailbox->first = list;
    if (mailbox->last == NULL) {
        mailbox->last = last;
    }
    if (mailbox->signal.writer >= 0) {
        lash_signal_raise(&mailbox->signal);
    }
    lash_mutex_unlock(&mailbox->lock);
}

static PyObject *mailbox_drain(PyObject *self, PyObject *unused)
{
    (void)unused;
    lash_mailbox *mailbox = (lash_mailbox *)self;
    PyObject *result = PyList_New(0);
    lash_job *list = result ? take_all(mailbox) : NULL;
    while (list) {
        lash_job *job = list;
        if (append_delivery(result, job) != 0) {
            PyObject *type, *value, *traceback;
            PyErr_Fetch(&type, &value, &traceback);
            put_back(mailbox, list);
            if (PyList_Size(result) > 0) { /* hand out what there is; the next drain tries again */
                Py_XDECREF(type);
                Py_XDECREF(value);
                Py_XDECREF(traceback);
                return result;
            }
            PyErr_Restore(type, value, traceback);
            Py_DECREF(result);
            return NULL;
        }
        list = job->next_delivered;
        Py_DECREF(job->object); /* the queue's reference; the job may be gone */
    }
    return result;
}

static PyObject *mailbox_wait(PyObject *self, PyObject *argument)
{
    lash_mailbox *mailbox = (lash_mailbox *)self;
    long long timeout_ms = PyLong_AsLongLong(argument);
    if (timeout_ms == -1 && PyErr_Occurred()) {
        return NULL;
    }
    uint64_t deadline = lash_now_ns() + (timeout_ms > 0 ? (uint64_t)timeout_ms : 0) * LASH_NS_PER_MS;
    int arrived;
    Py_BEGIN_ALLOW_THREADS
    lash_mutex_lock(&mailbox->lock);
    mailbox->waiters++;
    while (mailbox->first == NULL && lash_now_ns() < deadline) {
        lash_cond_wait_until(&mailbox->arrived, &mailbox->lock, deadline);
    }
    mailbox->waiters--;
    arrived = mailbox->first != NULL;
    lash_mutex_unlock(&mailbox->lock);
    Py_END_ALLOW_THREADS
    return PyBool_FromLong(arrived);
}

static PyObject *mailbox_fileno(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyLong_FromLong(((lash_mailbox *)self)->signal.reader);
}

static PyObject *mailbox_close(PyObject *self, PyObject *unused)
{
    (void)unused;
    lash_mailbox *mailbox = (lash_mailbox *)self;
    lash_mutex_lock(&mailbox->lock);
    lash_signal_close(&mailbox->signal);
    lash_mutex_unlock(&mailbox->lock);
    return Py_NewRef(Py_None);
}

static PyObject *mailbox_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    if (PyTuple_Size(args) != 0 || (keywords && PyDict_Size(keywords) != 0)) {
        PyErr_SetString(PyExc_TypeError, "Mailbox() takes no arguments");
        return NULL;
    }
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    lash_mailbox *mailbox = (lash_mailbox *)allocate(type, 0);
    if (mailbox == NULL) {
        return NULL;
    }
    mailbox->signal.reader = mailbox->signal.writer = -1;
    if (lash_mutex_init(&mailbox->lock) != 0) {
        Py_DECREF(mailbox);
        return PyErr_NoMemory();
    }
    if (lash_cond_init(&mailbox->arrived) != 0) {
        lash_mutex_destroy(&mailbox->lock);
        Py_DECREF(mailbox);
        return PyErr_NoMemory();
    }
    mailbox->usable = 1;
    if (lash_signal_open(&mailbox->signal) != 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        Py_DECREF(mailbox);
        return NULL;
    }
    return (PyObject *)mailbox;
}

/* Undelivered tickets point back at their mailbox: a circle that only the collector can break. */
static int mailbox_traverse(PyObject *self, visitproc visit, void *arg)
{
    lash_mailbox *mailbox = (lash_mailbox *)self;
    Py_VISIT(Py_TYPE(self));
    int rc = 0;
    /* The writer may be appending; and in a forked child, the lock it held stays locked for ever. What is not visited is
     * kept alive, no more. */
    if (mailbox->usable && lash_mutex_try(&mailbox->lock)) {
        for (lash_job *job = mailbox->first; rc == 0 && job; job = job->next_delivered) {
            rc = visit(job->object, arg);
        }
        lash_mutex_unlock(&mailbox->lock);
    }
    return rc;
}

static int mailbox_clear(PyObject *self)
{
    lash_mailbox *mailbox = (lash_mailbox *)self;
    lash_job *list = NULL;
    if (mailbox->usable && lash_mutex_try(&mailbox->lock)) {
        list = mailbox->first;
        mailbox->first = mailbox->last = NULL;
        lash_mutex_unlock(&mailbox->lock);
    }
    while (list) {
        lash_job *job = list;
        list = job->next_delivered;
        Py_DECREF(job->object);
    }
    return 0;
}

static void mailbox_dealloc(PyObject *self)
{
    lash_mailbox *mailbox = (lash_mailbox *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    mailbox_clear(self);
    lash_signal_close(&mailbox->signal);
    if (mailbox->usable) {
        lash_cond_destroy(&mailbox->arrived);
        lash_mutex_destroy(&mailbox->lock);
    }
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

static PyMethodDef mailbox_methods[] = {
    {"drain", mailbox_drain, METH_NOARGS, "All waiting (token, outcome) pairs, oldest first; clears the signal."},
    {"wait", mailbox_wait, METH_O, "Block without the GIL until an outcome waits, for at most timeout_ms."},
    {"fileno", mailbox_fileno, METH_NOARGS, "A descriptor that polls readable while outcomes wait, or -1."},
    {"close", mailbox_close, METH_NOARGS, "Close the descriptor; outcomes that still arrive are kept for drain."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot mailbox_slots[] = {
    {Py_tp_doc, "Where the outcomes of submitted jobs arrive; signalled without the GIL."},
    {Py_tp_new, mailbox_new},
    {Py_tp_dealloc, mailbox_dealloc},
    {Py_tp_traverse, mailbox_traverse},
    {Py_tp_clear, mailbox_clear},
    {Py_tp_methods, mailbox_methods},
    {0, NULL},
};

PyType_Spec lash_mailbox_spec = {
    .name = "lash_store.sqlite.native._native.Mailbox",
    .basicsize = sizeof(lash_mailbox),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = mailbox_slots,
};
