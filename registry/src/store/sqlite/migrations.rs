//! The tables, as numbered steps. A database knows how many it has taken (`user_version`); each step runs in a
//! transaction of its own. A step that was released is never edited: the next change is a new one.

use rusqlite::Connection;

/// Why the tables could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub(super) enum MigrationError {
    #[error("version {found} is newer than {known}")]
    Newer { found: u32, known: u32 },
    #[error(transparent)]
    Sql(#[from] rusqlite::Error),
}

/// Takes every step the database has not taken yet.
pub(super) fn run(connection: &mut Connection) -> Result<(), MigrationError> {
    let known = known();
    let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > known {
        return Err(MigrationError::Newer { found, known });
    }
    for (number, step) in (1..).zip(STEPS).skip(found as usize) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(())
}

/// How many steps this program knows.
pub(super) fn known() -> u32 {
    u32::try_from(STEPS.len()).expect("there are few steps")
}

const STEPS: &[&str] = &[FIRST, MAILBOX, OVERSIGHT, MODERATION, ROTATION];

const FIRST: &str = "
    CREATE TABLE meta (
        key         TEXT PRIMARY KEY,       -- 'realm': the realm these tables belong to
        value       BLOB NOT NULL
    ) STRICT;

    CREATE TABLE account (
        name        TEXT PRIMARY KEY,
        identity    BLOB NOT NULL UNIQUE,   -- Ed25519 public key A
        password    TEXT NOT NULL,          -- bcrypt of K_auth
        created     INTEGER NOT NULL,       -- milliseconds since 1970
        last_seen   INTEGER                 -- end of the last session
    ) STRICT;

    CREATE TABLE device (
        key         BLOB PRIMARY KEY,       -- X25519 public key D
        account     TEXT NOT NULL REFERENCES account (name),
        number      INTEGER NOT NULL,       -- counts an account's devices from 1
        statement   BLOB NOT NULL,          -- signed by A
        UNIQUE (account, number)
    ) STRICT;

    CREATE TABLE room (
        id          BLOB PRIMARY KEY,       -- hash of the genesis
        name        TEXT NOT NULL UNIQUE,   -- with its '#'; handed out once
        owner       TEXT NOT NULL REFERENCES account (name),
        private     INTEGER NOT NULL,       -- 0 or 1
        genesis     BLOB NOT NULL,          -- signed by the owner
        topic       TEXT NOT NULL           -- of the last entry that set one
    ) STRICT;
    CREATE INDEX room_owner ON room (owner);

    CREATE TABLE member (
        room        BLOB NOT NULL REFERENCES room (id),
        account     TEXT NOT NULL REFERENCES account (name),
        joined      BLOB NOT NULL,          -- the signed join
        parted      BLOB,                   -- the signed part, once they left
        PRIMARY KEY (room, account)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX member_account ON member (account) WHERE parted IS NULL;

    CREATE TABLE entry (
        room        BLOB NOT NULL REFERENCES room (id),
        number      INTEGER NOT NULL,       -- from 1, without holes
        signed      BLOB NOT NULL,          -- by the owner
        PRIMARY KEY (room, number)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE invite (
        room        BLOB NOT NULL REFERENCES room (id),
        account     TEXT NOT NULL REFERENCES account (name),
        signed      BLOB NOT NULL,          -- by the owner
        expires     INTEGER NOT NULL,       -- milliseconds since 1970
        open        INTEGER NOT NULL,       -- 0 once used or declined
        PRIMARY KEY (room, account)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX invite_account ON invite (account) WHERE open = 1;
";

const MODERATION: &str = "
    ALTER TABLE room ADD COLUMN keeper TEXT REFERENCES account (name);  -- owns it now; NULL: the founder, `owner`
    ALTER TABLE room ADD COLUMN closed INTEGER NOT NULL DEFAULT 0;      -- 1: nobody is or will be in it
    ALTER TABLE member ADD COLUMN removed INTEGER;                      -- number of the entry that ended it

    CREATE TABLE transfer (
        room        BLOB NOT NULL REFERENCES room (id),
        number      INTEGER NOT NULL,       -- of the entry
        identity    BLOB NOT NULL,          -- who owns the room from then on
        PRIMARY KEY (room, number)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE standing (
        room        BLOB NOT NULL REFERENCES room (id),
        account     TEXT NOT NULL REFERENCES account (name),
        ended       INTEGER NOT NULL,       -- joins signed before this entry was known count no more
        banned      INTEGER NOT NULL,       -- 0 or 1
        PRIMARY KEY (room, account)
    ) STRICT, WITHOUT ROWID;
";

const ROTATION: &str = "
    CREATE TABLE rotation (
        room        BLOB NOT NULL REFERENCES room (id),
        number      INTEGER NOT NULL,       -- of the entry
        key         BLOB NOT NULL,          -- what its owner signs with from then on
        PRIMARY KEY (room, number)
    ) STRICT, WITHOUT ROWID;
";

const MAILBOX: &str = "
    CREATE TABLE prekey (
        account     TEXT PRIMARY KEY REFERENCES account (name),
        signed      BLOB NOT NULL           -- what mail for them is sealed to, signed by A
    ) STRICT;

    CREATE TABLE mail (
        id          INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used twice: it is what the recipient drops
        account     TEXT NOT NULL REFERENCES account (name),    -- the recipient
        sender      TEXT NOT NULL REFERENCES account (name),    -- counted, and told to nobody
        kept        INTEGER NOT NULL,       -- milliseconds since 1970
        item        BLOB NOT NULL           -- sealed to the recipient
    ) STRICT;
    CREATE INDEX mail_account ON mail (account, id);
    CREATE INDEX mail_kept ON mail (kept);
";

const OVERSIGHT: &str = "
    ALTER TABLE account ADD COLUMN suspended INTEGER NOT NULL DEFAULT 0;    -- 1: the operator lets nobody sign in

    CREATE TABLE token (
        name        TEXT PRIMARY KEY,       -- of an account to come, or to begin anew
        digest      BLOB NOT NULL,          -- what the token is known by; itself it is nowhere
        expires     INTEGER NOT NULL        -- milliseconds since 1970
    ) STRICT;

    CREATE INDEX mail_sender ON mail (sender);
";
