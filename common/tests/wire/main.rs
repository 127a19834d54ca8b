//! The bytes and the shape of everything that is said on the wire. A difference here is a change of the protocol: it
//! comes with its line in `PROTOCOL.md`.

#![expect(clippy::unwrap_used, reason = "a sample that does not hold is a failed test")]

mod sample;
mod seed;
mod shape;

use common::ids::{EntryId, EventId};
use common::message::event::{Content, Event};
use common::message::peer::PeerMessage;
use common::message::registry::{Code, FromRegistry, News, Refusal, Reply, Request, ToRegistry};
use common::message::room::{Act, History};
use common::names::UserName;
use common::wire::bounded::{List, Text};
use common::wire::codec;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Names every variant once: a new one does not compile until it has its sample here.
macro_rules! samples {
    ($enum:ty: $($pattern:pat => $value:expr,)+) => {{
        let _every_variant = |value: &$enum| match value { $($pattern => (),)+ };
        let values: Vec<$enum> = vec![$($value,)+];
        values.iter().map(described).collect::<Vec<_>>().join("\n")
    }};
}

#[test]
fn peer_messages() {
    let shown = samples!(PeerMessage:
        PeerMessage::Hello(_) => PeerMessage::Hello(Box::new(sample::hello())),
        PeerMessage::RoomHello { .. } => PeerMessage::RoomHello {
            room: sample::room(),
            genesis: Box::new(sample::genesis()),
            join: sample::join(),
        },
        PeerMessage::Have(_) => PeerMessage::Have(sample::have()),
        PeerMessage::Want(_) => PeerMessage::Want(sample::want()),
        PeerMessage::Member { .. } => PeerMessage::Member {
            room: sample::room(),
            join: sample::join(),
            part: Some(sample::part()),
        },
        PeerMessage::Events(_) => PeerMessage::Events(sample::events()),
        PeerMessage::Receipts(_) => PeerMessage::Receipts(sample::receipts()),
        PeerMessage::Skip { .. } => PeerMessage::Skip {
            conversation: sample::room().into(),
            chain: sample::chain(),
            number: 300,
        },
        PeerMessage::RoomLog { .. } => PeerMessage::RoomLog {
            room: sample::room(),
            entries: List::cut(vec![sample::entry()]),
        },
        PeerMessage::WantLog { .. } => PeerMessage::WantLog { room: sample::room(), from: 7 },
        PeerMessage::Status { .. } => PeerMessage::Status { away: Some(Text::cut("lunch")) },
        PeerMessage::Ping => PeerMessage::Ping,
        PeerMessage::Pong => PeerMessage::Pong,
        PeerMessage::Bye => PeerMessage::Bye,
    );
    insta::assert_snapshot!(shown);
}

#[test]
fn requests() {
    let shown = samples!(Request:
        Request::SignUp { .. } => Request::SignUp {
            auth: sample::auth(),
            statement: sample::statement(),
            token: Some(sample::token()),
        },
        Request::SignIn { .. } => Request::SignIn { auth: sample::auth(), statement: sample::statement() },
        Request::Resume { .. } => Request::Resume { user: sample::alice() },
        Request::Rotate { .. } => Request::Rotate { statement: sample::later_statement() },
        Request::Reclaim { .. } => Request::Reclaim {
            credentials: Box::new(sample::credentials()),
            auth: Some(sample::auth()),
        },
        Request::SignOut => Request::SignOut,
        Request::ChangePassword { .. } => Request::ChangePassword { old: sample::auth(), new: sample::auth() },
        Request::Renew => Request::Renew,
        Request::Announce { .. } => Request::Announce { addresses: List::cut(sample::addresses()) },
        Request::Watch { .. } => Request::Watch { names: List::cut(vec![sample::alice()]) },
        Request::Who { .. } => Request::Who { pattern: Some(Text::cut("al")), after: Some(sample::alice()) },
        Request::Lookup { .. } => Request::Lookup { user: sample::alice() },
        Request::Ping => Request::Ping,
        Request::CreateRoom { .. } => Request::CreateRoom {
            genesis: Box::new(sample::genesis()),
            join: sample::join(),
        },
        Request::Rooms { .. } => Request::Rooms { pattern: None, after: Some(sample::dev()) },
        Request::FindRoom { .. } => Request::FindRoom { name: sample::dev() },
        Request::JoinRoom { .. } => Request::JoinRoom { join: sample::join() },
        Request::PartRoom { .. } => Request::PartRoom { part: sample::part() },
        Request::Members { .. } => Request::Members { room: sample::room(), after: None },
        Request::Memberships { .. } => Request::Memberships { after: Some(sample::room()) },
        Request::Log { .. } => Request::Log { room: sample::room(), from: 1 },
        Request::AddEntry { .. } => Request::AddEntry { entry: sample::entry() },
        Request::Invite { .. } => Request::Invite { invite: sample::invite() },
        Request::Invites => Request::Invites,
        Request::Decline { .. } => Request::Decline { room: sample::room() },
        Request::PutPrekey { .. } => Request::PutPrekey { prekey: sample::prekey() },
        Request::PutMail { .. } => Request::PutMail { to: sample::alice(), item: sample::item().item },
        Request::Mail { .. } => Request::Mail { after: 300 },
        Request::DropMail { .. } => Request::DropMail { ids: List::cut(vec![7, 300]) },
    );
    insta::assert_snapshot!(shown);
}

#[test]
fn replies() {
    let shown = samples!(Reply:
        Reply::Done => Reply::Done,
        Reply::SignedIn { .. } => Reply::SignedIn {
            certificate: sample::credentials().certificate,
            seen: sample::addresses()[0],
            lacks_password: true,
        },
        Reply::Watching { .. } => Reply::Watching { online: List::cut(vec![sample::alice()]) },
        Reply::Online { .. } => Reply::Online { users: List::cut(vec![sample::alice()]), more: true },
        Reply::Person(_) => Reply::Person(Box::new(sample::person())),
        Reply::Rooms { .. } => Reply::Rooms { rooms: List::cut(vec![sample::summary()]), more: false },
        Reply::Room { .. } => Reply::Room {
            genesis: Box::new(sample::genesis()),
            invite: Some(sample::invite()),
        },
        Reply::Members { .. } => Reply::Members { members: List::cut(vec![sample::member()]), more: false },
        Reply::Memberships { .. } => Reply::Memberships { rooms: List::cut(vec![sample::room()]), more: true },
        Reply::Log { .. } => Reply::Log { entries: List::cut(vec![sample::entry()]), more: false },
        Reply::Invites { .. } => Reply::Invites { invites: List::cut(vec![sample::invitation()]) },
        Reply::Mail { .. } => Reply::Mail { items: List::cut(vec![sample::item()]), more: true },
    );
    insta::assert_snapshot!(shown);
}

#[test]
fn news() {
    let shown = samples!(News:
        News::Presence { .. } => News::Presence { changes: List::cut(vec![sample::change()]) },
        News::Member { .. } => News::Member { room: sample::room(), member: Box::new(sample::member()) },
        News::Entry { .. } => News::Entry { entry: Box::new(sample::entry()) },
        News::Invited(_) => News::Invited(Box::new(sample::invitation())),
        News::Mail => News::Mail,
        News::Replaced => News::Replaced,
        News::Closing => News::Closing,
    );
    insta::assert_snapshot!(shown);
}

#[test]
fn envelopes_of_the_registry_link() {
    let request = ToRegistry { id: 7, request: Request::Ping };
    let answers = samples!(FromRegistry:
        FromRegistry::Reply { .. } => FromRegistry::Reply { id: 7, reply: Box::new(Reply::Done) },
        FromRegistry::Refused { .. } => FromRegistry::Refused { id: 7, refusal: sample::refusal() },
        FromRegistry::News(_) => FromRegistry::News(Box::new(News::Closing)),
    );
    let shown = [described(&request), answers].join("\n");
    insta::assert_snapshot!(shown);
}

#[test]
fn codes() {
    let codes: Vec<String> = Code::ALL
        .iter()
        .map(|code| {
            let refusal = Refusal::new(*code, "");
            assert_eq!(codec::decode::<Refusal>(&codec::encode(&refusal)).unwrap().code, *code);
            described(code)
        })
        .collect();
    let shown = codes.join("\n");
    insta::assert_snapshot!(shown);
}

#[test]
fn signed_objects() {
    let credentials = sample::credentials();
    let objects = [
        described(&credentials.statement.claim().unwrap()),
        described(&sample::later_statement().claim().unwrap()),
        described(&credentials.certificate.claim().unwrap()),
        described(&sample::genesis().claim().unwrap()),
        described(&sample::entry().claim().unwrap()),
        described(&sample::invite().claim().unwrap()),
        described(&sample::prekey().claim().unwrap()),
        described(&sample::receipt().claim().unwrap()),
        described(&sample::mail()),
        described(&sample::proof()),
        described(&sample::greeting()),
    ];
    let (identity, user) = (sample::removal().identity, sample::alice());
    let acts = samples!(Act:
        Act::Topic { .. } => Act::Topic { text: Text::cut("lunch") },
        Act::Remove(_) => Act::Remove(sample::removal()),
        Act::Ban(_) => Act::Ban(sample::removal()),
        Act::Unban { .. } => Act::Unban { identity, user: user.clone() },
        Act::Transfer { .. } => Act::Transfer { identity, user },
        Act::Rotate { .. } => Act::Rotate { rotations: sample::rotations() },
        Act::Close { .. } => Act::Close { reason: Text::cut("done") },
    );
    let histories = samples!(History:
        History::All => History::All,
        History::Joined => History::Joined,
    );
    let shown = [objects.join("\n"), acts, histories].join("\n");
    insta::assert_snapshot!(shown);
}

#[test]
fn events() {
    let contents = [
        Content::Text("hi".to_owned()),
        Content::Action("waves".to_owned()),
        sample::join().claim().unwrap().content().unwrap(),
        Content::Part("bye".to_owned()),
        Content::Edit { target: sample::join().id(), text: "hello".to_owned() },
        Content::Delete { target: sample::join().id() },
        Content::Reaction { target: sample::join().id(), word: "👍".to_owned() },
    ];
    let _every_kind = |content: &Content| match content {
        Content::Text(_) | Content::Action(_) | Content::Join(_) | Content::Part(_) | Content::Unknown => (),
        Content::Edit { .. } | Content::Delete { .. } | Content::Reaction { .. } => (),
    };
    let events = contents.iter().map(|content| {
        let event: Event = sample::event(content).claim().unwrap();
        let body = match content {
            Content::Join(join) => described(join.as_ref()),
            Content::Edit { .. } | Content::Delete { .. } | Content::Reaction { .. } => {
                let (target, text) = event.body.split_at(EventId::LENGTH);
                assert_eq!(target, sample::join().id().as_bytes());
                format!("  body: an id, {:?}", std::str::from_utf8(text).unwrap())
            }
            _ => format!("  body {:?}", String::from_utf8(event.body.to_vec()).unwrap()),
        };
        [described(&event), body].join("\n")
    });
    let unsigned = common::message::event::WireEvent { signature: None, ..sample::join() };
    let shown = events.chain([described(&unsigned)]).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(shown);
}

#[test]
fn a_name_that_is_none_is_refused_while_it_is_decoded() {
    let request = |user: &str| {
        let claim = codec::encode(&("Resume", user));
        codec::decode::<(String, UserName)>(&claim)
    };
    assert!(request("alice").is_ok());
    assert!(request("al ice").is_err());
    assert!(EntryId::from_slice(&[0; 31]).is_none());
}

/// The shape of a value on the wire, its size, and its bytes or their hash; and it survives the way there and back.
fn described<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T) -> String {
    let bytes = codec::encode(value);
    assert_eq!(codec::decode::<T>(&bytes).unwrap(), *value);
    seed::leave::<T>(&bytes);
    format!("{}\n  {}", shape::of(&bytes), shape::digest(&bytes))
}
