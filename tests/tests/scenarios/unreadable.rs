//! Everything that an operator has, and everything on the wires: the registry's disk, its memory while it runs, and
//! every packet. The bodies of all conversations stay unreadable, also to whoever has the registry's keys.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;

use common::secure::handshake::{Handshake, RegistryProof};
use common::wire::frame::FrameDecoder;
use common::wire::{PREAMBLE, codec};
use registry::store::folder::{RealmKeys, SEEDS_BYTES};
use tests::wire::{Capture, Proxy};
use tests::{Ended, JsonPeer, Launch, Registry};

#[test]
fn bodies_stay_unreadable_with_the_registrys_disk_and_memory_and_every_wire() {
    let mut registry = Registry::start(&[]);
    let capture = Capture::start().map_err(|error| {
        let _ = writeln!(std::io::stderr().lock(), "no packet capture ({error}): only the registry link is heard");
    });
    let proxies = [(); 3].map(|()| Proxy::start(registry.address()));
    let names = ["alice-of-wonder", "bob-the-builder", "carol-of-song"];
    let [alice, bob, carol] = [0, 1, 2].map(|index| {
        let address = proxies[index].address().to_owned();
        let peer = JsonPeer::launch(Launch::new(&registry, names[index]).with(|launch| launch.registry = address));
        peer.signed_in();
        peer
    });
    alice.must("/create #open-house", "created");
    alice.must("/create #back-room --private", "created");
    alice.must(&format!("/invite {} #back-room", names[1]), "invite_sent");
    bob.wait("the invitation", |event| event.is("invited"));
    bob.must("/accept #back-room", "joined");
    carol.must("/join #open-house", "joined");
    alice.says(&format!("#open-house {WORD} in the open"));
    alice.says(&format!("#back-room {WORD} behind closed doors"));
    bob.says(&format!("@{} {WORD} between two", names[0]));
    alice.must(&format!("/away {WORD} is where I am"), "away");
    alice.must(&format!("/me {WORD} waves"), "message");
    // Carol goes, and what is for her lies in her mailbox.
    assert_eq!(carol.quit(), Ended::Exit(0));
    for line in [format!("@{} {WORD} for later", names[2]), format!("#open-house {WORD} for all")] {
        alice.must(&line, "message");
        alice.wait("the mailbox", |event| event.is("delivery") && event.text("state") == "mailbox");
    }

    let pid = registry.process().pid();
    match memory_holds(pid, names[0]) {
        Ok(holds) => {
            registry.transcript().check(holds, "the registry knows her name: the search finds what is there");
            let holds = memory_holds(pid, WORD).unwrap();
            registry.transcript().check(!holds, "the registry's memory holds what was said");
        }
        // Some systems keep even a child's memory out of reach; say so.
        Err(error) => drop(writeln!(std::io::stderr().lock(), "no look into the registry's memory: {error}")),
    }
    no_file_holds(&registry.data_dir());
    let heard = proxies.each_ref().map(Proxy::heard);
    heard.iter().for_each(|heard| assert!(!has(heard, WORD), "heard on the way to the registry"));
    keys_open_nothing(&registry, &heard[0]);
    if let Ok(capture) = capture {
        let heard = capture.stop();
        let preamble = std::str::from_utf8(&PREAMBLE).unwrap();
        let connections = String::from_utf8_lossy(&heard).matches(preamble).count();
        assert!(connections >= 8, "everybody's wires were heard, {connections}");
        assert!(!has(&heard, WORD), "heard on some wire");
    }
    registry.stop();
    no_file_holds(&registry.data_dir());
    drop((alice, bob));
}

/// Whoever steals the registry's keys afterwards cannot open what was captured before: each link had keys of its own.
fn keys_open_nothing(registry: &Registry, heard: &[u8]) {
    let file = std::fs::read(registry.data_dir().join("realm.keys")).unwrap();
    let seeds: [u8; SEEDS_BYTES] = file[file.len() - SEEDS_BYTES..].try_into().unwrap();
    let keys = RealmKeys::from_seeds(&seeds);
    // A newcomer looks first: two messages, and then the connection that stays.
    let calls: Vec<usize> = heard.windows(4).enumerate().filter(|(_, at)| *at == PREAMBLE).map(|(at, _)| at).collect();
    let mut decoder = FrameDecoder::new(usize::from(u16::MAX));
    decoder.push(&heard[calls[1] + PREAMBLE.len()..]);
    let mut frame = || decoder.next_frame().unwrap().unwrap().to_vec();
    let [first, _, third] = [frame(), frame(), frame()];
    let mut again = Handshake::registry_answerer(&keys.link);
    again.read(&first).unwrap();
    again.write(&codec::encode(&RegistryProof::new(&keys.root, &keys.link, "later"))).unwrap();
    assert!(again.read(&third).is_err(), "the static key alone opens a captured handshake");
}

/// Whether these bytes are anywhere in the memory of a process.
fn memory_holds(pid: u32, words: &str) -> std::io::Result<bool> {
    let memory = File::open(format!("/proc/{pid}/mem"))?;
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps"))?;
    for line in maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|rights| rights.starts_with("rw"))) {
        let (begin, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let [begin, end] = [begin, end].map(|address| u64::from_str_radix(address, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(end - begin).unwrap()];
        // What was given back meanwhile is not there.
        match memory.read_exact_at(&mut bytes, begin) {
            Ok(()) if has(&bytes, words) => return Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => return Err(error),
            _ => {}
        }
    }
    Ok(false)
}

fn no_file_holds(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_file() {
            continue;
        }
        assert!(!has(&std::fs::read(&path).unwrap(), WORD), "{} holds what was said", path.display());
    }
}

/// Plain words stay what they are among bytes that are no text; and a search in text takes no minutes.
fn has(bytes: &[u8], words: &str) -> bool {
    String::from_utf8_lossy(bytes).contains(words)
}

const WORD: &str = "zanzibar";
