//! The tables of a log, as numbered migrations. A log is at number `user_version`; each further one runs in a
//! transaction of its own. Only `Log::open` calls it. A migration that has left the house is never edited.

use rusqlite::{Connection, TransactionBehavior};

use super::fault::Fault;

/// Marks a SQLite file as a log of this program: "P2Cl".
pub(super) const APPLICATION_ID: i32 = 0x5032_436c;

/// The newest number this program knows.
pub(super) const NEWEST: usize = MIGRATIONS.len();

/// Brings the log to the newest number; one from a newer program is refused and not touched.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), Fault> {
    migrate_to(connection, NEWEST)
}

/// The same, to an older number: what an older program made.
pub(super) fn migrate_to(connection: &mut Connection, number: usize) -> Result<(), Fault> {
    let present: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let present = usize::try_from(present).map_err(|_| Fault::Damaged)?;
    if present > NEWEST {
        return Err(Fault::Newer);
    }
    for (index, migration) in MIGRATIONS.iter().enumerate().take(number).skip(present) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(migration)?;
        let number = i64::try_from(index + 1).expect("there are few migrations");
        transaction.pragma_update(None, "user_version", number)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Every table but those of the index of words. Nothing is said in these that does not stand elsewhere, and SQLite
/// would put the whole index together anew to look through it, which takes longer than all the rest; one that is damaged
/// is told of by whoever searches.
pub(super) fn plain_tables(connection: &Connection) -> Result<Vec<String>, Fault> {
    let mut statement = connection.prepare(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'words' AND substr(name, 1, 6) <> 'words_'",
    )?;
    let names: Result<Vec<String>, _> = statement.query_map([], |row| row.get(0))?.collect();
    Ok(names?)
}

const MIGRATIONS: [&str; 11] = [
    FIRST,
    BORROWED,
    CHANGES_AND_STEPS,
    OPENED,
    WITHOUT_REGISTRY,
    MAIL,
    SEARCH_AND_UNREAD,
    TOLD,
    DECIDED,
    OTHER_ENTRIES,
    IDS,
];

/// What was here before counts as shown.
const TOLD: &str = "
ALTER TABLE chains ADD COLUMN told INTEGER NOT NULL DEFAULT 0; -- messages up to this number were shown
UPDATE chains SET told = coalesce((SELECT max(number) FROM events WHERE chain = chains.row), 0);
";

/// Events are found by their ids in a table of its own, which is written when there is time for it. It fills by itself.
const IDS: &str = "
DROP INDEX events_by_id;

-- Where the event of an id stands.
CREATE TABLE ids (
    id    BLOB NOT NULL,
    event INTEGER NOT NULL,         -- its row
    PRIMARY KEY (id, event)
) STRICT, WITHOUT ROWID;

-- One row: events up to this one have their ids there.
CREATE TABLE ids_kept (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    row INTEGER NOT NULL
) STRICT;
INSERT INTO ids_kept (one, row) VALUES (1, 0);
";

/// What the user decided about keys, and what waits for a decision.
const DECIDED: &str = "
ALTER TABLE pins ADD COLUMN verified INTEGER NOT NULL DEFAULT 0;  -- 1: the safety number was compared
ALTER TABLE pins ADD COLUMN accepted INTEGER;   -- when it took another key's place, milliseconds since 1970
ALTER TABLE pins ADD COLUMN shown BLOB;         -- credentials that came with the key in blocked_by, encoded

-- Mail of people who were blocked when it came.
CREATE TABLE held (
    number   INTEGER PRIMARY KEY,
    person   TEXT NOT NULL,
    identity BLOB NOT NULL,         -- whose key it came with
    at       INTEGER NOT NULL,      -- when it came, milliseconds since 1970
    content  BLOB NOT NULL          -- the opened item
) STRICT;
";

/// An owner who tells different people different things.
const OTHER_ENTRIES: &str = "
CREATE TABLE other_entries (
    room  INTEGER PRIMARY KEY REFERENCES rooms,
    entry BLOB NOT NULL             -- signed by the owner, under a number that another entry has
) STRICT;
";

/// Mail that I left, and what others seal mail for me to.
const MAIL: &str = "
-- Up to which number of my chain, and when, something was left in whose mailbox.
CREATE TABLE mailed (
    chain     INTEGER NOT NULL REFERENCES chains,
    recipient BLOB NOT NULL,
    number    INTEGER NOT NULL,
    at        INTEGER NOT NULL,     -- milliseconds since 1970
    PRIMARY KEY (chain, recipient, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE prekeys (
    number    INTEGER PRIMARY KEY,
    at        INTEGER NOT NULL,     -- when it was made, milliseconds since 1970
    salt      BLOB NOT NULL         -- with the account's keys it makes the private half
) STRICT;
";

/// A chain of somebody may begin here with another number than 1 on the word of a third.
const BORROWED: &str = "
ALTER TABLE chains ADD COLUMN borrowed INTEGER; -- the first number held; NULL once its author says the same
";
/// The tables that are read whole when a log is opened: small ones, however much is said, and in logs of every number.
pub(super) const LOADED: [&str; 9] =
    ["account", "conversations", "rooms", "entries", "members", "chains", "recipients", "acknowledged", "pins"];

/// Ids and keys are blobs of their length. Numbers beyond 2^63 exist only in what liars claim: `column` cuts them.
const FIRST: &str = "
-- One row: whose log this is.
CREATE TABLE account (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    realm  BLOB NOT NULL,
    user   TEXT NOT NULL,
    chain  BLOB NOT NULL            -- the chain that new events of mine go into
) STRICT;

CREATE TABLE conversations (
    row    INTEGER PRIMARY KEY,
    id     BLOB NOT NULL UNIQUE,
    person TEXT                     -- the other one of two; NULL in a room
) STRICT;

CREATE TABLE rooms (
    conversation INTEGER PRIMARY KEY REFERENCES conversations,
    genesis      BLOB NOT NULL,
    joined       INTEGER NOT NULL   -- 1: I am in it
) STRICT;

-- The logs of the owners of rooms.
CREATE TABLE entries (
    room  INTEGER NOT NULL REFERENCES rooms,
    place INTEGER NOT NULL,         -- from 1
    entry BLOB NOT NULL,
    PRIMARY KEY (room, place)
) STRICT, WITHOUT ROWID;

-- The newest join of each member, and the part after it.
CREATE TABLE members (
    room     INTEGER NOT NULL REFERENCES rooms,
    identity BLOB NOT NULL,
    joined   BLOB NOT NULL,         -- encoded events
    parted   BLOB,
    PRIMARY KEY (room, identity)
) STRICT, WITHOUT ROWID;

CREATE TABLE chains (
    row          INTEGER PRIMARY KEY,
    conversation INTEGER NOT NULL REFERENCES conversations,
    author       BLOB NOT NULL,
    chain        BLOB NOT NULL,
    own          INTEGER NOT NULL,  -- 1: I am the author
    number       INTEGER NOT NULL,  -- held without holes up to here
    last         BLOB,              -- id of the event there; NULL after a skip
    lamport      INTEGER NOT NULL,  -- the highest in it
    UNIQUE (conversation, author, chain)
) STRICT;

-- In order of arrival. The bytes come last: what is read without them is read without their pages.
CREATE TABLE events (
    row          INTEGER PRIMARY KEY,
    conversation INTEGER NOT NULL REFERENCES conversations,
    chain        INTEGER NOT NULL REFERENCES chains,
    number       INTEGER NOT NULL,
    id           BLOB NOT NULL,
    lamport      INTEGER NOT NULL,
    at           INTEGER NOT NULL,  -- the author's clock, milliseconds since 1970
    kind         INTEGER NOT NULL,
    late         INTEGER NOT NULL,  -- 1: it came long after it was written
    signature    BLOB,              -- NULL: a later one of the chain vouches for it
    bytes        BLOB NOT NULL,     -- exactly what was signed
    UNIQUE (chain, number)
) STRICT;

-- What a history shows, by conversation in order of arrival: texts and actions.
CREATE INDEX events_shown ON events (conversation) WHERE kind IN (1, 2);

-- For whom my events are, from one number on until the next row of the chain.
CREATE TABLE recipients (
    chain      INTEGER NOT NULL REFERENCES chains,
    since      INTEGER NOT NULL,
    identities BLOB NOT NULL,       -- sorted, 32 bytes each
    PRIMARY KEY (chain, since)
) STRICT, WITHOUT ROWID;

-- Up to which number of my chain each recipient has it on disk.
CREATE TABLE acknowledged (
    chain     INTEGER NOT NULL REFERENCES chains,
    recipient BLOB NOT NULL,
    number    INTEGER NOT NULL,
    PRIMARY KEY (chain, recipient)
) STRICT, WITHOUT ROWID;

-- The identity key each name was first seen with.
CREATE TABLE pins (
    person      TEXT PRIMARY KEY,
    identity    BLOB NOT NULL,
    credentials BLOB NOT NULL,      -- encoded, the newest seen
    blocked_by  BLOB                -- another key shown since; NULL: none
) STRICT, WITHOUT ROWID;
";

/// What was here before counts as read: nobody wants to be told of a year at once.
const SEARCH_AND_UNREAD: &str = "
-- The words of texts and actions, by the row of their event; the text itself stands in the event alone. `place` holds
-- the conversation's row and the author's key as two words, so that both narrow a search inside the index.
CREATE VIRTUAL TABLE words USING fts5(
    text, place, content = '', contentless_delete = 1,
    tokenize = \"unicode61 remove_diacritics 2 categories 'L* N* M* Co So'\"
);

-- One row: events up to this one are in the index.
CREATE TABLE indexed (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    row INTEGER NOT NULL
) STRICT;
INSERT INTO indexed (one, row) VALUES (1, 0);

-- Up to which event a conversation is read.
CREATE TABLE read (
    conversation INTEGER PRIMARY KEY REFERENCES conversations,
    row          INTEGER NOT NULL
) STRICT;
INSERT INTO read (conversation, row) SELECT conversation, max(row) FROM events GROUP BY conversation;
";

/// Messages are named by their ids from now on, changed by later events, and traced.
const CHANGES_AND_STEPS: &str = "
CREATE INDEX events_by_id ON events (id);

-- Edits, deletions and reactions, and what they are about.
CREATE TABLE changes (
    event        INTEGER PRIMARY KEY REFERENCES events,
    conversation INTEGER NOT NULL REFERENCES conversations,
    target       BLOB NOT NULL      -- id of an event that may still be to come
) STRICT;
CREATE INDEX changes_about ON changes (conversation, target);

-- When runs of events took a step, in the order in which it was noted.
CREATE TABLE steps (
    row   INTEGER PRIMARY KEY,
    chain INTEGER NOT NULL REFERENCES chains,
    step  INTEGER NOT NULL,         -- 1 sent, 2 mailed, 3 delivered, 4 received, 5 fetched
    party BLOB NOT NULL,            -- who is at the other end
    first INTEGER NOT NULL,
    last  INTEGER NOT NULL,
    at    INTEGER NOT NULL,         -- our clock, milliseconds since 1970
    route TEXT                      -- address of the link
) STRICT;
CREATE INDEX steps_of ON steps (chain, last);
CREATE INDEX steps_newest ON steps (chain, step, party);
";

const OPENED: &str = "
-- Where the log was opened last, once it was: another file or another start of the machine is noticed by it.
CREATE TABLE opened (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    boot   TEXT,                    -- the system's name for its present run; NULL: it has none
    inode  INTEGER NOT NULL,
    born   INTEGER                  -- when the file was made, nanoseconds since 1970; NULL: the disk does not say
) STRICT;
";

/// What one goes on with while the registry cannot be reached.
const WITHOUT_REGISTRY: &str = "
ALTER TABLE account ADD COLUMN certificate BLOB; -- the newest of one's own, encoded; NULL before the first sign-in

-- Where people were found, the best place first.
CREATE TABLE addresses (
    person TEXT PRIMARY KEY,
    places TEXT NOT NULL            -- addresses with ports, between spaces
) STRICT, WITHOUT ROWID;
";
