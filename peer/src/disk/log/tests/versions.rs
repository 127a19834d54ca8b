//! A log of every older version of the program opens, with everything that is in it.

use rusqlite::{Connection, params};

use super::super::{account, schema};
use super::*;

/// What the first version of the program wrote, in tables of version `number`.
fn old_log(desk: &Desk, number: usize) {
    let mut connection = Connection::open(desk.path()).unwrap();
    schema::migrate_to(&mut connection, number).unwrap();
    let event = bobs(1);
    let insert = |sql: &str, parameters: &[&dyn rusqlite::ToSql]| connection.execute(sql, parameters).unwrap();
    insert(
        "INSERT INTO account (one, realm, user, chain) VALUES (1, ?1, 'alice', ?2)",
        params![REALM.as_bytes(), MINE.as_bytes()],
    );
    insert("INSERT INTO conversations (row, id, person) VALUES (1, ?1, 'bob')", params![TALK.as_bytes()]);
    insert(
        "INSERT INTO chains (row, conversation, author, chain, own, number, last, lamport)
         VALUES (1, 1, ?1, ?2, 0, 1, ?3, 10)",
        params![BOB.as_bytes(), BOBS.as_bytes(), event.id.as_bytes()],
    );
    insert(
        "INSERT INTO events (conversation, chain, number, id, lamport, at, kind, late, signature, bytes)
         VALUES (1, 1, 1, ?1, 10, 1000, 1, 0, NULL, ?2)",
        params![event.id.as_bytes(), &*event.wire.bytes],
    );
    connection.close().unwrap();
}

#[test]
fn a_log_of_any_older_version_opens_and_goes_on() {
    for number in 1..=schema::NEWEST {
        let desk = Desk::new();
        old_log(&desk, number);
        desk.write(&[Write::Event { event: Box::new(bobs(2)), recipients: None }]);
        let chains = desk.only_conversation().theirs;
        assert_eq!(chains.iter().map(|chain| chain.number).collect::<Vec<_>>(), [2], "version {number}");
        let (log, _) = desk.open();
        let (events, _) = log.read_history(TALK, 10, None).unwrap();
        assert_eq!(events.len(), 2, "version {number}");
        let (known, _) = log.read_events(&Wanted::Ids(vec![events[0].id])).unwrap();
        assert_eq!(known.len(), 1, "version {number}");
        log.close();
        let again = Connection::open(desk.path()).unwrap();
        account::load(&again, &REALM, &name("alice")).unwrap();
    }
}
