//! What was decided about keys, and what waits for a decision, come back as they were.

use super::*;

#[test]
fn decisions_about_keys_are_kept() {
    let desk = Desk::new();
    let claimant = Claimant { identity: keys(9).identity(), credentials: Some(Box::new(credentials("bob", &keys(9)))) };
    let pin = Pin {
        user: name("bob"),
        identity: keys(2).identity(),
        credentials: credentials("bob", &keys(2)),
        verified: true,
        accepted: Some(UnixMillis(77)),
        blocked_by: Some(claimant),
    };
    desk.write(&[Write::Pin(Box::new(pin.clone()))]);
    assert_eq!(desk.load().pins, std::slice::from_ref(&pin));
    let decided = Pin { verified: false, blocked_by: None, ..pin };
    desk.write(&[Write::Pin(Box::new(decided.clone()))]);
    assert_eq!(desk.load().pins, [decided]);
}

#[test]
fn held_mail_stays_in_its_order_until_it_is_forgotten() {
    let desk = Desk::new();
    let held = |number: u64| HeldMail {
        number,
        user: name("bob"),
        key: keys(9).identity(),
        at: UnixMillis(number),
        content: vec![7; 3],
    };
    desk.write(&[2, 1, 3].map(|number| Write::Hold(Box::new(held(number)))));
    assert_eq!(desk.load().held, [1, 2, 3].map(held));
    desk.write(&[Write::ForgetHeld { number: 2 }, Write::ForgetHeld { number: 8 }]);
    assert_eq!(desk.load().held, [1, 3].map(held));
}
