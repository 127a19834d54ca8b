//! What a log is safe from: a killed program, a full disk, and the eyes of others.

use super::*;

#[test]
fn a_killed_program_loses_nothing_it_was_told_is_written() {
    let (desk, after) = (Desk::with_bob(), Desk::new());
    let (mut log, _) = desk.open();
    log.commit([&[theirs(bobs(1)), own(mine(1), &[BOB])][..], &[theirs(bobs(2))]].into_iter(), Survives::Machine)
        .unwrap();
    for file in ["messages.db", "messages.db-wal"] {
        fs::copy(desk.folder.path().join(file), after.folder.path().join(file)).unwrap();
    }
    let conversation = after.only_conversation();
    assert_eq!((conversation.theirs[0].number, conversation.own[0].number), (2, 1));
}

#[test]
fn a_full_disk_is_said_and_writing_goes_on_when_there_is_room() {
    let desk = Desk::with_bob();
    let (mut log, _) = desk.open();
    let pages: i64 = log.connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    let limit =
        |log: &Log, pages: i64| log.connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()));
    limit(&log, pages).unwrap();
    let many: Vec<Write> = (1..=500).map(|number| theirs(bobs(number))).collect();
    let error = log.commit([&many[..]].into_iter(), Survives::Machine).unwrap_err();
    assert!(error.text.starts_with("Can't write /") && error.text.contains("the disk is full. Free some"), "{error}");
    assert!(log.read_history(TALK, 1, None).unwrap().0.is_empty());
    limit(&log, 1_000_000).unwrap();
    log.commit([&many[..]].into_iter(), Survives::Machine).unwrap();
    log.close();
    assert_eq!(desk.only_conversation().theirs[0].number, 500);
}

#[test]
#[cfg(unix)]
fn a_log_is_private() {
    let desk = Desk::with_bob();
    let (mut log, _) = desk.open();
    log.commit([&[theirs(bobs(1))][..]].into_iter(), Survives::Machine).unwrap();
    for file in ["messages.db", "messages.db-wal", "messages.db-shm"] {
        assert_eq!(files::tests::mode(&desk.folder.path().join(file)), 0o600, "{file}");
    }
}
