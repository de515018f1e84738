cpdef list wait_epoll(epoll, double timeout)
