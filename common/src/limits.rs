//! Every limit that both programs share, with its unit in its name, its reason beside it, and an assertion that ties
//! it to the limits it depends on. Limits of one program alone stand in that program.

use std::time::Duration;

/// A Noise message cannot be longer (Noise specification, section 3).
pub const FRAME_BYTES_MAX: usize = 65_535;

/// A handshake message carries at most two signed objects, the longer one a statement with all its rotations.
pub const HANDSHAKE_BYTES_MAX: usize = 2048;

/// Poly1305's tag on every sealed frame.
pub const SEAL_BYTES: usize = 16;

/// Sizes a plaintext is padded to, so that a frame's length says little about the text in it.
pub const PADDED_BYTES: [usize; 5] = [256, 1024, 4096, 16_384, 60_000];

/// Room for values in the largest plaintext, behind its two length bytes.
pub const BATCH_BYTES_MAX: usize = PADDED_BYTES[PADDED_BYTES.len() - 1] - 2;

/// Text of one message, in bytes of UTF-8.
pub const TEXT_BYTES_MAX: usize = 16 * 1024;

/// A topic is one line on a screen or two.
pub const TOPIC_BYTES_MAX: usize = 400;

/// A reason or an away text is one line.
pub const REASON_BYTES_MAX: usize = 200;

/// A reaction is one emoji, joined ones included, or one short word.
pub const REACTION_BYTES_MAX: usize = 32;

/// Text of an error made by the other side.
pub const ERROR_TEXT_BYTES_MAX: usize = 400;

/// The signed bytes of one event: its text and at most a kilobyte of fields around it.
pub const EVENT_BYTES_MAX: usize = TEXT_BYTES_MAX + 1024;

/// Signed bytes of a statement, certificate, genesis, log entry or invitation.
pub const SIGNED_BYTES_MAX: usize = 1024;

/// Times that an identity may get another key. All of them are shown with every statement, which has to stay short.
pub const ROTATIONS_MAX: usize = 5;

/// Events in one message of a peer link.
pub const EVENTS_PER_MESSAGE_MAX: usize = 256;

/// Bytes of events in one message: the largest event fits, and the message fits a frame.
pub const EVENTS_BYTES_MAX: usize = 48 * 1024;

/// Chains named in one `Have`.
pub const HOLDINGS_MAX: usize = 256;

/// Events of others that an event names as seen; who sees more new ones at a time names the latest.
pub const PARENTS_MAX: usize = 6;

/// Entries of one room's log, for ever: each is kept by everybody in it.
pub const LOG_ENTRIES_MAX: u32 = 10_000;

/// Chains that a removal names: nobody loses as many databases, and the entry has to be small.
pub const CUTS_MAX: usize = 8;

/// Members of a room: each keeps the join of every other and holds every chain.
pub const MEMBERS_MAX: usize = 500;

/// Members whom nobody told of, whose chains are asked for on one link in a room: a few that a registry hides.
pub const STRANGERS_MAX: usize = 64;

/// Others who are there with whom a member of a room is linked, each with each. In a larger crowd what is said is
/// passed on.
pub const MESH_MAX: usize = 12;

/// Receipts in one message.
pub const RECEIPTS_MAX: usize = 128;

/// How often a receipt is handed on before it is dropped: far more than lie between any two members of the largest room.
pub const RECEIPT_HOPS_MAX: u8 = 16;

/// Names, rooms, members or invitations in one page of a registry's reply.
pub const NAMES_PER_PAGE: usize = 1000;
pub const ROOMS_PER_PAGE: usize = 50;
pub const MEMBERS_PER_PAGE: usize = 16;
pub const ENTRIES_PER_PAGE: usize = 32;

/// One sealed item of a mailbox: with the request or reply around it it has to fit a frame.
pub const MAIL_BYTES_MAX: usize = 56 * 1024;

/// Events in one item: besides them it holds credentials, a join and what the sender holds.
pub const MAIL_EVENTS_BYTES_MAX: usize = 40 * 1024;

/// Chains of the recipient named in the `Have` of one item: nobody loses as many databases.
pub const MAIL_HOLDINGS_MAX: usize = HOLDINGS_MAX / 4;

/// Items in one page of a mailbox, or dropped with one request; together they have at most [`MAIL_BYTES_MAX`].
pub const MAIL_ITEMS_PER_PAGE: usize = 64;

/// Items a mailbox holds, and the days it keeps each: what somebody on holiday misses, and a bounded disk.
pub const MAILBOX_ITEMS: u32 = 500;
pub const MAILBOX_DAYS: u32 = 14;

/// A prekey is replaced after a week. Its private half goes once nothing sealed to it can be in a mailbox any more,
/// and a week after that.
pub const PREKEY_ROTATED_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);
pub const PREKEY_KEPT_AFTER: Duration = Duration::from_secs((MAILBOX_DAYS as u64 + 7) * 24 * 3600);

/// Somebody who has been away for longer is not left mail: what is sealed to so old a key is protected by it alone.
pub const PREKEY_LIFETIME: Duration = Duration::from_secs(90 * 24 * 3600);

/// Names a peer may ask the registry to watch: its conversations.
pub const WATCHED_MAX: usize = 1024;

/// Addresses announced by one peer; a machine with more interfaces names the first ones.
pub const ADDRESSES_MAX: usize = 16;

/// MessagePack nesting. The deepest message has six levels; rmp-serde's default of 1,024 overflows a small stack.
pub const DECODE_DEPTH_MAX: usize = 16;

/// Connection to first frame, and to the end of the handshake and the sign-in.
pub const FIRST_FRAME_TIMEOUT: Duration = Duration::from_secs(3);
pub const SIGN_IN_TIMEOUT: Duration = Duration::from_secs(10);

/// A peer link pings after this much silence, and is dead after that much.
pub const LINK_PING_AFTER: Duration = Duration::from_secs(20);
pub const LINK_DEAD_AFTER: Duration = Duration::from_secs(60);

/// A peer pings its registry this often, and a session that says nothing for longer is dead.
pub const REGISTRY_PING_EVERY: Duration = Duration::from_secs(30);
pub const REGISTRY_DEAD_AFTER: Duration = Duration::from_secs(90);

/// A certificate is valid for 30 days and renewed after half of them.
pub const CERTIFICATE_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// An invitation is good for two weeks.
pub const INVITE_LIFETIME: Duration = Duration::from_secs(14 * 24 * 3600);

/// How far another machine's clock may be off before a certificate counts as not yet or no longer valid.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(24 * 3600);

/// Passwords: long enough to be worth hashing, short enough to be typed.
pub const PASSWORD_CHARS_MIN: usize = 6;
pub const PASSWORD_BYTES_MAX: usize = 1024;

const _: () = assert!(PADDED_BYTES[PADDED_BYTES.len() - 1] + SEAL_BYTES <= FRAME_BYTES_MAX);
const _: () = assert!(HANDSHAKE_BYTES_MAX <= FRAME_BYTES_MAX);
const _: () = assert!(EVENT_BYTES_MAX < EVENTS_BYTES_MAX);
// The fixed fields of an event take 300 bytes, a parent 90.
const _: () = assert!(TEXT_BYTES_MAX + 300 + PARENTS_MAX * 90 <= EVENT_BYTES_MAX);
// A receipt takes 330 bytes.
const _: () = assert!(RECEIPTS_MAX * 330 + 128 <= BATCH_BYTES_MAX);
const _: () = assert!(MESH_MAX < MEMBERS_MAX && STRANGERS_MAX < MEMBERS_MAX);
// A holding takes 140 bytes.
const _: () = assert!(HOLDINGS_MAX * 140 + 256 <= BATCH_BYTES_MAX);
// A genesis with its rotations of 149 bytes, which is longer than a statement with them.
const _: () = assert!(ROTATIONS_MAX * 149 + 256 <= SIGNED_BYTES_MAX);
// Two signed objects, the framing around them, and what Noise adds.
const _: () = assert!(SIGNED_BYTES_MAX + 768 <= HANDSHAKE_BYTES_MAX);
// A removal: its cuts take 42 bytes each, its reason 200, everything else 250.
const _: () = assert!(CUTS_MAX * 42 + REASON_BYTES_MAX + 250 <= SIGNED_BYTES_MAX);
// Each event adds its signature and some framing; the message adds its own fields.
const _: () = assert!(EVENTS_BYTES_MAX + EVENTS_PER_MESSAGE_MAX * 16 + 1024 <= BATCH_BYTES_MAX);
// A member record holds two credentials, a join and perhaps a part.
const _: () = assert!(MEMBERS_PER_PAGE * 3 * SIGNED_BYTES_MAX <= BATCH_BYTES_MAX);
// Names, or ids of rooms.
const _: () = assert!(NAMES_PER_PAGE * 34 <= BATCH_BYTES_MAX);
const _: () = assert!(ENTRIES_PER_PAGE * (SIGNED_BYTES_MAX + 128) <= BATCH_BYTES_MAX);
// An item and the request around it, or a page of items.
const _: () = assert!(MAIL_BYTES_MAX + MAIL_ITEMS_PER_PAGE * 32 + 128 <= BATCH_BYTES_MAX);
// Besides events: two credentials and a join of two signed objects, and holdings of at most 140 bytes each.
const _: () = assert!(
    EVENT_BYTES_MAX < MAIL_EVENTS_BYTES_MAX
        && MAIL_EVENTS_BYTES_MAX + 5 * SIGNED_BYTES_MAX + MAIL_HOLDINGS_MAX * 140 + 512 <= MAIL_BYTES_MAX
);
const _: () = assert!(LINK_PING_AFTER.as_secs() * 2 < LINK_DEAD_AFTER.as_secs());
const _: () = assert!(REGISTRY_PING_EVERY.as_secs() * 2 < REGISTRY_DEAD_AFTER.as_secs());
const _: () = assert!(FIRST_FRAME_TIMEOUT.as_secs() < SIGN_IN_TIMEOUT.as_secs());
