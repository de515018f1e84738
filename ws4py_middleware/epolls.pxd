cpdef list wait_epoll(epoll, timeout)
