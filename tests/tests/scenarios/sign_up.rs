//! Accounts: who may have which name, who may come in, and that nobody comes in for another.

use common::message::registry::{Code, Reply, Request};
use tests::wire::{Person, RegistryLink};
use tests::{Ended, JsonPeer, Launch, Registry};

#[test]
fn accounts_are_made_left_and_entered_again() {
    let registry = Registry::start(&[]);
    let alice = JsonPeer::launch(Launch::new(&registry, "alice").with(|launch| launch.user = false));
    alice.refused("/who", "not_signed_in");
    alice.refused("/login alice", "credentials");
    alice.must("/register Alice", "registered");
    alice.wait("being signed in", |event| event.is("signed_in") && event.text("user") == "alice");
    alice.refused("/register other", "already_signed_in");
    alice.must("/logout", "signed_out");
    alice.refused("/msg bob hi", "not_signed_in");
    assert_eq!(alice.must("/login alice", "signed_in").text("user"), "alice");
    assert_eq!(alice.must("/who", "online").texts("users"), ["alice"]);
}

#[test]
fn of_two_who_want_one_name_at_once_one_gets_it() {
    let registry = Registry::start(&[]);
    let pair = [1, 2].map(|_| JsonPeer::launch(Launch::new(&registry, "alice")));
    let firsts = pair.map(|peer| {
        let first = peer.wait("the outcome", |event| event.is("signed_in") || event.is("error"));
        (first.is("signed_in"), first.text("code").to_owned(), peer)
    });
    let winners = firsts.iter().filter(|(is_in, ..)| *is_in).count();
    registry.transcript().check(winners == 1, &format!("{winners} got the name"));
    for (_, code, peer) in firsts.iter().filter(|(is_in, ..)| !is_in) {
        assert_eq!((code.as_str(), peer.end()), ("name_taken", Ended::Exit(3)));
    }
}

#[test]
fn a_second_device_is_refused_and_the_first_stays() {
    let registry = Registry::start(&[]);
    let [alice, bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    let elsewhere = JsonPeer::launch(Launch::new(&registry, "alice").again());
    assert_eq!(elsewhere.wait("a refusal", |event| event.is("error")).text("code"), "not_permitted");
    assert_eq!(elsewhere.end(), Ended::Exit(7));
    bob.says("@alice still there?");
    alice.hears("@bob", "bob", "still there?");
}

#[test]
fn passwords_are_changed_and_weak_ones_refused() {
    let registry = Registry::start(&[]);
    for weak in ["", "short"] {
        let launch = Launch::new(&registry, "alice").with(|launch| launch.password = Some(weak.to_owned()));
        let alice = JsonPeer::launch(launch);
        assert_eq!(alice.wait("a refusal", |event| event.is("error")).text("code"), "bad_password");
        assert!(matches!(alice.end(), Ended::Exit(2 | 3)));
    }
    let launch = Launch::new(&registry, "alice");
    let alice = JsonPeer::launch(launch.clone().with(|launch| launch.password = Some("first one\nsecond one".into())));
    alice.wait("being signed in", |event| event.is("signed_in"));
    alice.must("/passwd", "password_changed");
    assert_eq!(alice.quit(), Ended::Exit(0));
    let with = |password: &str| launch.again().with(|launch| launch.password = Some(password.to_owned()));
    let old = JsonPeer::launch(with("first one"));
    assert_eq!(old.wait("a refusal", |event| event.is("error")).text("code"), "credentials");
    assert_eq!(old.end(), Ended::Exit(3));
    let new = JsonPeer::launch(with("second one"));
    new.wait("being signed in", |event| event.is("signed_in"));
}

#[test]
fn nobody_is_signed_in_or_out_by_another() {
    let registry = Registry::start(&[]);
    let [alice, bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    let mallory = Person::new("mallory");
    let mut link = RegistryLink::connect(registry.address(), &mallory);
    let alice_name = common::names::UserName::parse("alice").unwrap();
    // Her device key does not prove alice, and her keys do not open alice's account.
    let refusal = link.ask(Request::Resume { user: alice_name.clone() }).unwrap_err();
    assert!(matches!(refusal.code, Code::Credentials | Code::NotSignedIn), "{refusal:?}");
    let forged = mallory.keys.statement(link.realm(), alice_name);
    let refusal = link.ask(Request::SignUp { auth: mallory.auth, statement: forged.clone(), token: None }).unwrap_err();
    assert_eq!(refusal.code, Code::NameTaken);
    let refusal = link.ask(Request::SignIn { auth: mallory.auth, statement: forged }).unwrap_err();
    assert_eq!(refusal.code, Code::Credentials);
    assert_eq!(link.ask(Request::SignOut).unwrap_err().code, Code::NotSignedIn);
    let Err(refusal) = link.ask(Request::Who { pattern: None, after: None }) else { panic!("she is not signed in") };
    assert_eq!(refusal.code, Code::NotSignedIn);
    assert_eq!(alice.must("/who", "online").texts("users"), ["alice", "bob"]);
    bob.says("@alice undisturbed?");
    alice.hears("@bob", "bob", "undisturbed?");
}

#[test]
fn a_hundred_people_at_once_all_get_in() {
    let registry = Registry::start(&["--set", "passwords.queue=256"]);
    let address = registry.address().to_owned();
    let people = (0..100).map(|number| {
        let address = address.clone();
        common::thread::spawn(&format!("person {number}"), move || {
            RegistryLink::sign_up(&address, &Person::new(&format!("person-{number}")))
        })
    });
    let threads: Vec<_> = people.collect::<Result<_, _>>().unwrap();
    let mut links: Vec<RegistryLink> = threads.into_iter().map(common::thread::Handle::join).collect();
    let Ok(Reply::Online { users, .. }) = links[0].ask(Request::Who { pattern: None, after: None }) else {
        panic!("names were awaited")
    };
    assert_eq!(users.len(), 100);
}
