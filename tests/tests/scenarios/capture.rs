//! What somebody hears who listens to every wire: not one name, message or password.

use tests::programs::password_of;
use tests::wire::{Capture, Proxy};
use tests::{JsonPeer, Launch, Registry};

#[test]
fn a_capture_of_a_whole_session_holds_nothing_to_read() {
    let registry = Registry::start(&[]);
    let proxy = Proxy::start(registry.address());
    // Without the right to capture, the wires between the peers themselves stay unheard; say so.
    let capture = Capture::start().map_err(|error| {
        use std::io::Write;
        let _ = writeln!(std::io::stderr().lock(), "no packet capture ({error}): only the registry link is heard");
    });
    let [alice, bob] = ["alice-of-wonder", "bob-the-builder"].map(|name| {
        let launch = Launch::new(&registry, name).with(|launch| launch.registry = proxy.address().to_owned());
        let peer = JsonPeer::launch(launch);
        peer.wait("being signed in", |event| event.is("signed_in"));
        peer
    });
    alice.must("/create #rabbit-hole --topic A topic nobody reads", "created");
    bob.must("/join #rabbit-hole", "joined");
    alice.says("#rabbit-hole the first message in a room");
    bob.hears("#rabbit-hole", "alice-of-wonder", "the first message in a room");
    alice.must("/create #tea-party --private", "created");
    alice.must("/invite bob-the-builder #tea-party", "invite_sent");
    bob.wait("the invitation", |event| event.is("invited"));
    bob.must("/accept #tea-party", "joined");
    bob.says("#tea-party the second message, in private");
    bob.says("@alice-of-wonder the third message, to one person");
    alice.must("/who", "online");
    alice.must("/rooms", "rooms");
    alice.quit();
    bob.quit();

    let secrets = [
        "rabbit-hole",
        "tea-party",
        "A topic nobody reads",
        "the first message",
        "the second message",
        "the third message",
        "alice-of-wonder",
        "bob-the-builder",
        "correct horse",
    ];
    assert!(secrets.iter().any(|secret| password_of("alice-of-wonder").contains(secret)), "the password is looked for");
    let heard = proxy.heard();
    assert!(has(&heard, &common::wire::PREAMBLE), "the proxy was in between");
    check(&registry, "the registry link", &heard, &secrets);
    if let Ok(capture) = capture {
        let heard = capture.stop();
        // Two peers dialled the proxy, the proxy dialled the registry, and the peers each other.
        let connections = heard.windows(4).filter(|window| *window == common::wire::PREAMBLE).count();
        assert!(connections >= 5, "{connections} connections were captured");
        check(&registry, "all wires", &heard, &secrets);
    }
}

#[test]
fn a_capture_hears_what_is_said_in_clear() {
    let Ok(capture) = Capture::start() else { return };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    std::io::Write::write_all(&mut stream, b"a canary sings on the wire").unwrap();
    let heard = capture.stop();
    assert!(has(&heard, b"a canary sings"), "{} bytes were captured", heard.len());
}

#[track_caller]
fn check(registry: &Registry, wire: &str, heard: &[u8], secrets: &[&str]) {
    for secret in secrets {
        let found = has(heard, secret.as_bytes());
        registry.transcript().check(!found, &format!("'{secret}' was heard on {wire}, {} bytes", heard.len()));
    }
}

fn has(heard: &[u8], word: &[u8]) -> bool {
    heard.windows(word.len()).any(|window| window == word)
}
