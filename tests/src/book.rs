//! The pages whose Rust examples are documentation tests of this crate.

macro_rules! pages {
    ($($name:ident $path:literal,)*) => {
        /// Paths of the pages, relative to the repository.
        pub const RUST_PAGES: &[&str] = &[$($path),*];
        $(
            #[cfg(doctest)]
            #[doc = include_str!(concat!("../../", $path))]
            pub struct $name;
        )*
    };
}

pages! {
    FirstApplication "docs/src/first-application.md",
    MicroLibrary "docs/src/micro-library.md",
    Allocator "docs/src/allocator.md",
    Ukplat "docs/src/api/ukplat.md",
    Ukboot "docs/src/api/ukboot.md",
    Ukalloc "docs/src/api/ukalloc.md",
    Uksched "docs/src/api/uksched.md",
    Ukasync "docs/src/api/ukasync.md",
    Uklock "docs/src/api/uklock.md",
    Ukparam "docs/src/api/ukparam.md",
    Uklog "docs/src/api/uklog.md",
    Uktime "docs/src/api/uktime.md",
    Ukerrno "docs/src/api/ukerrno.md",
    Files "docs/src/files.md",
    SyscallShim "docs/src/api/syscall-shim.md",
}
