from __future__ import annotations

from ws4py_middleware.core.extensions.zlibs import get_library

print(get_library().name, get_library(keeps=True).name)
