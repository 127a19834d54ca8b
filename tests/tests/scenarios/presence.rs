//! Who is here: told to those who share a room or a conversation, asked for by anybody, and true after crashes.

use tests::{Ended, JsonPeer, Registry};

#[test]
fn coming_and_going_is_told_to_those_who_care() {
    let registry = Registry::start(&[]);
    let [alice, mut bob, carol] = JsonPeer::start_all(&registry, ["alice", "bob", "carol"]);
    alice.says("@bob hello");
    bob.hears("@alice", "alice", "hello");
    assert_eq!(bob.quit(), Ended::Exit(0));
    alice.wait("bob going", |event| event.is("presence") && event.text("user") == "bob" && !event.flag("online"));
    assert_eq!(alice.must("/who", "online").texts("users"), ["alice", "carol"]);
    assert_eq!(alice.must("/who car", "online").texts("users"), ["carol"]);
    bob.restart();
    alice.wait("bob coming", |event| event.is("presence") && event.text("user") == "bob" && event.flag("online"));
    let carol_was_told = carol.so_far().iter().any(|event| event.is("presence"));
    carol.transcript().check(!carol_was_told, "carol shares nothing with bob");
}

#[test]
fn members_of_a_room_see_each_other_come_and_go() {
    let registry = Registry::start(&[]);
    let [alice, mut bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    alice.must("/create #dev", "created");
    bob.must("/join #dev", "joined");
    alice.wait("bob being there", |event| event.is("presence") && event.text("user") == "bob" && event.flag("online"));
    bob.kill9();
    alice.wait("bob going", |event| event.is("presence") && event.text("user") == "bob" && !event.flag("online"));
    let members = alice.must("/names #dev", "members").objects("members");
    let bob_is = members.iter().find(|member| member.text("user") == "bob").expect("bob stays a member");
    assert!(!bob_is.flag("online"), "{bob_is}");
    bob.restart();
    alice.wait("bob coming", |event| event.is("presence") && event.text("user") == "bob" && event.flag("online"));
    let members = alice.must("/names #dev", "members");
    let all_online = members.objects("members").iter().all(|member| member.flag("online"));
    alice.transcript().check(all_online, "both are online again");
}

#[test]
fn logging_out_is_going_and_logging_in_is_coming() {
    let registry = Registry::start(&[]);
    let [alice, bob] = JsonPeer::start_all(&registry, ["alice", "bob"]);
    alice.says("@bob hello");
    bob.must("/logout", "signed_out");
    alice.wait("bob going", |event| event.is("presence") && !event.flag("online"));
    assert_eq!(alice.must("/who", "online").texts("users"), ["alice"]);
    bob.must("/login bob", "signed_in");
    alice.wait("bob coming", |event| event.is("presence") && event.flag("online"));
    bob.says("@alice here again");
    alice.hears("@bob", "bob", "here again");
}
