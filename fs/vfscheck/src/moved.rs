//! Directories that somebody else moves.

use std::path::Path;
use std::sync::Arc;

use ukerrno::Errno;
use vfs::{Context, FileSystem, Follow, Location, Mount, MountFlags, RenameFlags};

/// Moves directories of `folder`, which `file_system` shows too, so that one changes places with the
/// one above it; all that goes up the tree must end.
///
/// # Panics
/// It does not.
pub fn moved_outside(file_system: Arc<dyn FileSystem>, folder: &Path) {
    std::fs::create_dir_all(folder.join("x/y/z")).unwrap();
    let mount = Mount::new(file_system, b"share", MountFlags::empty()).unwrap();
    let mut files = Context::new(Location::root_of(mount));
    files.working = files.resolve(None, b"/x/y", Follow::Yes).unwrap();
    std::fs::rename(folder.join("x/y"), folder.join("y")).unwrap();
    std::fs::rename(folder.join("x"), folder.join("y/x")).unwrap();
    let x = files.resolve(None, b"x", Follow::Yes).unwrap();
    let above = std::iter::successors(Some(x.node.clone()), |node| node.parent());
    assert!(above.take(10).count() < 4, "a circle");
    // It is known again where it is looked up.
    assert_eq!(files.path_of(&files.working), Err(Errno::ENOENT));
    let y = files.resolve(None, b"/y", Follow::Yes).unwrap();
    assert!(y.is(&files.working));
    assert_eq!(files.path_of(&x), Ok(b"/y/x".to_vec()));
    let none = RenameFlags::default();
    assert_eq!(files.rename((None, b"/y"), (None, b"x/y"), none), Err(Errno::EINVAL));
    assert_eq!(files.rename((None, b"x"), (None, b"/moved"), none), Ok(()));
    assert_eq!(files.path_of(&x), Ok(b"/moved".to_vec()));
}
