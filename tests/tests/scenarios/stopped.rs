//! A member whose program is stopped, not dead: nobody waits for them, and they lack nothing afterwards.

use std::time::{Duration, Instant};

use tests::{JsonPeer, Registry};

#[test]
fn a_stopped_member_does_not_stall_the_room() {
    let registry = Registry::start(&[]);
    let [alice, bob, carol, dave] = JsonPeer::start_all(&registry, ["alice", "bob", "carol", "dave"]);
    alice.must("/create #dev", "created");
    for peer in [&bob, &carol, &dave] {
        peer.must("/join #dev", "joined");
        peer.says("#dev I am here");
    }
    dave.signal(libc::SIGSTOP);
    // Whoever waited for dave would wait until a deadline, for he goes on only after this.
    let (stopped, mut lines) = (Instant::now(), 0);
    while stopped.elapsed() < STOPPED_FOR {
        lines += 1;
        let text = format!("line {lines}");
        let id = alice.must(&format!("#dev {text}"), "message").text("id").to_owned();
        for peer in [&bob, &carol] {
            peer.hears("#dev", "alice", &text);
            alice.wait("the others having it", |event| {
                let is_it = event.is("delivery") && event.text("id") == id;
                is_it && event.text("state") == "delivered" && event.text("to") == peer.name()
            });
        }
    }
    // Meanwhile one can also write to whoever is stopped.
    let waiting = alice.must("@dave wake up", "message");
    let seen = alice.so_far();
    let early = seen.iter().any(|event| event.text("to") == "dave" && event.text("id") == waiting.text("id"));
    alice.transcript().check(!early, "nothing is delivered to somebody who is stopped");

    dave.signal(libc::SIGCONT);
    for number in 1..=lines {
        // Waits take events wherever they are; the order is looked at below.
        dave.hears("#dev", "alice", &format!("line {number}"));
    }
    dave.hears("@alice", "alice", "wake up");
    let last = |text: &str| text.strip_prefix("line ").and_then(|number| number.parse::<u32>().ok());
    let seen = dave.so_far();
    let of_alice = seen.iter().filter(|event| event.is_message("#dev", "alice"));
    let numbers: Vec<u32> = of_alice.filter_map(|event| last(event.text("text"))).collect();
    assert_eq!(numbers, (1..=lines).collect::<Vec<_>>(), "everything, once, in order");
    alice.wait("dave's acknowledgement", |event| {
        event.is("delivery") && event.text("id") == waiting.text("id") && event.text("state") == "delivered"
    });
}

const STOPPED_FOR: Duration = Duration::from_secs(3);
