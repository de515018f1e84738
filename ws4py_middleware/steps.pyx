"""
Steps: what begins at once, in the name of a task, and goes on in the task only if it has to wait.

The same as ``steps.py``: here a step that is the last one raises no ``StopIteration`` to say so, and a task and
its context are entered without a call of Python's.
"""

import asyncio
import contextvars
import types

from cpython.object cimport PyObject

__all__ = ["DONE", "Name", "Taker", "begin", "go_on", "iterate"]


cdef extern from *:
    """
    /* What has come to its end says so by what this returns, not by an exception that somebody has to make. */
    static int ws4py_step(PyObject *iterator, PyObject **result) {
        return (int)PyIter_Send(iterator, Py_None, result);
    }
    """
    int ws4py_step(object iterator, PyObject **result) except -1


cdef extern from "Python.h":
    int PyContext_Enter(object context) except -1
    int PyContext_Exit(object context) except -1
    int PyCoro_CheckExact(object value)
    int PyGen_CheckExact(object value)
    PyObject *PyDict_GetItemWithError(object mapping, object key) except? NULL
    int PyDict_SetItem(object mapping, object key, object value) except -1
    void Py_DECREF(PyObject *value)


# What asyncio has for tasks that begin at once, from Python 3.12 on; before, the table itself.
_swap_current_task = getattr(asyncio.tasks, "_swap_current_task", None)
_current_tasks = getattr(asyncio.tasks, "_current_tasks", None)

#: What :func:`begin` has to say of what is done.
DONE = _DONE = object()


cdef class Taker:
    """Who may take a message at once, in the name of a task; a class, which the compiled build calls in C."""

    cpdef bint take(self, MessageReceived message, double now) except -1:
        """Take a message, if nothing is against it; return whether it has."""
        raise NotImplementedError

    cpdef step(self, MessageReceived message, double now):
        """Do what is to be done in the name of the task; see :meth:`Name.step`."""
        raise NotImplementedError


cdef class Name:
    """
    The name of a task, in which others make steps while it waits to be woken up.

    Args:
        loop: The loop of the task.
    """

    def __init__(self, loop):
        self.loop = loop
        self.task = None
        #: What the steps run in, also those that the task makes itself, with :func:`go_on`.
        self.context = contextvars.copy_context()

    def call(self, function, *args):
        """Call a function as the task would; in the thread of the loop, which is running."""
        caller = self._swap(self.task)
        try:
            PyContext_Enter(self.context)
            try:
                return function(*args)
            finally:
                PyContext_Exit(self.context)
        finally:
            self._swap(caller)

    cpdef begin(self, iterator):
        """Make the first step of something as the task would; see :func:`begin`."""
        caller = self._swap(self.task)
        try:
            PyContext_Enter(self.context)
            try:
                return begin(iterator)
            finally:
                PyContext_Exit(self.context)
        finally:
            self._swap(caller)

    cpdef step(self, Taker taker, MessageReceived message, double now):
        """Call :meth:`Taker.step` as the task would."""
        caller = self._swap(self.task)
        try:
            PyContext_Enter(self.context)
            try:
                return taker.step(message, now)
            finally:
                PyContext_Exit(self.context)
        finally:
            self._swap(caller)

    cdef object _swap(self, task):
        cdef PyObject *former
        if _swap_current_task is not None:
            return _swap_current_task(self.loop, task)
        former = PyDict_GetItemWithError(_current_tasks, self.loop)
        caller = None if former is NULL else <object>former
        if task is None:
            _current_tasks.pop(self.loop, None)
        else:
            PyDict_SetItem(_current_tasks, self.loop, task)
        return caller


cpdef begin(iterator):
    """Make the first step of what :func:`iterate` has returned; return what it waits for, or ``DONE``."""
    cdef PyObject *result = NULL
    cdef int is_waiting = ws4py_step(iterator, &result)
    waited = <object>result
    Py_DECREF(result)
    return waited if is_waiting else _DONE


cpdef iterate(awaitable):
    """Return what makes the steps of an awaitable; see :func:`begin`."""
    if PyCoro_CheckExact(awaitable) or PyGen_CheckExact(awaitable):  # or of a coroutine by types.coroutine()
        return awaitable
    return awaitable.__await__()


@types.coroutine
def go_on(iterator, waited, name=None, before=None, error=None):
    """
    Wait for what a first step waits for, and make all further steps; to be awaited.

    Args:
        iterator: What :func:`iterate` has returned.
        waited: What :func:`begin` has returned for it.
        name: In whose context the steps are made; by default in the one that there is.
        before: Called each time before there is something to wait for.
        error: Raise this in it, in place of the first wait.
    """
    run = _call if name is None else name.context.run
    while waited is not _DONE:
        if error is None:
            if before is not None:
                before()
            try:
                yield waited
            except BaseException as raised:
                error = raised
        if error is None:
            waited = run(begin, iterator)
        else:
            thrown, error = error, None
            waited = run(_throw, iterator, thrown)


def _throw(iterator, error):
    throw = getattr(iterator, "throw", None)
    if throw is None:
        raise error
    try:
        return throw(error)
    except StopIteration:
        return _DONE


def _call(function, *args):
    return function(*args)
