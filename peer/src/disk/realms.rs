//! The file `realms` of a profile: which root key each registry showed, one line each, the one used last at the end.
//! Only the profile calls it. A file that cannot be read whole is an error and never written over.

use std::fmt::Write;
use std::path::Path;

use common::ids::RootKey;

use super::files;
use crate::ports::DiskError;

/// The lines of the file, in their order.
#[derive(Debug, Default)]
pub(super) struct Realms(Vec<(String, RootKey)>);

impl Realms {
    /// What the file holds; nothing if there is no file.
    pub(super) fn read(path: &Path) -> Result<Self, DiskError> {
        let Some(content) = files::read_bounded(path, REALMS_BYTES_MAX)? else { return Ok(Self::default()) };
        let damaged = |what: &str| DiskError {
            text: format!(
                "Can't read {}: {what}. It was left as it is: mend it, or move it away and compare the fingerprint of \
                 each registry anew.",
                path.display()
            ),
        };
        if content.len() as u64 > REALMS_BYTES_MAX {
            return Err(damaged("it is far too long"));
        }
        let text = String::from_utf8(content).map_err(|_| damaged("it is not text"))?;
        let mut realms = Vec::new();
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let realm = parse(line);
            realms.push(realm.ok_or_else(|| damaged(&format!("line {} is not an address and a root key", index + 1)))?);
        }
        Ok(Self(realms))
    }

    pub(super) fn root(&self, registry: &str) -> Option<RootKey> {
        self.0.iter().find(|(known, _)| known == registry).map(|&(_, root)| root)
    }

    pub(super) fn last(&self) -> Option<&str> {
        self.0.last().map(|(registry, _)| registry.as_str())
    }

    /// Puts the registry last. One that is known by another root is refused: nothing here forgets a key.
    pub(super) fn use_now(&mut self, registry: &str, root: RootKey) -> Result<(), DiskError> {
        if registry.is_empty() || registry.starts_with('#') || registry.contains(char::is_whitespace) {
            return Err(DiskError { text: format!("Can't keep {registry:?} as the address of a registry.") });
        }
        if self.root(registry).is_some_and(|known| known != root) {
            return Err(DiskError {
                text: format!("The registry {registry} is known by another root key. That one is kept."),
            });
        }
        self.0.retain(|(known, _)| known != registry);
        self.0.push((registry.to_owned(), root));
        Ok(())
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), DiskError> {
        let mut text = String::from(HEADING);
        for (registry, root) in &self.0 {
            writeln!(text, "{registry} {root}").expect("writing to a string cannot fail");
        }
        Ok(files::write_private(path, text.as_bytes())?)
    }
}

fn parse(line: &str) -> Option<(String, RootKey)> {
    let (registry, root) = line.split_once(' ')?;
    Some((registry.to_owned(), RootKey::from_hex(root)?))
}

const HEADING: &str = "# Registries and the root key each showed first. The last line was used last.\n";

/// Some ten thousand registries: far more than anybody uses, and little to read.
const REALMS_BYTES_MAX: u64 = 1024 * 1024;
