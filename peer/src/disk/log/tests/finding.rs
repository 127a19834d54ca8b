//! Searching, what is unread, and pages for a copy: over real events in a real file.

use common::message::event::{Content, Event, KIND_PART};

use super::*;
use crate::disk::log::{Progress, Search};
use crate::ports::{Answer, FOUND_MAX, FoundEvent, MENTIONS_MAX, SearchFor, UNREAD_COUNTED_MAX, UnreadEvents};

const PLANS: ConversationId = ConversationId([2; 32]);

/// An event that says something.
fn said(conversation: ConversationId, author: IdentityKey, number: u64, text: &str) -> StoredEvent {
    let (kind, body) = Content::Text(text.to_owned()).encode().unwrap();
    let chain = if author == ME { MINE } else { ChainId([author.0[0]; 16]) };
    let (at, lamport) = (UnixMillis(number * 1000), number);
    let event = Event {
        conversation,
        author,
        chain,
        number,
        previous: NO_EVENT,
        parents: Default::default(),
        head: 0,
        lamport,
        at,
        kind,
        body,
    };
    let wire = event.sign(keys(1).event_signer());
    StoredEvent { conversation, author, chain, number, id: wire.id(), lamport, at, kind, late: false, wire }
}

/// A log with two conversations: Bob's lines and mine in one, Carol's in the other.
fn desk_with(lines: &[(ConversationId, IdentityKey, &str)]) -> Desk {
    let desk = Desk::with_bob();
    desk.write(&[Write::Conversation { id: PLANS, with: name("carol") }]);
    let numbered = |index: usize, place: (ConversationId, IdentityKey)| {
        lines[..=index].iter().filter(|(conversation, author, _)| (*conversation, *author) == place).count() as u64
    };
    let writes: Vec<Write> = lines
        .iter()
        .enumerate()
        .map(|(index, (conversation, author, text))| {
            let event = said(*conversation, *author, numbered(index, (*conversation, *author)), text);
            if *author == ME { own(event, &[BOB]) } else { theirs(event) }
        })
        .collect();
    desk.write(&writes);
    desk
}

fn texts<'a>(events: impl IntoIterator<Item = &'a StoredEvent>) -> Vec<String> {
    let text = |event: &StoredEvent| match event.wire.claim().unwrap().content().unwrap() {
        Content::Text(text) => text,
        other => panic!("{other:?}"),
    };
    events.into_iter().map(text).collect()
}

fn wanted(words: &[&str]) -> SearchFor {
    SearchFor { words: words.iter().map(|word| (*word).to_owned()).collect(), ..SearchFor::default() }
}

fn search(log: &Log, wanted: SearchFor) -> Vec<FoundEvent> {
    let mut search: Search = Log::begin_search(wanted);
    while log.search_chunk(&mut search).unwrap() == Progress::More {}
    let Answer::Found { found, .. } = log.found(&search).unwrap() else { panic!("not what was asked") };
    found
}

fn found(log: &Log, words: &[&str]) -> Vec<String> {
    texts(search(log, wanted(words)).iter().map(|found| &found.event))
}

fn unread(log: &Log, conversation: Option<ConversationId>, lines: u32) -> Vec<UnreadEvents> {
    let Answer::Unread { unread, .. } = log.unread(&name("alice"), conversation, lines).unwrap() else {
        panic!("not what was asked")
    };
    unread
}

fn index_all(log: &mut Log) {
    while log.index_chunk().unwrap() == Progress::More {}
}

fn indexed(lines: &[(ConversationId, IdentityKey, &str)]) -> (Desk, Log) {
    let desk = desk_with(lines);
    let (mut log, _) = desk.open();
    index_all(&mut log);
    (desk, log)
}

#[test]
fn texts_are_found_in_every_script_and_whatever_is_typed() {
    let lines = [
        "The deploy is GREEN, finally",
        "Café Zürich at 5\" or \"quoted\" -- x*",
        "明日は東京に行きます",
        "我们在北京开会",
        "สวัสดีครับ ประชุมพรุ่งนี้",
        "서버가 죽었어요",
        "Привет, мир",
        "ship it 🚀❤\u{fe0f}",
        "हिन्दी में लिखा",
    ];
    let all: Vec<_> = lines.iter().map(|line| (TALK, BOB, *line)).collect();
    let (_desk, log) = indexed(&all);
    let at = |words: &[&str]| -> Vec<usize> {
        let found = found(&log, words);
        found.iter().map(|text| lines.iter().position(|line| line == text).unwrap()).collect()
    };
    for (words, expected) in [
        (&["deploy"][..], &[0_usize][..]),
        (&["green", "THE"], &[0]),
        (&["finally", "depl"], &[0]),
        (&["depl", "finally"], &[]),
        (&["is green"], &[0]),
        (&["green is"], &[]),
        (&["cafe", "zurich"], &[1]),
        (&["5\"", "\"quoted\""], &[1]),
        (&["x*"], &[1]),
        (&["東京"], &[2]),
        (&["京東"], &[]),
        (&["京"], &[2, 3]),
        (&["北京开会"], &[3]),
        (&["ประชุม"], &[4]),
        (&["พรุ่งนี้", "สวัสดี"], &[4]),
        (&["서버"], &[5]),
        (&["ПРИВ"], &[6]),
        (&["🚀"], &[7]),
        (&["❤"], &[7]),
        (&["❤\u{fe0f}"], &[7]),
        (&["हिन्दी"], &[8]),
        (&["deploy OR cafe"], &[]),
        (&["text", ":", "deploy"], &[]),
        (&["NEAR(deploy", "green)"], &[]),
        (&["-", "*"], &[]),
        (&["deploy\u{0}"], &[0]),
        (&["^deploy"], &[0]),
        (&["(", ")", "{x}:"], &[1]),
    ] {
        assert_eq!(at(words), expected, "{words:?}");
    }
}

#[test]
fn a_word_that_was_only_begun_is_found_among_few_words_and_among_many() {
    let many: Vec<String> = (0..40).map(|number| format!("word{number}")).collect();
    let few = ["Release it", "released", "the relay", "reel", "unreleased"];
    let lines: Vec<_> = few.into_iter().chain(many.iter().map(String::as_str)).map(|line| (TALK, BOB, line)).collect();
    let desk = desk_with(&lines);
    let (mut log, _) = desk.open();
    let mut before_all_is_indexed = Log::begin_search(wanted(&["rel"]));
    index_all(&mut log);
    assert_eq!(log.search_chunk(&mut before_all_is_indexed).unwrap(), Progress::Done);
    let Answer::Found { found: late, .. } = log.found(&before_all_is_indexed).unwrap() else { panic!("not found") };
    assert_eq!(late.len(), 3, "words of what was indexed since are looked up too");
    assert_eq!(found(&log, &["rel"]), few[..3]);
    assert_eq!(found(&log, &["RELEASE"]), few[..2]);
    assert_eq!(found(&log, &["the", "rel"]), few[2..3]);
    assert_eq!(found(&log, &["word"]), many, "more words than are looked up one by one");
    assert_eq!(found(&log, &["word1"]).len(), 11);
    assert!(found(&log, &["rex"]).is_empty());
}

#[test]
fn a_search_narrows_by_person_conversation_and_time_and_shows_the_newest() {
    let mut lines: Vec<(ConversationId, IdentityKey, &str)> = vec![(PLANS, CAROL, "hello"); 60];
    lines.extend([(TALK, BOB, "hello"), (TALK, ME, "hello"), (TALK, BOB, "bye"), (PLANS, BOB, "hello")]);
    let (_desk, log) = indexed(&lines);
    let count = |narrowed: &dyn Fn(&mut SearchFor)| {
        let mut wanted = wanted(&["hello"]);
        narrowed(&mut wanted);
        search(&log, wanted).len()
    };
    assert_eq!(count(&|_| ()), FOUND_MAX, "the newest of them");
    assert_eq!(count(&|wanted| wanted.authors = Some(vec![BOB])), 2);
    assert_eq!(count(&|wanted| wanted.authors = Some(vec![BOB, ME])), 3);
    assert_eq!(count(&|wanted| wanted.authors = Some(Vec::new())), 0);
    assert_eq!(count(&|wanted| wanted.conversation = Some(TALK)), 2);
    assert_eq!(count(&|wanted| wanted.conversation = Some(ConversationId([9; 32]))), 0);
    assert_eq!(count(&|wanted| wanted.after = Some(UnixMillis(59_000))), 2);
    assert_eq!(count(&|wanted| wanted.before = Some(UnixMillis(2_000))), 4);
    let newest = search(&log, SearchFor { conversation: Some(PLANS), ..wanted(&["hello"]) });
    let times: Vec<u64> = newest.iter().map(|found| found.event.at.0 / 1000).collect();
    let expected: Vec<u64> = (12..=60).chain([1]).collect();
    assert_eq!(times, expected, "oldest first, in order of arrival");
}

#[test]
fn what_was_found_comes_with_the_lines_around_it() {
    let (_desk, log) = indexed(&[
        (TALK, BOB, "one"),
        (TALK, ME, "two"),
        (PLANS, CAROL, "elsewhere"),
        (TALK, BOB, "wanted"),
        (TALK, ME, "four"),
    ]);
    let found = search(&log, SearchFor { context: 2, ..wanted(&["wanted"]) }).remove(0);
    assert_eq!(texts(&found.before), ["one", "two"]);
    assert_eq!(texts(&found.after), ["four"]);
}

#[test]
fn the_index_follows_in_chunks_and_goes_on_after_a_restart() {
    let desk = desk_with(&vec![(TALK, BOB, "many"); 700]);
    let (mut log, _) = desk.open();
    assert!(found(&log, &["many"]).is_empty(), "nothing is in the index yet");
    assert_eq!(log.index_chunk().unwrap(), Progress::More);
    log.close();
    desk.write(&[theirs(said(TALK, BOB, 701, "the last"))]);
    let (mut log, _) = desk.open();
    assert_eq!(log.index_chunk().unwrap(), Progress::Done);
    assert_eq!(log.index_chunk().unwrap(), Progress::Done, "nothing is left");
    assert_eq!(found(&log, &["last"]), ["the last"]);
    let first = SearchFor { before: Some(UnixMillis(2_000)), ..wanted(&["many"]) };
    assert_eq!(search(&log, first).len(), 1, "the first chunk was kept");
}

/// A change by somebody, in the chain that `said` gives them.
fn change(author: IdentityKey, number: u64, content: &Content) -> StoredEvent {
    let (kind, body) = content.encode().unwrap();
    let plain = said(TALK, author, number, "");
    let event = Event { kind, body, ..plain.wire.claim().unwrap() };
    let wire = event.sign(keys(1).event_signer());
    StoredEvent { id: wire.id(), kind, wire, ..plain }
}

#[test]
fn what_is_found_is_what_a_message_says_by_now() {
    let desk = desk_with(&[(TALK, BOB, "typo"), (TALK, BOB, "gone"), (TALK, BOB, "stays")]);
    desk.write(&[theirs(StoredEvent { kind: KIND_PART, ..said(TALK, CAROL, 1, "a reason") })]);
    let (mut log, _) = desk.open();
    index_all(&mut log);
    assert!(found(&log, &["reason"]).is_empty());
    assert_eq!(found(&log, &["typo"]), ["typo"]);
    log.close();
    let [typo, gone, stays] =
        [(1, "typo"), (2, "gone"), (3, "stays")].map(|(number, text)| said(TALK, BOB, number, text).id);
    let edit = |target, text: &str| Content::Edit { target, text: text.to_owned() };
    let late = said(TALK, ME, 1, "late");
    let changes = [
        change(BOB, 5, &edit(typo, "corrected")),
        change(BOB, 4, &edit(typo, "older")),
        change(BOB, 6, &Content::Delete { target: gone }),
        change(BOB, 7, &edit(gone, "back again")),
        change(CAROL, 2, &edit(stays, "forged")),
        change(CAROL, 3, &Content::Delete { target: stays }),
    ];
    desk.write(&changes.map(theirs));
    let (mut log, _) = desk.open();
    index_all(&mut log);
    for word in ["typo", "older", "gone", "back", "forged"] {
        assert!(found(&log, &[word]).is_empty(), "{word}");
    }
    assert_eq!(found(&log, &["corrected"]), ["typo"], "the event itself is what it was");
    assert_eq!(found(&log, &["stays"]), ["stays"], "others change nothing");
    log.close();
    desk.write(&[theirs(change(CAROL, 4, &edit(late.id, "never"))), own(late, &[BOB])]);
    let (mut log, _) = desk.open();
    index_all(&mut log);
    assert_eq!(found(&log, &["late"]), ["late"]);
}

#[test]
fn a_change_that_came_before_its_message_counts_and_all_come_with_what_is_found() {
    let desk = desk_with(&[]);
    let early = said(TALK, BOB, 2, "frist");
    let edit = change(BOB, 1, &Content::Edit { target: early.id, text: "first, alice".to_owned() });
    desk.write(&[theirs(edit.clone()), theirs(early)]);
    let (mut log, _) = desk.open();
    index_all(&mut log);
    assert!(found(&log, &["frist"]).is_empty());
    let mut search = Log::begin_search(wanted(&["first"]));
    while log.search_chunk(&mut search).unwrap() == Progress::More {}
    let Answer::Found { found, changes } = log.found(&search).unwrap() else { panic!("not what was asked") };
    assert_eq!((found.len(), changes), (1, vec![edit.clone()]));
    let Answer::Unread { unread, changes } = log.unread(&name("alice"), None, 1).unwrap() else { panic!("no unread") };
    assert_eq!((unread[0].count, unread[0].mentions), (1, 1), "named in what it says by now");
    assert!(changes.contains(&edit));
    let mut page = log.first_page(None, None).unwrap();
    let Answer::ExportPage { events, changes } = log.next_page(&mut page).unwrap() else { panic!("no page") };
    assert_eq!((events.len(), changes), (1, vec![edit]));
}

#[test]
fn a_damaged_index_keeps_nobody_from_a_log_and_is_told_by_a_search() {
    let (desk, log) = indexed(&[(TALK, BOB, "hello")]);
    log.close();
    let page: i32 = Connection::open(desk.path())
        .unwrap()
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'words_data'", [], |row| row.get(0))
        .unwrap();
    let mut content = fs::read(desk.path()).unwrap();
    content[usize::try_from(page - 1).unwrap() * 4096..][..4096].fill(0xee);
    fs::write(desk.path(), content).unwrap();
    let (log, _) = desk.open();
    assert_eq!(unread(&log, None, 1).len(), 1);
    let mut search = Log::begin_search(wanted(&["hello"]));
    let error = log.search_chunk(&mut search).unwrap_err();
    assert!(error.text.contains("is damaged"), "{error}");
}

#[test]
fn what_is_unread_is_what_others_said_since_it_was_read() {
    let desk = desk_with(&[(TALK, BOB, "one"), (TALK, ME, "mine"), (PLANS, CAROL, "hey Alice!")]);
    let unread_now = |conversation| -> Vec<UnreadEvents> {
        let (log, _) = desk.open();
        let unread = unread(&log, conversation, 2);
        log.close();
        unread
    };
    let told = |unread: &[UnreadEvents]| -> Vec<(ConversationId, u32, u32)> {
        unread.iter().map(|unread| (unread.conversation, unread.count, unread.mentions)).collect()
    };
    assert_eq!(told(&unread_now(None)), [(TALK, 1, 0), (PLANS, 1, 1)]);
    let talk = unread_now(Some(TALK)).remove(0);
    desk.write(&[theirs(said(TALK, BOB, 2, "two"))]);
    desk.write(&[Write::Read { conversation: TALK, up_to: Some(talk.up_to) }]);
    let talk = unread_now(Some(TALK)).remove(0);
    assert_eq!(
        (talk.count, texts([&talk.first]), texts(&talk.newest)),
        (1, vec!["two".to_owned()], vec!["two".to_owned()])
    );
    desk.write(&[theirs(said(TALK, BOB, 3, "three")), Write::Read { conversation: TALK, up_to: None }]);
    desk.write(&[Write::Read { conversation: TALK, up_to: Some(1) }]);
    assert_eq!(told(&unread_now(None)), [(PLANS, 1, 1)], "what was read stays read");
    desk.write(&[theirs(said(TALK, CAROL, 1, "carol, alice")), theirs(said(TALK, BOB, 4, "last"))]);
    let talk = unread_now(Some(TALK)).remove(0);
    assert_eq!((texts(&talk.mentioning), talk.authors.len()), (vec!["carol, alice".to_owned()], 2));
    assert_eq!(texts(&talk.newest), ["carol, alice", "last"]);
}

#[test]
fn unread_lines_are_counted_so_far_and_no_further() {
    let desk = desk_with(&vec![(TALK, BOB, "alice"); 1100]);
    let (mut log, _) = desk.open();
    let talk = unread(&log, None, 1).remove(0);
    assert_eq!((talk.count, talk.mentions), (UNREAD_COUNTED_MAX, UNREAD_COUNTED_MAX));
    assert_eq!((talk.mentioning.len(), talk.newest[0].number), (MENTIONS_MAX, 1100));
    let read = [Write::Read { conversation: TALK, up_to: Some(talk.up_to) }];
    log.commit([&read[..]].into_iter(), Survives::Machine).unwrap();
    assert!(unread(&log, None, 1).is_empty(), "all of it is read");
}

#[test]
fn a_copy_has_everything_once_in_order_of_arrival() {
    let mut lines = vec![(TALK, BOB, "long line"); 3000];
    lines.insert(1500, (PLANS, CAROL, "elsewhere"));
    let desk = desk_with(&lines);
    let (mut log, _) = desk.open();
    let mut pages = |conversation, not_before: u64| -> Vec<StoredEvent> {
        let mut page = log.first_page(conversation, Some(UnixMillis(not_before))).unwrap();
        // What comes while it is written is not waited for.
        let meanwhile = [theirs(said(TALK, CAROL, 1, "late")), theirs(said(TALK, CAROL, 2, "later"))];
        log.commit([&meanwhile[..]].into_iter(), Survives::Machine).unwrap();
        let mut all = Vec::new();
        while !page.is_last() {
            let Answer::ExportPage { events, .. } = log.next_page(&mut page).unwrap() else { panic!("no page") };
            all.extend(events);
        }
        all
    };
    let all = pages(None, 0);
    assert_eq!((all.len(), texts([&all[1500]])), (3001, vec!["elsewhere".to_owned()]));
    assert!(all.windows(2).all(|pair| pair[0].author != pair[1].author || pair[0].number < pair[1].number));
    assert_eq!(pages(Some(PLANS), 0).len(), 1);
    assert_eq!(pages(Some(TALK), 2_999_000).len(), 2);
    assert!(pages(Some(ConversationId([9; 32])), 0).is_empty());
}
