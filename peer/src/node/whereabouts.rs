//! Where people are: what the registry told, and where they were found. Kept in the log, so that people who know each
//! other find each other while the registry is away.

use std::net::SocketAddr;

use common::limits::ADDRESSES_MAX;
use common::message::registry::{PersonRecord, Request};
use common::names::UserName;
use common::wire::address::Address;
use common::wire::bounded::List;

use super::account::Account;
use super::calls::Call;
use super::context::Context;
use crate::ports::{Direction, Write};

impl Account {
    /// The registry says where somebody is. Where they were found last stays in front, if it is among that.
    pub(super) fn addresses_told(&mut self, cx: &Context, user: &UserName, record: &PersonRecord) {
        let told: Vec<SocketAddr> = record.addresses.iter().map(|address| address.0).collect();
        if told.is_empty() {
            return;
        }
        let found = self.people.entry(user).addresses.first().copied().filter(|found| told.contains(found));
        let others = told.into_iter().filter(|address| Some(*address) != found);
        self.keep_addresses(cx, user, found.into_iter().chain(others).collect());
    }

    /// There is a link, to or from this address. Whoever dialled from elsewhere than known is looked up: the port
    /// that they listen on does not show in it.
    pub(super) fn found_at(&mut self, cx: &mut Context, user: &UserName, direction: Direction, address: SocketAddr) {
        let known = self.people.entry(user).addresses.clone();
        match direction {
            Direction::Dialed => {
                let others = known.into_iter().filter(|known| *known != address);
                self.keep_addresses(cx, user, [address].into_iter().chain(others).collect());
            }
            Direction::Answered if self.registry.is_online() => {
                if known.iter().all(|known| known.ip().to_canonical() != address.ip().to_canonical()) {
                    self.ask(cx, Request::Lookup { user: user.clone() }, Call::LookUpToRemember { user: user.clone() });
                }
            }
            Direction::Answered => {}
        }
    }

    /// Tells the registry where I am.
    pub(super) fn announce(&mut self, cx: &mut Context) {
        let addresses = cx.own_addresses.iter().copied().map(Address).collect();
        self.ask(cx, Request::Announce { addresses: List::cut(addresses) }, Call::Routine);
    }

    fn keep_addresses(&mut self, cx: &Context, user: &UserName, mut addresses: Vec<SocketAddr>) {
        addresses.truncate(ADDRESSES_MAX);
        let contact = self.people.entry(user);
        if contact.addresses != addresses {
            contact.addresses.clone_from(&addresses);
            self.write_lazily(cx, Write::Addresses { user: user.clone(), addresses });
        }
    }

    /// Whether it is worth dialling somebody: without a registry to ask, wherever they were before.
    pub(super) fn may_be_there(&self, user: &UserName) -> bool {
        self.people
            .get(user)
            .is_some_and(|contact| contact.listed_online || !self.registry.is_online() && !contact.addresses.is_empty())
    }

    /// Dials everybody with whom there is a room or something left to say.
    pub(super) fn reach_everybody(&mut self, cx: &mut Context) {
        self.refresh_overlay(cx);
        let users: Vec<UserName> = self.people.names().cloned().collect();
        for user in users {
            if self.wants_link(&user) {
                self.dial_now(cx, &user);
            }
        }
    }
}
