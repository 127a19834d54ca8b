//! What a peer has kept on its disk, read past the program, which has ended.

use common::message::event::{Content, WireEvent};
use common::secure::certificate::{Certificate, Credentials};
use common::secure::sign::Signed;
use common::wire::bounded::Blob;
use common::wire::codec;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::launch::Launch;

pub struct Kept(Connection);

/// Under which keys a name is known.
pub struct Pinned {
    pub credentials: Credentials,
    pub is_blocked: bool,
}

impl Kept {
    /// The log of whoever was launched so.
    pub fn of(launch: &Launch) -> Self {
        let realms = std::fs::read_dir(launch.data_dir().join("accounts")).expect("there are accounts");
        let logs = realms.flatten().map(|realm| realm.path().join(&launch.name).join("messages.db"));
        let path = logs.into_iter().find(|path| path.exists()).expect("there is a log");
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Self(Connection::open_with_flags(path, flags).expect("the log opens"))
    }

    /// Every text in it, of whomever, in order of arrival.
    pub fn texts(&self) -> Vec<String> {
        let mut statement = self.0.prepare("SELECT bytes FROM events ORDER BY row").expect("the log has events");
        let rows = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).expect("they can be read");
        let text = |bytes: Vec<u8>| {
            let event = WireEvent { bytes: Blob::new(bytes).ok()?, signature: None };
            match event.claim().ok()?.content().ok()? {
                Content::Text(text) | Content::Action(text) | Content::Edit { text, .. } => Some(text),
                _ => None,
            }
        };
        rows.filter_map(|bytes| text(bytes.expect("a row"))).collect()
    }

    /// What is kept of somebody.
    pub fn pin(&self, person: &str) -> Option<Pinned> {
        let row = self.0.query_row("SELECT credentials, blocked_by FROM pins WHERE person = ?1", [person], |row| {
            Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Option<Vec<u8>>>(1)?))
        });
        let (credentials, blocked_by) = row.optional().expect("pins can be read")?;
        let credentials = codec::decode(&credentials).expect("credentials were kept");
        Some(Pinned { credentials, is_blocked: blocked_by.is_some() })
    }

    /// The owner's own certificate.
    pub fn certificate(&self) -> Certificate {
        let row = self.0.query_row("SELECT certificate FROM account", [], |row| row.get::<_, Vec<u8>>(0));
        let certificate = Signed::<Certificate>::from_bytes(&row.expect("it was kept")).expect("it is one");
        certificate.claim().expect("it is one")
    }

    /// How many messages of the newest `count` have these words: a question to the index, as it stands.
    pub fn newest_with(&self, words: &str, count: u32) -> usize {
        let select = "SELECT rowid FROM words WHERE words MATCH ?1 ORDER BY rowid DESC LIMIT ?2";
        let mut statement = self.0.prepare_cached(select).expect("the log has an index");
        let rows = statement.query_map((words, count), |row| row.get::<_, i64>(0)).expect("the index can be asked");
        rows.collect::<Result<Vec<_>, _>>().expect("the index is whole").len()
    }

    /// How many rooms there are.
    pub fn rooms(&self) -> u32 {
        self.0.query_row("SELECT count(*) FROM rooms", [], |row| row.get(0)).expect("rooms can be counted")
    }
}
