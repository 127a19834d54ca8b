//! An encoded value with one thing wrong with it, for every field there is: missing, of another kind, too large, too
//! short. Reads just enough MessagePack to know where each field begins and ends.

/// Every way to have one field of `bytes` wrong, each with its name. Fields called one of `free` may hold any number or
/// length: only their kind can be wrong.
pub fn mutants(bytes: &[u8], free: &[&str]) -> Vec<(String, Vec<u8>)> {
    let mut fields = Vec::new();
    let end = value(bytes, 0, "", &mut fields);
    assert_eq!(end, bytes.len(), "one whole value");
    fields.iter().flat_map(|field| field.mutants(bytes, free)).collect()
}

/// A value in a map, behind its key.
#[derive(Debug)]
struct Field {
    path: String,
    map: usize,
    key: usize,
    begin: usize,
    end: usize,
}

impl Field {
    fn mutants(&self, bytes: &[u8], free: &[&str]) -> Vec<(String, Vec<u8>)> {
        let with = |what: &str, value: &[u8]| {
            let changed = [&bytes[..self.begin], value, &bytes[self.end..]].concat();
            (format!("{} {what}", self.path), changed)
        };
        let content = &bytes[self.begin..self.end];
        let is_free = free.iter().any(|name| self.path.ends_with(&format!(".{name}")));
        let mut mutants = vec![with("is a fraction", &FRACTION), with("is a list in a list", &[0x91, 0x91, 0xc0])];
        if content != [NIL] {
            let mut without = [&bytes[..self.key], &bytes[self.end..]].concat();
            without[self.map] -= 1;
            mutants.push((format!("{} is missing", self.path), without));
        }
        match kind(content[0]) {
            Kind::Number if !is_free => mutants.push(with("is the largest number", &LARGEST)),
            Kind::Binary if !is_free => {
                let (_, rest) = header(content);
                mutants.push(with("is longer", &binary(&[rest, &[0]].concat())));
                mutants.push(with("is shorter", &binary(&rest[..rest.len().saturating_sub(1)])));
            }
            Kind::Text => {
                mutants.push(with("is a long text", &[&[0xda, 0x40, 0x01], [b'x'; 0x4001].as_slice()].concat()))
            }
            Kind::List => {
                mutants.push(with("is a long list", &[&[0xdc, 0x02, 0x00], [NIL; 0x200].as_slice()].concat()))
            }
            _ => {}
        }
        mutants
    }
}

enum Kind {
    Number,
    Binary,
    Text,
    List,
    Map,
    Other,
}

fn kind(marker: u8) -> Kind {
    match marker {
        0x00..=0x7f | 0xcc..=0xcf => Kind::Number,
        0x80..=0x8f => Kind::Map,
        0x90..=0x9f | 0xdc => Kind::List,
        0xa0..=0xbf | 0xd9..=0xdb => Kind::Text,
        0xc4..=0xc6 => Kind::Binary,
        _ => Kind::Other,
    }
}

/// Notes every field from `at` on; where the value ends.
fn value(bytes: &[u8], at: usize, path: &str, fields: &mut Vec<Field>) -> usize {
    let marker = bytes[at];
    match kind(marker) {
        Kind::Map => {
            let mut next = at + 1;
            for _ in 0..marker & 0x0f {
                let key = next;
                let begin = value(bytes, key, path, &mut Vec::new());
                let (_, name) = header(&bytes[key..begin]);
                let path = format!("{path}.{}", String::from_utf8_lossy(name));
                let slot = fields.len();
                fields.push(Field { path: path.clone(), map: at, key, begin, end: begin });
                next = value(bytes, begin, &path, fields);
                fields[slot].end = next;
            }
            next
        }
        Kind::List => {
            let (mut next, count) = match marker {
                0xdc => (at + 3, usize::from(u16::from_be_bytes([bytes[at + 1], bytes[at + 2]]))),
                short => (at + 1, usize::from(short & 0x0f)),
            };
            for index in 0..count {
                next = value(bytes, next, &format!("{path}[{index}]"), fields);
            }
            next
        }
        Kind::Number if marker >= 0xcc => at + 1 + (1 << (marker - 0xcc)),
        Kind::Text | Kind::Binary => {
            let (head, content) = header(&bytes[at..]);
            at + head + content.len()
        }
        Kind::Number | Kind::Other => at + 1,
    }
}

/// The length of the head of a text or of binary, and what follows it.
fn header(bytes: &[u8]) -> (usize, &[u8]) {
    let (head, length) = match bytes[0] {
        short @ 0xa0..=0xbf => (1, usize::from(short & 0x1f)),
        0xc4 | 0xd9 => (2, usize::from(bytes[1])),
        0xc5 | 0xda => (3, usize::from(u16::from_be_bytes([bytes[1], bytes[2]]))),
        other => panic!("no text and no binary of ours begins with {other:x}"),
    };
    (head, &bytes[head..head + length])
}

fn binary(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("a short one").to_be_bytes();
    [&[0xc5], length.as_slice(), content].concat()
}

const NIL: u8 = 0xc0;
const FRACTION: [u8; 9] = [0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0];
const LARGEST: [u8; 9] = [0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
