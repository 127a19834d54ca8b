//! Disks that are full, damaged, read-only or older than they should be: nothing is promised that is not kept, it is
//! said in one line, and it goes on when it can.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use super::errors::{ends, find};
use tests::{Ended, Event, JsonPeer, Launch, Registry, SmallDisk};

#[test]
fn a_full_disk_acknowledges_nothing_it_has_not_kept_and_gets_everything_later() {
    let registry = Registry::start(&[]);
    let alice = JsonPeer::start(&registry, "alice");
    let mut launch = Launch::new(&registry, "bob");
    let disk = SmallDisk::under(&mut launch);
    let mut bob = JsonPeer::launch(launch);
    bob.signed_in();
    alice.says("@bob before");
    disk.fill(bob.pid());
    let mut sent = said(&alice, "full", 12);
    bob.wait("being told that the disk is full", is_storage_error);
    sent.extend(said(&alice, "fuller", 4));
    let told = bob.so_far().iter().filter(|event| is_storage_error(event)).count();
    bob.transcript().check(told == 1, "it is told once");
    disk.free(bob.pid());
    delivered(&alice, &sent);
    heard_once(&bob, &sent);

    // What was acknowledged before a crash on a full disk is there after it; what was not comes again.
    disk.fill(bob.pid());
    let more = said(&alice, "again", 12);
    bob.wait("being told again", is_storage_error);
    let promised: BTreeSet<String> = deliveries(&alice).filter(|id| more.contains(id)).collect();
    bob.kill9();
    disk.free(bob.pid());
    bob.restart();
    delivered(&alice, &more);
    let again: Vec<String> = bob.so_far().iter().filter_map(heard).collect();
    bob.transcript().check(again.iter().all(|id| !promised.contains(id)), "what was acknowledged was kept");
    let history = bob.must("/history @alice 500", "history");
    let kept: Vec<&str> = history.items("items").iter().map(|item| item["id"].as_str().unwrap()).collect();
    let all: BTreeSet<&str> = kept.iter().copied().collect();
    assert_eq!((kept.len(), all.len()), (29, 29), "everything, once");
    assert_eq!(bob.quit(), Ended::Exit(0));
}

#[test]
fn a_full_disk_takes_no_line_and_loses_none_it_has_taken() {
    let registry = Registry::start(&[]);
    let bob = JsonPeer::start(&registry, "bob");
    let mut launch = Launch::new(&registry, "alice");
    let disk = SmallDisk::under(&mut launch);
    let mut alice = JsonPeer::launch(launch);
    alice.signed_in();
    alice.says("@bob before");
    disk.fill(alice.pid());
    let long = "x".repeat(8000);
    for number in 0..12 {
        alice.send(&format!("@bob {number} {long}"));
    }
    alice.wait("being told that the disk is full", is_storage_error);
    alice.refused("@bob not now", "storage");
    let events = alice.so_far();
    let said: BTreeSet<String> = events.iter().filter(|event| is_own(event)).map(id).collect();
    disk.free(alice.pid());
    // Whatever was not refused is said after all, and nothing that was.
    let refused = events.iter().filter(|event| is_storage_error(event)).count() - 2;
    let mut own = said.len();
    while own < 1 + 12 - refused {
        alice.wait("a line that was waiting", |event| is_own(event) && !said.contains(&id(event)));
        own += 1;
    }
    alice.says("@bob after");
    let events = bob.so_far();
    let texts: Vec<&str> = events.iter().filter(|event| event.is("message")).map(|event| event.text("text")).collect();
    bob.transcript().check(texts.len() == own + 1 && !texts.contains(&"not now"), "what was said, once");

    // Taken and not kept: that is worth an exit code.
    disk.fill(alice.pid());
    for number in 0..12 {
        alice.send(&format!("@bob {number} {long}"));
    }
    alice.wait("being told again", is_storage_error);
    assert_eq!(alice.quit(), Ended::Exit(74));
    disk.free(alice.pid());
    alice.restart();
    alice.says("@bob and on");
    bob.hears("@alice", "alice", "and on");
}

#[test]
fn an_account_that_cannot_be_kept_is_not_made() {
    let registry = Registry::start(&[]);
    let mut launch = Launch::new(&registry, "alice");
    let disk = SmallDisk::under(&mut launch);
    // Its place is taken already, so that the keys are what does not fit.
    fs::write(launch.data_dir().join("lock"), "1\n").unwrap();
    if launch.through.is_empty() {
        disk.fill(0);
    } else {
        launch.through[2] = "trap '' XFSZ; ulimit -f 0; exec \"$@\"".to_owned();
    }
    ends(JsonPeer::launch(launch.clone()), "storage", 74);
    if launch.through.is_empty() {
        disk.free(0);
    }
    launch.through.clear();
    let alice = JsonPeer::launch(launch);
    alice.signed_in();
    assert_eq!(alice.quit(), Ended::Exit(0));
}

#[test]
fn a_log_that_is_not_good_is_refused_and_left_as_it_is() {
    type Harm = fn(&Path);
    let harms: [(&str, Harm); 4] = [
        ("a bad page", |log| {
            let mut content = fs::read(log).unwrap();
            let page = content.len() / 2 / 4096 * 4096;
            content[page..page + 64].fill(0xee);
            fs::write(log, content).unwrap();
        }),
        ("cut", |log| {
            let content = fs::read(log).unwrap();
            fs::write(log, &content[..content.len() / 2]).unwrap();
        }),
        ("empty", |log| fs::write(log, b"").unwrap()),
        ("newer", |log| {
            // SQLite's `user_version`.
            let mut content = fs::read(log).unwrap();
            content[60..64].copy_from_slice(&99u32.to_be_bytes());
            fs::write(log, content).unwrap();
        }),
    ];
    let registry = Registry::start(&[]);
    let [mut alice, bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    said(&alice, "much", 40);
    let log = find(&alice.launch.data_dir(), "messages.db");
    assert_eq!(alice.quit(), Ended::Exit(0));
    let good = fs::read(&log).unwrap();
    for (what, harm) in harms {
        harm(&log);
        let before = fs::read(&log).unwrap();
        ends(JsonPeer::launch(alice.launch.again()), "storage", 74);
        assert_eq!(fs::read(&log).unwrap(), before, "{what}: touched");
        fs::write(&log, &good).unwrap();
    }
    // Root may write everything, unless it is told not to be that strong.
    let weakly = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"].map(str::to_owned);
    let is_root = fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0);
    let through = if is_root { weakly.to_vec() } else { Vec::new() };
    fs::set_permissions(&log, Permissions::from_mode(0o400)).unwrap();
    ends(JsonPeer::launch(alice.launch.again().with(|launch| launch.through = through)), "storage", 74);
    assert_eq!(fs::read(&log).unwrap(), good);
    fs::set_permissions(&log, Permissions::from_mode(0o600)).unwrap();
    alice.restart();
    alice.says("@bob all is well");
    bob.hears("@alice", "alice", "all is well");
}

#[test]
fn an_older_copy_in_place_of_a_log_reuses_no_number() {
    for is_replaced in [false, true] {
        let registry = Registry::start(&[]);
        let [mut alice, mut bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
        alice.says("@bob one");
        bob.says("@alice heard");
        assert_eq!(alice.quit(), Ended::Exit(0));
        let (data, copy) = (alice.launch.data_dir(), alice.launch.folder().join("copy"));
        copy_over(&data, &copy);
        alice.restart();
        alice.says("@bob two");
        alice.says("@bob three");
        assert_eq!(alice.quit(), Ended::Exit(0));
        if is_replaced {
            fs::remove_dir_all(&data).unwrap();
            fs::rename(&copy, &data).unwrap();
        } else {
            copy_over(&copy, &data);
        }
        assert_eq!(bob.quit(), Ended::Exit(0));
        let before: Vec<String> = bob.seen().iter().filter_map(heard).collect();
        alice = JsonPeer::launch(alice.launch.again());
        let noticed = alice.wait("being told that it is a copy", is_storage_error);
        assert!(noticed.text("text").contains("copied"), "{noticed}");
        alice.signed_in();
        let four = alice.must("@bob four", "message");
        alice.wait("the line waiting", |event| event.is("delivery") && event.text("state") == "queued");
        bob.restart();
        bob.hears("@alice", "alice", "four");
        delivered(&alice, &[id(&four)]);
        bob.says("@alice all four");
        alice.hears("@bob", "bob", "all four");
        let after: Vec<String> = bob.so_far().iter().filter_map(heard).collect();
        bob.transcript().check(after.iter().all(|id| !before.contains(id)), "nothing is shown twice");
        let history = bob.must("/history @alice 100", "history");
        let items = history.items("items");
        let of_alice = items.iter().filter(|item| item["from"] == "alice").map(|item| item["text"].as_str().unwrap());
        assert_eq!(of_alice.collect::<Vec<_>>(), ["one", "two", "three", "four"]);
        let online =
            alice.so_far().iter().all(|event| !is_storage_error(event) || event.text("text").contains("copied"));
        alice.transcript().check(online, "and that is all there is to say");
    }
}

/// Says as many lines that take up space; their ids.
fn said(alice: &JsonPeer, what: &str, count: usize) -> Vec<String> {
    let long = "x".repeat(8000);
    (0..count).map(|number| id(&alice.must(&format!("@bob {what} {number} {long}"), "message"))).collect()
}

#[track_caller]
fn delivered(alice: &JsonPeer, ids: &[String]) {
    for id in ids {
        let is_it =
            |event: &Event| event.is("delivery") && event.text("id") == id && event.text("state") == "delivered";
        if !alice.seen().iter().any(is_it) {
            alice.wait("a line being delivered", is_it);
        }
    }
}

#[track_caller]
fn heard_once(bob: &JsonPeer, ids: &[String]) {
    let heard: Vec<String> = bob.so_far().iter().filter_map(heard).filter(|id| ids.contains(id)).collect();
    bob.transcript().check(heard == ids, "every line came once, in its order");
}

fn deliveries(alice: &JsonPeer) -> impl Iterator<Item = String> {
    let delivered = |event: &Event| event.is("delivery") && event.text("state") == "delivered";
    alice.so_far().into_iter().filter(delivered).map(|event| id(&event))
}

fn heard(event: &Event) -> Option<String> {
    (event.is("message") && !event.flag("own")).then(|| id(event))
}

fn is_own(event: &Event) -> bool {
    event.is("message") && event.flag("own")
}

fn id(event: &Event) -> String {
    event.text("id").to_owned()
}

fn is_storage_error(event: &Event) -> bool {
    event.is("error") && event.text("code") == "storage"
}

fn copy_over(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    let copied = Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status().unwrap();
    assert!(copied.success());
}
