//! The file that a command runs.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// Where `name` is: beside the agents file if it has a `/`, else in `path`. Says why it cannot be run.
pub(super) fn find(name: &str, directory: &Path, path: &str) -> Result<PathBuf, String> {
    if name.contains('/') {
        let program = directory.join(name);
        return look(&program).map(|()| program);
    }
    // As the child would: its working directory is the file's.
    let places =
        path.split(':').filter(|place| !place.is_empty()).map(|place| directory.join(place).join(name));
    places.into_iter().find(|program| look(program).is_ok()).ok_or_else(|| {
        let shown = name.escape_debug();
        match directory.join(name).is_file() {
            true => format!("no program `{shown}` in PATH: write ./{shown} for the file beside this one"),
            false => format!("no program `{shown}` in PATH: install it, or write its path"),
        }
    })
}

fn look(program: &Path) -> Result<(), String> {
    let shown = program.display();
    match fs::metadata(program) {
        Ok(found) if found.is_dir() => Err(format!("{shown} is a folder, not a program")),
        Ok(found) if found.permissions().mode() & 0o111 == 0 => {
            Err(format!("{shown} is not executable: `chmod +x` it, or name what runs it before it"))
        }
        Ok(_) => Ok(()),
        Err(err) if err.kind() == io::ErrorKind::NotFound => Err(format!("there is no {shown}")),
        Err(err) => Err(format!("{shown} cannot be read: {err}")),
    }
}
