//! Lies about who people are and where: other keys, other addresses, old certificates.

use std::time::Duration;

use common::ids::MailSalt;
use common::limits::PREKEY_LIFETIME;
use common::message::registry::{Code, FromRegistry, PersonRecord, Refusal, Reply, Request};
use common::secure::certificate::{self, Credentials};
use common::secure::mail::{self, Prekey};
use common::secure::sign::Signed;
use common::time::UnixMillis;
use common::wire::PREAMBLE;
use common::wire::address::Address;
use common::wire::bounded::List;
use tests::evil::{Ear, EvilRegistry};
use tests::programs::Kept;
use tests::wire::{Person, RegistryLink};

use super::{answered, is_told, looks_up, name, people, presence, shown};

#[test]
fn another_identity_for_somebody_known_is_blocked_and_sent_nothing() {
    let registry = EvilRegistry::start();
    let [alice, bob] = people(&registry, ["alice", "bob"]);
    alice.says("@bob before");
    bob.quit();
    alice.wait("bob going", |event| event.is("presence") && !event.flag("online"));

    let (ear, fake) = (Ear::listen(), Person::new("bob"));
    let record = registry.record(&fake, ear.address());
    registry.bend(move |about, message| match looks_up(about.request, "bob") {
        true => answered(&message, Reply::Person(Box::new(record.clone()))),
        false => vec![message],
    });
    assert!(registry.tell("alice", presence("bob", true)));
    alice.must("@bob are you there", "message");
    let changed = alice.wait("the changed key", |event| event.is("key_changed"));
    assert_eq!(changed.text("user"), "bob");
    assert_ne!(changed.text("old"), changed.text("new"));
    alice.refused("@bob a secret", "key_blocked");
    assert!(ear.heard().is_empty(), "the new key is not even dialled");
    let left = registry.heard("alice").iter().any(|request| matches!(request, Request::PutMail { .. }));
    alice.transcript().check(!left, "mail was left for the new key");
    alice.quit();
    let kept = Kept::of(&alice.launch);
    let pinned = kept.pin("bob").unwrap();
    let known = pinned.credentials.statement.claim().unwrap().identity;
    assert!(pinned.is_blocked && known != fake.keys.identity(), "the old key stays, and is blocked");
    assert_eq!(kept.texts(), ["before", "are you there"]);
}

#[test]
fn whois_shows_the_pinned_key_whatever_the_registry_says() {
    let registry = EvilRegistry::start();
    let [alice, bob] = people(&registry, ["alice", "bob"]);
    alice.says("@bob before");
    let pinned = alice.must("/whois bob", "whois").text("identity").to_owned();
    assert_eq!(bob.must("/fingerprint", "fingerprint").text("identity"), pinned);
    let fake = Person::new("bob");
    let year = Duration::from_secs(365 * 24 * 3600);
    let issued = registry.certify(&fake).certificate.claim().unwrap().issued;
    let mut expired = registry.record(&fake, "127.0.0.1:9");
    expired.credentials = registry.certify_at(&fake, issued.minus(year));
    let lies: [(&str, Result<PersonRecord, Code>); 3] = [
        ("no_such_user", Err(Code::NoSuchUser)),
        ("internal", Ok(expired)),
        ("", Ok(registry.record(&fake, "127.0.0.1:9"))),
    ];
    for (told, lie) in lies {
        registry.bend(move |about, message| match (&message, &lie) {
            (FromRegistry::Reply { id, .. }, Err(code)) if looks_up(about.request, "bob") => {
                vec![FromRegistry::Refused { id: *id, refusal: Refusal::new(*code, "Nobody of that name.") }]
            }
            (_, Ok(record)) if looks_up(about.request, "bob") => {
                answered(&message, Reply::Person(Box::new(record.clone())))
            }
            _ => vec![message],
        });
        let shown = alice.must("/whois bob", "whois");
        assert_eq!((shown.text("identity"), shown.flag("blocked")), (&*pinned, told.is_empty()), "{shown}");
        if told.is_empty() {
            assert_eq!(shown.text("new_identity"), fake.keys.identity().to_string());
        } else {
            alice.wait("a word about it", |event| event.is("error") && event.text("code") == told);
        }
    }
    drop(registry);
    alice.wait("the end of it", |event| event.is("link") && event.text("state") == "offline");
    assert_eq!(alice.must("/whois bob", "whois").text("identity"), pinned);
    alice.refused("/whois carol", "unreachable");
}

/// Trust on first use has this limit: an operator may pass for somebody who was never met. It does not last.
#[test]
fn somebody_never_met_may_be_an_operators_invention_until_they_are_met() {
    let registry = EvilRegistry::start();
    let [alice] = people(&registry, ["alice"]);
    let fake = Person::new("carol");
    let secret = fake.keys.mail_secret(&MailSalt([7; 32]));
    let mut record = registry.record(&fake, "127.0.0.1:9");
    let (at, key) = (record.credentials.certificate.claim().unwrap().issued, secret.public());
    let prekey =
        Prekey { realm: registry.realm(), user: name("carol"), number: 1, key, at, expires: at.plus(PREKEY_LIFETIME) };
    (record.online, record.addresses) = (false, List::default());
    record.prekey = Some(Signed::sign(&prekey, fake.keys.identity_signer()));
    registry.bend(move |about, message| match (looks_up(about.request, "carol"), about.request) {
        (true, _) => answered(&message, Reply::Person(Box::new(record.clone()))),
        (_, Some(Request::PutMail { .. })) => answered(&message, Reply::Done),
        _ => vec![message],
    });
    alice.must("@carol hello, stranger", "message");
    alice.wait("the mailbox", |event| is_told(event, "mailbox"));
    let items = registry.heard("alice").into_iter().filter_map(|request| match request {
        Request::PutMail { item, .. } => Some(item),
        _ => None,
    });
    let opened: Vec<Vec<u8>> = items.map(|item| mail::open(&item, &fake.keys.identity(), &secret).unwrap()).collect();
    let words = b"hello, stranger";
    assert!(opened.iter().any(|content| content.windows(words.len()).any(|window| window == words)), "the limit");

    registry.repent();
    let [carol] = people(&registry, ["carol"]);
    carol.must("@alice I am the real one", "message");
    let changed = alice.wait("the changed key", |event| event.is("key_changed"));
    assert_eq!(changed.text("user"), "carol");
    alice.refused("@carol which one are you?", "key_blocked");
    assert!(shown(&alice, "@carol", "carol").is_empty());
}

#[test]
fn whoever_listens_at_a_swapped_address_hears_half_a_handshake() {
    let registry = EvilRegistry::start();
    let [alice, mut bob] = people(&registry, ["alice", "bob"]);
    alice.says("@bob before");
    bob.quit();
    alice.wait("bob going", |event| event.is("presence") && !event.flag("online"));
    let ear = Ear::listen();
    let address = Address(ear.address().parse().unwrap());
    registry.bend_replies(move |about, reply| {
        if let Reply::Person(record) = reply
            && looks_up(about.request, "bob")
        {
            (record.online, record.addresses) = (true, List::cut(vec![address]));
        }
    });
    assert!(registry.tell("alice", presence("bob", true)));
    alice.must("@bob are you there", "message");
    let first = PREAMBLE.len() + 2 + 48;
    let heard = ear.hears("a call", |heard| heard.iter().any(|call| call.bytes.len() >= first));
    registry.repent();
    bob.restart();
    bob.hears("@alice", "alice", "are you there");
    let calls = ear.heard();
    // The dialler's ephemeral key and a tag that only bob can check; the rest waits for his answer.
    let sizes: Vec<usize> = calls.iter().map(|call| call.bytes.len()).collect();
    alice.transcript().check(sizes.iter().all(|size| *size <= first), &format!("{sizes:?} bytes were heard"));
    assert!(heard[0].bytes.starts_with(&PREAMBLE));
}

#[test]
fn older_certificates_replace_nothing() {
    let registry = EvilRegistry::start();
    let [alice, bob] = people(&registry, ["alice", "bob"]);
    alice.says("@bob before");
    bob.quit();
    alice.wait("bob going", |event| event.is("presence") && !event.flag("online"));
    // Real ones, as the operator may have kept them: ten days old.
    let root = registry.keys.root.clone();
    let older = move |credentials: &mut Credentials| {
        let statement = credentials.statement.claim().unwrap();
        let issued = credentials.certificate.claim().unwrap().issued;
        credentials.certificate = certificate::issue(&statement, issued.minus(TEN_DAYS), &root);
    };
    let root = registry.keys.root.clone();
    registry.bend_replies(move |_, reply| match reply {
        Reply::Person(record) => older(&mut record.credentials),
        Reply::SignedIn { certificate, .. } => {
            let claim = certificate.claim().unwrap();
            let issued = claim.issued.minus(TEN_DAYS);
            let expires = claim.expires.minus(TEN_DAYS);
            *certificate = Signed::sign(&certificate::Certificate { issued, expires, ..claim }, &root);
        }
        _ => {}
    });
    alice.must("@bob are you there", "message");
    alice.wait("the mailbox", |event| is_told(event, "mailbox"));
    registry.cut("alice");
    alice.wait("being back", |event| event.is("link") && event.text("state") == "online");
    alice.quit();
    let kept = Kept::of(&alice.launch);
    let now = registry.certify(&Person::new("nobody-else")).certificate.claim().unwrap().issued;
    let is_recent = |issued: UnixMillis| issued > now.minus(Duration::from_secs(24 * 3600));
    assert!(is_recent(kept.certificate().issued), "her own");
    assert!(is_recent(kept.pin("bob").unwrap().credentials.certificate.claim().unwrap().issued), "bob's");
}

#[test]
fn certificates_that_do_not_hold_are_not_believed() {
    let registry = EvilRegistry::start();
    let [alice] = people(&registry, ["alice"]);
    let [dave, mallory] = ["dave", "mallory"].map(Person::new);
    let mut at_dave = RegistryLink::sign_up(registry.address(), &dave);
    at_dave.lookup("alice");
    let honest = registry.certify(&dave);
    let of_mallory = registry.certify(&mallory);
    let year = Duration::from_secs(365 * 24 * 3600);
    let now = honest.certificate.claim().unwrap().issued;
    let claim = honest.certificate.claim().unwrap();
    let lies: Vec<(&str, Credentials)> = vec![
        ("somebody else's", of_mallory.clone()),
        ("a spliced pair", Credentials { statement: honest.statement.clone(), certificate: of_mallory.certificate }),
        ("expired", registry.certify_at(&dave, now.minus(year))),
        ("not yet valid", registry.certify_at(&dave, now.plus(year))),
        (
            "signed by another root",
            Credentials { certificate: Signed::sign(&claim, mallory.keys.identity_signer()), ..honest.clone() },
        ),
        (
            "of another realm",
            Credentials { statement: dave.statement(common::ids::RealmId([1; 32])), ..honest.clone() },
        ),
    ];
    for (what, credentials) in lies {
        registry.bend_replies(move |_, reply| {
            if let Reply::Person(record) = reply {
                record.credentials = credentials.clone();
            }
        });
        let refusal = alice.ask("@dave hello");
        alice.transcript().check(refusal.text("code") == "internal", &format!("{what}: {refusal}"));
    }
    let put = registry.heard("alice").iter().any(|request| matches!(request, Request::PutMail { .. }));
    assert!(!put, "nothing was sealed to them");
    alice.quit();
    assert!(Kept::of(&alice.launch).pin("dave").is_none(), "nobody was pinned");
    assert!(matches!(at_dave.sealed.next(Duration::ZERO), Err(_) | Ok(Some(FromRegistry::News(_)))));
}

const TEN_DAYS: Duration = Duration::from_secs(10 * 24 * 3600);
