# The types of deflate.py, for the compiled build.

cimport cython

cdef bytes _TAIL
cdef Py_ssize_t _MAX_STREAMS
cdef Py_ssize_t _STEP
cdef object _SYNC_FLUSH
cdef object _FULL_FLUSH

cdef class Codec:
    cdef public object _compressor
    cdef public object _decoder_bits
    cdef public object _decompressor
    cdef public object _encoder_bits
    cdef public bint _in_stream
    cdef public object _inflater
    cdef public bint _keep_decoder
    cdef public bint _keep_encoder
    cdef public tuple _kind
    cdef public object _last_flush
    cdef public object _library
    cdef public object _share_key
    cdef public Py_ssize_t _threshold

    cpdef encode_message(self, payload)

    @cython.locals(data=bytes)
    cpdef encode_fragment(self, payload, bint fin)

    @cython.locals(size=Py_ssize_t, streams=Py_ssize_t, start=Py_ssize_t, room=Py_ssize_t, limit=Py_ssize_t,
                   steps=list, pieces=list, piece=bytes)
    cpdef decode_frame(self, payload, bint fin, max_size)
