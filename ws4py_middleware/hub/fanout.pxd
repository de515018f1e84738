cimport cython


@cython.locals(count=Py_ssize_t)
cpdef Py_ssize_t fan_out(room, list seats, prepared) except -1
