//! Orders to a registry, whether it runs or not: handed over through its control socket, or carried out here on its
//! folder. The same code answers either way.

#![expect(clippy::disallowed_methods, reason = "there is no server here to give the service its time and randomness")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use common::ids::SignUpToken;
use common::time::{Monotonic, Now, UnixMillis};

use crate::server::{self, ControlError};
use crate::service::{Limits, Order, Service};
use crate::store::folder::{self, Folder, FolderError};
use crate::store::sqlite::{OpenError, SqliteStore};

/// Why an order was not carried out, in a line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("{0}")]
    Refused(String),
}

/// What a registry says; or what its folder does, where none is running.
pub fn carry_out(data_dir: &Path, limits: &Limits, order: &Order) -> Result<Vec<String>, OperatorError> {
    match ask_running(data_dir, order)? {
        Some(lines) => Ok(lines),
        None => on_folder(data_dir, limits, order),
    }
}

/// What a running registry says; `None` if there is none.
pub fn ask_running(data_dir: &Path, order: &Order) -> Result<Option<Vec<String>>, OperatorError> {
    // Says so if there is no registry at all.
    folder::realm_of(data_dir)?;
    Ok(server::ask(&folder::control_of(data_dir), order)?)
}

fn on_folder(data_dir: &Path, limits: &Limits, order: &Order) -> Result<Vec<String>, OperatorError> {
    let folder = Folder::open(data_dir)?;
    let keys = folder.keys()?;
    let store = Arc::new(SqliteStore::open(&folder.database()?, &keys.realm())?);
    let service = Service::new(store, keys, limits);
    let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let now = Now { monotonic: Monotonic(0), wall: UnixMillis(u64::try_from(wall.as_millis()).unwrap_or(u64::MAX)) };
    let mut random = [0; SignUpToken::LENGTH];
    getrandom::fill(&mut random).expect("the operating system has random bytes");
    let obeyed = service.obey(now, order, random);
    // Nobody is online, so there is nobody to be told.
    obeyed
        .map(|obeyed| obeyed.lines)
        .map_err(|failure| OperatorError::Refused(failure.into_refusal().text.as_str().to_owned()))
}
