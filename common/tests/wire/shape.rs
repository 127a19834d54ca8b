//! MessagePack as a person reads it: just enough of the format for what this project writes, and a panic for the rest,
//! so that the snapshots also prove that nothing else is written.

use std::fmt::Write;

use common::ids;

/// One value, all of `bytes`.
pub(crate) fn of(bytes: &[u8]) -> String {
    let mut rest = bytes;
    let mut out = String::new();
    value(&mut rest, &mut out);
    assert!(rest.is_empty(), "{} bytes after the value", rest.len());
    out
}

/// How long it is, and its bytes, or their hash if they are many.
pub(crate) fn digest(bytes: &[u8]) -> String {
    let shown = if bytes.len() <= 64 { hex(bytes) } else { format!("hash {}", hex(&hash(bytes))) };
    format!("{} bytes {shown}", bytes.len())
}

fn value(rest: &mut &[u8], out: &mut String) {
    let marker = number(rest, 1);
    match marker {
        0x00..=0x7f => write!(out, "{marker}").unwrap(),
        0x80..=0x8f => map(rest, marker & 0x0f, out),
        0x90..=0x9f => array(rest, marker & 0x0f, out),
        0xa0..=0xbf => text(rest, marker & 0x1f, out),
        0xc0 => out.push_str("nil"),
        0xc2 => out.push_str("false"),
        0xc3 => out.push_str("true"),
        0xc4 => binary(rest, 1, out),
        0xc5 => binary(rest, 2, out),
        0xcc => integer(rest, 1, out),
        0xcd => integer(rest, 2, out),
        0xce => integer(rest, 4, out),
        0xcf => integer(rest, 8, out),
        0xd9 => {
            let length = number(rest, 1);
            text(rest, length, out);
        }
        other => panic!("marker {other:#x} is not part of the protocol"),
    }
}

fn map(rest: &mut &[u8], length: u64, out: &mut String) {
    out.push('{');
    for index in 0..length {
        out.push_str(if index > 0 { ", " } else { "" });
        value(rest, out);
        out.push_str(": ");
        value(rest, out);
    }
    out.push('}');
}

fn array(rest: &mut &[u8], length: u64, out: &mut String) {
    out.push('[');
    for index in 0..length {
        out.push_str(if index > 0 { ", " } else { "" });
        value(rest, out);
    }
    out.push(']');
}

fn text(rest: &mut &[u8], length: u64, out: &mut String) {
    let bytes = take(rest, length);
    write!(out, "{:?}", std::str::from_utf8(bytes).unwrap()).unwrap();
}

fn binary(rest: &mut &[u8], length_bytes: u64, out: &mut String) {
    let length = number(rest, length_bytes);
    let bytes = take(rest, length);
    let shown = hex(&bytes[..bytes.len().min(4)]);
    write!(out, "bin({length}) {shown}{}", if bytes.len() > 4 { "…" } else { "" }).unwrap();
}

fn integer(rest: &mut &[u8], length: u64, out: &mut String) {
    write!(out, "{}u{}", number(rest, length), length * 8).unwrap();
}

fn number(rest: &mut &[u8], length: u64) -> u64 {
    take(rest, length).iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn take<'a>(rest: &mut &'a [u8], length: u64) -> &'a [u8] {
    let (head, tail) = rest.split_at(usize::try_from(length).unwrap());
    *rest = tail;
    head
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    ids::hash("wire snapshot", &[bytes])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
