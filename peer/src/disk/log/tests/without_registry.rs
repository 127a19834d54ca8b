//! What a log keeps for the time when the registry cannot be reached.

use std::net::SocketAddr;

use super::*;

fn addresses(user: &str, places: &[&str]) -> Write {
    let addresses = places.iter().map(|place| place.parse::<SocketAddr>().unwrap()).collect();
    Write::Addresses { user: name(user), addresses }
}

fn certificate(byte: u8) -> Write {
    let Write::Pin(pin) = pin("alice", byte, None) else { unreachable!("it is a pin") };
    Write::Certificate(Box::new(pin.credentials.certificate))
}

fn kept(loaded: LoadedLog) -> Vec<Write> {
    let addresses = loaded.addresses.into_iter().map(|(user, addresses)| Write::Addresses { user, addresses });
    loaded.certificate.map(Write::Certificate).into_iter().chain(addresses).collect()
}

#[test]
fn the_newest_certificate_and_the_newest_addresses_are_kept() {
    let desk = Desk::new();
    assert!(kept(desk.load()).is_empty());
    let (bob, carol) = (["10.0.0.2:41000", "[fe80::1]:9"], ["[2001:db8::7]:65535"]);
    desk.write(&[certificate(1), addresses("bob", &["10.0.0.9:1"]), addresses("carol", &carol)]);
    desk.write(&[addresses("bob", &bob), certificate(2)]);
    let expected = [certificate(2), addresses("bob", &bob), addresses("carol", &carol)];
    assert_eq!(kept(desk.load()), expected);
}
