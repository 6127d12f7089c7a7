//! `wharfinger init --wipe-data`: empties the storage directory.

use super::{
    super::{complain, confirm::is_confirmed, say},
    InitArgs,
};
use crate::{
    config::{ConfigReport, Problem, Problems, StorageKind},
    files::cause,
    storage::fs::{Fs, Init},
};
use std::{fs, io, path::Path, process::ExitCode};

/// The file that makes a directory a store; deleted last, so that an interrupted wipe can be repeated.
const ROOT_FILE: &str = "ROOT.json";

/// Deletes everything in the storage directory after a confirmation, and initialises it again.
pub(in super::super) fn wipe(report: &ConfigReport, asked: &InitArgs) -> Result<ExitCode, Problems> {
    let is_of_storage = |problem: &&Problem| problem.key.as_deref().is_some_and(super::super::storage::is_named_by);
    let problems: Vec<_> = report.problems.0.iter().filter(is_of_storage).cloned().collect();
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    if report.env.storage != StorageKind::Filesystem {
        complain(format_args!(
            "only a storage directory can be wiped: empty {} by its own tools",
            report.env.storage_place()
        ));
        return Ok(ExitCode::from(2));
    }
    let path = &report.env.storage_path;
    let of_path = |message: String| Problems(vec![Problem::of_key("REGISTRY_STORAGE_PATH", message)]);
    // The lock of the store is held until everything is deleted: no daemon may use it.
    let (store, _) = Fs::open(path, Init::Never).map_err(|error| of_path(error.to_string()))?;
    let shown = path.display().to_string();
    let question =
        format_args!("This deletes every image, session and API key in {shown}.\nType the directory to confirm: ");
    if !is_confirmed(&shown, asked.confirm.as_deref(), question) {
        complain(format_args!("nothing was deleted: the storage directory was not confirmed"));
        return Ok(ExitCode::FAILURE);
    }
    if let Err(error) = empty(path) {
        complain(format_args!("cannot delete everything in {}: {}", path.display(), cause(&error)));
        return Ok(ExitCode::FAILURE);
    }
    drop(store);
    Fs::open(path, Init::EmptyDirectory).map_err(|error| of_path(error.to_string()))?;
    say(format_args!("deleted everything in {}", path.display()));
    Ok(ExitCode::SUCCESS)
}

fn empty(path: &Path) -> io::Result<()> {
    let names: Vec<_> = fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    let (root, others): (Vec<_>, Vec<_>) = names.into_iter().partition(|path| path.ends_with(ROOT_FILE));
    for path in others.iter().chain(&root) {
        match path.symlink_metadata()?.is_dir() {
            true => fs::remove_dir_all(path)?,
            false => fs::remove_file(path)?,
        }
    }
    Ok(())
}
