//! A log that cannot be trusted is told of and left as it is; nothing empty ever takes its place.

use super::*;

#[test]
fn a_log_that_is_not_good_is_refused_and_left_as_it_is() {
    type Harm = fn(&Path);
    let harms: [(&str, &str, Harm); 7] = [
        ("empty", "is damaged", |path| fs::write(path, b"").unwrap()),
        ("text", "is damaged", |path| fs::write(path, "dear diary, ".repeat(1000)).unwrap()),
        ("half", "is damaged", |path| {
            let whole = fs::read(path).unwrap();
            fs::write(path, &whole[..whole.len() / 2]).unwrap();
        }),
        ("a bad page", "is damaged", |path| {
            let mut content = fs::read(path).unwrap();
            let middle = content.len() / 2 / 4096 * 4096;
            content[middle..middle + 64].fill(0xee);
            fs::write(path, content).unwrap();
        }),
        ("another program's", "not a log of this program", |path| sql(path, "PRAGMA application_id = 7")),
        ("a newer one", "newer version", |path| sql(path, "PRAGMA user_version = 99")),
        ("another account's", "another account", |path| sql(path, "UPDATE account SET user = 'mallory'")),
    ];
    for (what, said, harm) in harms {
        let desk = Desk::with_bob();
        desk.write(&(1..=200).map(|number| theirs(bobs(number))).collect::<Vec<_>>());
        harm(&desk.path());
        let before = fs::read(desk.path()).unwrap();
        let error = desk.try_open().unwrap_err();
        assert!(error.text.starts_with("Can't open /") && error.text.contains(said), "{what}: {error}");
        assert_eq!(fs::read(desk.path()).unwrap(), before, "{what}");
    }
}

#[test]
fn the_journal_of_a_lost_log_is_kept() {
    let harms: [fn(&Path); 2] = [|path| fs::write(path, b"").unwrap(), |path| fs::remove_file(path).unwrap()];
    for harm in harms {
        let (desk, after) = (Desk::with_bob(), Desk::new());
        let (mut log, _) = desk.open();
        log.commit([&[theirs(bobs(1))][..]].into_iter(), Survives::Machine).unwrap();
        for file in ["messages.db", "messages.db-wal"] {
            fs::copy(desk.folder.path().join(file), after.folder.path().join(file)).unwrap();
        }
        harm(&after.path());
        let journal = with_suffix(&after.path(), "-wal");
        let before = fs::read(&journal).unwrap();
        after.try_open().unwrap_err();
        assert_eq!(fs::read(&journal).unwrap(), before);
        fs::copy(desk.path(), after.path()).unwrap();
        assert_eq!(after.only_conversation().theirs[0].number, 1);
    }
}

#[test]
fn a_large_log_opens_without_being_read_and_tells_of_damage_where_it_is_read() {
    let desk = Desk::with_bob();
    let long = "x".repeat(16 * 1024 - 100);
    desk.write(&(1..=600).map(|number| theirs(stored(BOB, BOBS, number, &long))).collect::<Vec<_>>());
    let whole = fs::read(desk.path()).unwrap();
    assert!(i64::try_from(whole.len()).unwrap() > CHECKED_WHOLE_BYTES_MAX);
    let root = |table: &str| -> i32 {
        let connection = Connection::open(desk.path()).unwrap();
        connection.query_row("SELECT rootpage FROM sqlite_schema WHERE name = ?1", [table], |row| row.get(0)).unwrap()
    };
    let with_bad_page = |page: i32| {
        let mut content = whole.clone();
        content[usize::try_from(page - 1).unwrap() * 4096..][..64].fill(0xee);
        fs::write(desk.path(), content).unwrap();
    };
    for table in schema::LOADED {
        with_bad_page(root(table));
        let error = desk.try_open().unwrap_err();
        assert!(error.text.contains("is damaged"), "{table}: {error}");
        fs::write(desk.path(), &whole).unwrap();
    }
    fs::write(desk.path(), &whole[..whole.len() / 2]).unwrap();
    assert!(desk.try_open().unwrap_err().text.contains("is damaged"));
    fs::write(desk.path(), &whole).unwrap();
    with_bad_page(root("events"));
    let (mut log, loaded) = desk.open();
    assert_eq!(loaded.conversations[0].theirs[0].number, 600);
    let error = log.read_chain(&chain_of(BOB, BOBS)).unwrap_err();
    assert!(error.text.starts_with("Can't read /") && error.text.contains("is damaged"), "{error}");
    let error = log.commit([&[theirs(bobs(601))][..]].into_iter(), Survives::Machine).unwrap_err();
    assert!(error.text.starts_with("Can't write /") && error.text.contains("is damaged"), "{error}");
}

#[test]
fn what_the_system_failed_to_write_out_is_written_again_before_anything_more_is_promised() {
    let desk = Desk::with_bob();
    let (mut log, _) = desk.open();
    let say = |log: &mut Log, number, survives| log.commit([&[own(mine(number), &[BOB])][..]].into_iter(), survives);
    say(&mut log, 1, Survives::Program).unwrap();
    // Linux cannot write this one out.
    let journal = std::mem::replace(&mut log.journal, File::open("/dev/full").unwrap());
    log.commit(std::iter::empty(), Survives::Machine).unwrap_err();
    log.journal = journal;
    say(&mut log, 2, Survives::Machine).unwrap();
    // What a machine would find whose journal never reached the disk.
    let found = Desk::new();
    fs::copy(desk.path(), found.path()).unwrap();
    assert_eq!(found.only_conversation().own[0].number, 1);
    log.commit(std::iter::empty(), Survives::Machine).unwrap();
    log.close();
}

#[test]
fn a_log_half_made_when_the_program_died_is_made_again() {
    let desk = Desk::new();
    fs::write(with_suffix(&desk.path(), ".part"), b"SQLite form").unwrap();
    assert!(desk.load().conversations.is_empty());
    let names = files::names_in(desk.folder.path()).unwrap();
    assert_eq!(names, ["messages.db", "messages.db.closed"]);
    assert_eq!(Log::open(desk.folder.path(), &REALM, &name("alice"), &BOBS).unwrap().1.chain, MINE, "kept for ever");
}
