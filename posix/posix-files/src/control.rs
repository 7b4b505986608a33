//! `ioctl`.

use fdtab::TABLE;
use syscall_shim::{As, IoctlRequest, Plain, UserWord, syscall};
use ukerrno::Errno;
use ukfile::{Control, OpenFlags, Termios, WindowSize};

use crate::traced::IoctlArgument;

/// `struct termios` of Linux.
#[derive(Clone, Copy, Debug, Plain)]
#[repr(C)]
pub struct RawTermios {
    modes: [u32; 4],
    line: u8,
    characters: [u8; 19],
}

pub const TCGETS: u32 = 0x5401;
pub const TCSETS: u32 = 0x5402;
pub const TCSETSF: u32 = 0x5404;
pub const TIOCGWINSZ: u32 = 0x5413;
pub const TIOCSWINSZ: u32 = 0x5414;
pub const FIONREAD: u32 = 0x541b;
pub const FIONBIO: u32 = 0x5421;
const FIONCLEX: u32 = 0x5450;
const FIOCLEX: u32 = 0x5451;
pub const BLKGETSIZE64: u32 = 0x8008_1272;

/// Asks and tells devices (ioctl(2)).
#[syscall]
fn ioctl(
    fd: i32,
    #[trace(IoctlRequest)] request: u32,
    #[trace(As<IoctlArgument>)] argument: UserWord,
) -> Result<usize, Errno> {
    let file = TABLE.get(fd)?;
    if file.flags().contains(OpenFlags::PATH) {
        return Err(Errno::EBADF);
    }
    let device = file.file();
    match request {
        FIOCLEX => TABLE.set_close_on_exec(fd, true).map(|()| 0),
        FIONCLEX => TABLE.set_close_on_exec(fd, false).map(|()| 0),
        FIONBIO => {
            let mut flags = file.flags();
            flags.set(OpenFlags::NONBLOCK, argument.pointer::<i32>()?.read() != 0);
            file.set_flags(flags);
            Ok(0)
        }
        FIONREAD => {
            let mut bytes = 0;
            let result = device.control(Control::Available(&mut bytes))?;
            if device.has_position() {
                // What it tells is of the whole file, and no more than fits.
                let at = file.with_position(|at| *at);
                let left = device.metadata()?.size.saturating_sub(at);
                bytes = i32::try_from(left).unwrap_or(i32::MAX);
            }
            argument.pointer::<i32>()?.write(bytes);
            Ok(result)
        }
        TCGETS => {
            let mut t = Termios::default();
            let result = device.control(Control::Termios(&mut t))?;
            argument.pointer::<RawTermios>()?.write(RawTermios {
                modes: [t.input, t.output, t.control, t.local],
                line: t.line,
                characters: t.characters,
            });
            Ok(result)
        }
        TCSETS..=TCSETSF => {
            let raw = argument.pointer::<RawTermios>()?.read();
            let [input, output, control, local] = raw.modes;
            let (line, characters) = (raw.line, raw.characters);
            device.control(Control::SetTermios(&Termios {
                input,
                output,
                control,
                local,
                line,
                characters,
            }))
        }
        TIOCGWINSZ => {
            let mut size = WindowSize::default();
            let result = device.control(Control::WindowSize(&mut size))?;
            argument.pointer::<[u16; 4]>()?.write([
                size.rows,
                size.columns,
                size.width,
                size.height,
            ]);
            Ok(result)
        }
        TIOCSWINSZ => {
            let [rows, columns, width, height] = argument.pointer::<[u16; 4]>()?.read();
            device.control(Control::SetWindowSize(&WindowSize { rows, columns, width, height }))
        }
        BLKGETSIZE64 => {
            let mut bytes = 0;
            let result = device.control(Control::DeviceSize(&mut bytes))?;
            argument.pointer::<u64>()?.write(bytes);
            Ok(result)
        }
        other => device.control(Control::Other(other, argument.value())),
    }
}
