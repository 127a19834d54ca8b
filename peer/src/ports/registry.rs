//! The connection to the registry, as the node sees it.

use std::net::{IpAddr, SocketAddr};

use common::ids::{RealmId, RootKey};
use common::message::registry::{FromRegistry, ToRegistry};
use common::secure::identity::DeviceSecret;

#[derive(Debug)]
pub enum RegistryInput {
    /// What a registry showed before we showed it anything; the connection is closed again.
    RealmSeen {
        root: RootKey,
    },
    /// Connected and proven. `local` is the address of our end, `interfaces` are this machine's addresses.
    Up {
        local: SocketAddr,
        interfaces: Vec<IpAddr>,
    },
    /// The connection is the same, but this machine has other addresses now.
    Moved {
        local: SocketAddr,
        interfaces: Vec<IpAddr>,
    },
    /// No connection, with the reason for a person; the registry link goes on trying, and says so.
    Down {
        reason: String,
    },
    /// The registry shows another root key than the pinned one: nothing of ours was sent.
    RealmChanged {
        shown: RealmId,
    },
    Received(Vec<FromRegistry>),
}

#[derive(Debug)]
pub enum RegistryOutput {
    /// Connects, looks at the root key, and hangs up.
    Probe,
    /// Connects and keeps reconnecting, with growing pauses, until told otherwise.
    Connect {
        device: Box<DeviceSecret>,
        pinned: RootKey,
    },
    Send(ToRegistry),
    /// Hangs up and connects anew at once, if a connection is wanted. `Down` is not told of the one that was there.
    Reconnect,
    /// Hangs up and stops trying.
    Disconnect,
}
