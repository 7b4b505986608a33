//! Waiting for files: values of `asm-generic/poll.h`, `linux/eventpoll.h`, `linux/eventfd.h`,
//! `linux/random.h`.

use super::{constants, flags};

flags! {
    /// Events of poll(2).
    PollEvents(u16) {
        POLLIN = 1,
        POLLPRI = 2,
        POLLOUT = 4,
        POLLERR = 8,
        POLLHUP = 0x10,
        POLLNVAL = 0x20,
        POLLRDNORM = 0x40,
        POLLRDBAND = 0x80,
        POLLWRNORM = 0x100,
        POLLWRBAND = 0x200,
        POLLMSG = 0x400,
        POLLRDHUP = 0x2000,
    }
    /// Events of epoll_ctl(2), and how they are told.
    EpollEvents(u32) {
        EPOLLIN = 1,
        EPOLLPRI = 2,
        EPOLLOUT = 4,
        EPOLLERR = 8,
        EPOLLHUP = 0x10,
        EPOLLRDNORM = 0x40,
        EPOLLRDBAND = 0x80,
        EPOLLWRNORM = 0x100,
        EPOLLWRBAND = 0x200,
        EPOLLMSG = 0x400,
        EPOLLRDHUP = 0x2000,
        EPOLLEXCLUSIVE = 1 << 28,
        EPOLLWAKEUP = 1 << 29,
        EPOLLONESHOT = 1 << 30,
        EPOLLET = 1 << 31,
    }
    /// Flags of epoll_create1(2).
    EpollFlags(u32) {
        EPOLL_CLOEXEC = 0o2_000_000,
    }
    /// Flags of eventfd2(2).
    EventFdFlags(u32) {
        EFD_SEMAPHORE = 1,
        EFD_NONBLOCK = 0o4000,
        EFD_CLOEXEC = 0o2_000_000,
    }
    /// Flags of getrandom(2).
    RandomFlags(u32) {
        GRND_NONBLOCK = 1,
        GRND_RANDOM = 2,
        GRND_INSECURE = 4,
    }
}

constants! {
    /// Operations of epoll_ctl(2).
    EpollOperation(i32) {
        EPOLL_CTL_ADD = 1,
        EPOLL_CTL_DEL = 2,
        EPOLL_CTL_MOD = 3,
    }
}
