//! Requests of `ioctl`, decoded.

/// Size of a terminal, `struct winsize`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct WindowSize {
    /// Rows of characters.
    pub rows: u16,
    /// Columns of characters.
    pub columns: u16,
    /// Width in pixels, or 0.
    pub width: u16,
    /// Height in pixels, or 0.
    pub height: u16,
}

/// Settings of a terminal, `struct termios` of Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Termios {
    /// `c_iflag`.
    pub input: u32,
    /// `c_oflag`.
    pub output: u32,
    /// `c_cflag`.
    pub control: u32,
    /// `c_lflag`.
    pub local: u32,
    /// `c_line`.
    pub line: u8,
    /// `c_cc`.
    pub characters: [u8; 19],
}

/// What `ioctl`, and `fcntl` of pipes, ask for.
#[derive(Debug)]
pub enum Control<'a> {
    /// `FIONREAD`: bytes that can be read without waiting.
    Available(&'a mut i32),
    /// `TCGETS`: settings of the terminal.
    Termios(&'a mut Termios),
    /// `TCSETS`, `TCSETSW`, `TCSETSF`.
    SetTermios(&'a Termios),
    /// `TIOCGWINSZ`.
    WindowSize(&'a mut WindowSize),
    /// `TIOCSWINSZ`.
    SetWindowSize(&'a WindowSize),
    /// `BLKGETSIZE64`: bytes of a block device.
    DeviceSize(&'a mut u64),
    /// `F_GETPIPE_SZ`: bytes that a pipe holds at most.
    PipeSize,
    /// `F_SETPIPE_SZ`: at least so many from now on; the result is how many.
    SetPipeSize(usize),
    /// Any other, with its number and argument.
    Other(u32, usize),
}
