//! Socket addresses on the wire: text such as `192.0.2.7:41000` or `[2001:db8::7]:41000`, parsed at the border.

use std::net::SocketAddr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::bounded::Text;

/// A [`SocketAddr`] that travels as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(pub SocketAddr);

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::<ADDRESS_BYTES_MAX>::deserialize(deserializer)?;
        text.as_str().parse().map(Self).map_err(serde::de::Error::custom)
    }
}

/// The longest IPv6 address with scope and port.
const ADDRESS_BYTES_MAX: usize = 64;
