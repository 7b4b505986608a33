//! What can go wrong before a guest runs, in words for the one who started it.

use thiserror::Error;

/// Why a file is not an image that can be run.
#[derive(Debug, Error)]
pub enum ImageError {
    /// Reading failed.
    #[error("it cannot be read: {0}")]
    Read(std::io::Error),
    /// It ends before it should.
    #[error("it is cut short")]
    Short,
    /// Something else.
    #[error("it is not a 64-bit ELF file")]
    NotElf,
    /// Another architecture.
    #[error("it is for another architecture")]
    Machine,
    /// It runs at one address only.
    #[error("it is not position-independent")]
    NotRelocatable,
    /// Counts and sizes of its headers.
    #[error("its headers make no sense")]
    Headers,
    /// A segment.
    #[error("a segment makes no sense")]
    Segment,
    /// Two segments.
    #[error("segments are missing or share a page")]
    Overlap,
    /// W and X.
    #[error("a segment is writable and executable")]
    WritableCode,
    /// It needs a dynamic linker.
    #[error("it needs other files: a dynamically linked program")]
    Dynamic,
    /// An address of code.
    #[error("the address {0:#x} is not in its code")]
    Entry(u64),
    /// No note.
    #[error("it has no note of an image for hvt; build it with --plat hvt")]
    NoNote,
    /// Another version.
    #[error(transparent)]
    Version(hvt_abi::NoteVersion),
    /// A table of relocations.
    #[error("its relocations are not where it says")]
    Table,
    /// A relocation.
    #[error("it has a kind of relocation that no image needs")]
    RelocationKind,
    /// A relocation's place.
    #[error("a relocation at {0:#x} is not in its data")]
    Place(u64),
}

/// Why a guest was not started.
#[derive(Debug, Error)]
pub enum Error {
    /// The command line.
    #[error("{0}; `tender --help` lists the arguments")]
    Arguments(String),
    /// The image's file.
    #[error("cannot open {0}: {1}")]
    Open(String, std::io::Error),
    /// The image.
    #[error("{0} is not an image for hvt: {1}")]
    Image(String, ImageError),
    /// The initial ram disk.
    #[error("cannot read the initial ram disk {0}: {1}")]
    Initrd(String, std::io::Error),
    /// A shared directory.
    #[error("cannot share the directory {0}: {1}")]
    Share(String, String),
    /// A disk.
    #[error("cannot use {0} as a disk: {1}")]
    Disk(String, String),
    /// A network device.
    #[error("cannot use {0} as network: {1}")]
    Net(String, std::io::Error),
    /// passt.
    #[error(
        "networking without rights needs passt, which is not installed: apt-get install passt, \
         dnf install passt, or https://passt.top; --net tap=NAME does without"
    )]
    NoPasst,
    /// Too little memory.
    #[error(
        "{given} of memory are too small: the image and its ram disk need {needed}; give more with --memory"
    )]
    TooSmall {
        /// As given.
        given: String,
        /// What would do.
        needed: String,
    },
    /// Too much memory.
    #[error("{0} of memory are more than a guest can have")]
    TooLarge(String),
    /// The host has no memory.
    #[error("cannot get that much memory from the host: {0}; lower --memory")]
    Memory(String),
    /// /dev/kvm.
    #[error(
        "cannot open /dev/kvm: {0}; run the image with --plat linuxu, or as a user who may open it"
    )]
    NoKvm(std::io::Error),
    /// The frequency of the clock.
    #[error(
        "KVM does not tell how fast the time-stamp counter runs, which guests have the time from; \
         run the image with --plat linuxu"
    )]
    NoFrequency,
    /// A call of KVM.
    #[error("KVM cannot {0}: {1}")]
    Kvm(&'static str, std::io::Error),
    /// A system call.
    #[error("cannot {0}: {1}")]
    System(&'static str, std::io::Error),
    /// Confinement.
    #[error("cannot confine the monitor ({0}: {1}); --unconfined runs it without")]
    Confine(&'static str, String),
}
