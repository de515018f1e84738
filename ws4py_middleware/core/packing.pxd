cpdef bytes pack_head(int first, object size, mask_key=*)
cpdef bytes pack(int first, payload, mask_key=*)
