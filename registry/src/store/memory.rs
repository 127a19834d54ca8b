//! A store that forgets: for the simulator and for tests. One lock over plain maps, held for no longer than a call.

mod oversight;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use common::ids::{EntryId, IdentityKey, RoomId};
use common::message::event::WireEvent;
use common::message::moderation::{Owners, Reign};
use common::message::registry::RoomSummary;
use common::message::room::{Invite, LogEntry, NO_ENTRY};
use common::names::{RoomName, UserName};
use common::secure::identity::DeviceStatement;
use common::secure::mail::Prekey;
use common::secure::sign::Signed;
use common::time::UnixMillis;

use super::{
    Account, Accounts, BoxLimits, Creation, Effect, Invites, Joining, Logs, Mailboxes, Member, Members, NewMail, Page,
    Posting, Replacement, Room, RoomCreation, Rooms, Standing, StoreError, StoredInvite, StoredMail, StoredToken,
    judge_join,
};

/// See the module.
#[derive(Debug, Default)]
pub struct MemoryStore {
    tables: Mutex<Tables>,
}

#[derive(Debug, Default, Clone)]
struct Tables {
    accounts: BTreeMap<UserName, Account>,
    suspended: BTreeSet<UserName>,
    tokens: BTreeMap<UserName, StoredToken>,
    rooms: BTreeMap<RoomId, Room>,
    members: BTreeMap<(RoomId, UserName), Member>,
    entries: BTreeMap<(RoomId, u32), Signed<LogEntry>>,
    standings: BTreeMap<(RoomId, UserName), Standing>,
    invites: BTreeMap<(UserName, RoomId), StoredInvite>,
    prekeys: BTreeMap<UserName, Signed<Prekey>>,
    mail: BTreeMap<u64, NewMail>,
    last_mail: u64,
}

impl Tables {
    fn members_of(&self, room: &RoomId) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(move |((at, _), _)| at == room).map(|(_, member)| member)
    }

    fn is_present(&self, room: &RoomId, user: &UserName) -> bool {
        self.members.get(&(*room, user.clone())).is_some_and(Member::is_present)
    }

    // By somebody of another name.
    fn is_key_taken(&self, account: &Account) -> bool {
        let claim = &account.claim;
        let same_key = |other: &Account| other.claim.identity == claim.identity || other.claim.device == claim.device;
        self.accounts.values().any(|other| other.user() != account.user() && same_key(other))
    }

    /// What an entry changes.
    fn follow(&mut self, id: &RoomId, index: u32, effect: &Effect) {
        let Some(room) = self.rooms.get_mut(id) else { return };
        let (mut later, owner) = (room.owners.later().to_vec(), room.owners.now().identity);
        match effect {
            Effect::Nothing => {}
            Effect::Topic(topic) => room.topic = topic.clone(),
            Effect::Ended { user, is_banned } => {
                let standing = self.standings.entry((*id, user.clone())).or_default();
                (standing.ended, standing.is_banned) = (index, standing.is_banned || *is_banned);
                let member = self.members.get_mut(&(*id, user.clone())).filter(|member| member.is_present());
                member.into_iter().for_each(|member| member.removed = Some(index));
                let invite = self.invites.get_mut(&(user.clone(), *id));
                invite.into_iter().for_each(|kept| kept.is_open = false);
            }
            Effect::Unbanned { user } => {
                let standing = self.standings.get_mut(&(*id, user.clone())).filter(|standing| standing.is_banned);
                standing.into_iter().for_each(|standing| *standing = Standing { ended: index, is_banned: false });
            }
            Effect::Owned { user, identity } => {
                room.owner = user.clone();
                later.push(Reign { from: index, identity: *identity, key: *identity });
            }
            Effect::Rotated { key } => later.push(Reign { from: index, identity: owner, key: *key }),
            Effect::Closed => {
                room.is_closed = true;
                let present = self.members.iter_mut().filter(|((at, _), member)| at == id && member.is_present());
                present.for_each(|(_, member)| member.removed = Some(index));
            }
        }
        room.owners = Owners::after(&room.genesis, later, index);
    }

    fn summary(&self, room: &Room, caller: &UserName) -> RoomSummary {
        let members = self.members_of(&room.id).filter(|member| member.is_present()).count();
        RoomSummary {
            name: room.genesis.name.clone(),
            private: room.genesis.private,
            members: u32::try_from(members).unwrap_or(u32::MAX),
            owner: room.owner.clone(),
            topic: room.topic.clone(),
            joined: self.is_present(&room.id, caller),
        }
    }
}

impl MemoryStore {
    /// Another store with the same in it, as a backup would have.
    pub fn copy(&self) -> Self {
        Self { tables: Mutex::new(self.tables().clone()) }
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Accounts for MemoryStore {
    fn account(&self, user: &UserName) -> Result<Option<Account>, StoreError> {
        Ok(self.tables().accounts.get(user).cloned())
    }

    fn user_of_identity(&self, identity: &IdentityKey) -> Result<Option<UserName>, StoreError> {
        let tables = self.tables();
        Ok(tables.accounts.values().find(|account| account.claim.identity == *identity).map(|a| a.user().clone()))
    }

    fn create_account(&self, account: &Account, _now: UnixMillis) -> Result<Creation, StoreError> {
        let mut tables = self.tables();
        if tables.accounts.contains_key(account.user()) {
            return Ok(Creation::NameTaken);
        }
        if tables.is_key_taken(account) {
            return Ok(Creation::KeyTaken);
        }
        tables.accounts.insert(account.user().clone(), account.clone());
        Ok(Creation::Created)
    }

    fn replace_keys(&self, before: &Signed<DeviceStatement>, account: &Account) -> Result<Replacement, StoreError> {
        let mut tables = self.tables();
        if tables.is_key_taken(account) {
            return Ok(Replacement::KeyTaken);
        }
        let kept = tables.accounts.get_mut(account.user()).filter(|kept| kept.statement == *before);
        let Some(kept) = kept else { return Ok(Replacement::Outdated) };
        (kept.statement, kept.claim) = (account.statement.clone(), account.claim.clone());
        tables.prekeys.remove(account.user());
        Ok(Replacement::Replaced)
    }

    fn set_password(&self, user: &UserName, password: &str) -> Result<(), StoreError> {
        if let Some(account) = self.tables().accounts.get_mut(user) {
            password.clone_into(&mut account.password);
        }
        Ok(())
    }

    fn dearest_hash(&self) -> Result<Option<u32>, StoreError> {
        // `$2b$COST$…`, two digits.
        let cost = |account: &Account| account.password.get(4..6)?.parse().ok();
        Ok(self.tables().accounts.values().filter_map(cost).max())
    }

    fn set_last_seen(&self, user: &UserName, at: UnixMillis) {
        if let Some(account) = self.tables().accounts.get_mut(user) {
            account.last_seen = Some(at);
        }
    }
}

impl Rooms for MemoryStore {
    fn room(&self, room: &RoomId) -> Result<Option<Room>, StoreError> {
        Ok(self.tables().rooms.get(room).cloned())
    }

    fn room_named(&self, name: &RoomName) -> Result<Option<Room>, StoreError> {
        Ok(self.tables().rooms.values().find(|room| room.genesis.name == *name).cloned())
    }

    fn create_room(&self, room: &Room, founder: Option<&Member>, rooms_max: u32) -> Result<RoomCreation, StoreError> {
        let mut tables = self.tables();
        if tables.rooms.values().any(|other| other.genesis.name == room.genesis.name) {
            return Ok(RoomCreation::NameTaken);
        }
        let owned = tables.rooms.values().filter(|other| other.genesis.owner_name == room.genesis.owner_name).count();
        if owned >= rooms_max as usize {
            return Ok(RoomCreation::TooMany);
        }
        tables.rooms.insert(room.id, room.clone());
        tables.members.extend(founder.map(|founder| ((room.id, founder.user.clone()), founder.clone())));
        Ok(RoomCreation::Created)
    }

    fn rooms(
        &self,
        caller: &UserName,
        pattern: &str,
        after: Option<&RoomName>,
        limit: u32,
    ) -> Result<Vec<RoomSummary>, StoreError> {
        let tables = self.tables();
        let shown = |room: &&Room| {
            let name = &room.genesis.name;
            !room.is_closed
                && name.as_str().contains(pattern)
                && after.is_none_or(|after| name > after)
                && (!room.genesis.private || tables.is_present(&room.id, caller))
        };
        let mut found: Vec<&Room> = tables.rooms.values().filter(shown).collect();
        found.sort_by(|one, other| one.genesis.name.cmp(&other.genesis.name));
        Ok(found.into_iter().take(limit as usize).map(|room| tables.summary(room, caller)).collect())
    }
}

impl Members for MemoryStore {
    fn member(&self, room: &RoomId, user: &UserName) -> Result<Option<Member>, StoreError> {
        Ok(self.tables().members.get(&(*room, user.clone())).cloned())
    }

    fn members(&self, room: &RoomId, after: Option<&UserName>, limit: u32) -> Result<Vec<Member>, StoreError> {
        let tables = self.tables();
        let shown = |member: &&Member| after.is_none_or(|after| member.user > *after);
        Ok(tables.members_of(room).filter(shown).take(limit as usize).cloned().collect())
    }

    fn present(&self, room: &RoomId) -> Result<Vec<UserName>, StoreError> {
        let tables = self.tables();
        Ok(tables.members_of(room).filter(|member| member.is_present()).map(|member| member.user.clone()).collect())
    }

    fn memberships(&self, user: &UserName, after: Option<&RoomId>, limit: u32) -> Result<Vec<RoomId>, StoreError> {
        let tables = self.tables();
        let shown = |room: &RoomId, member: &Member| {
            member.user == *user && member.is_present() && after.is_none_or(|after| room > after)
        };
        let found = tables.members.iter().filter(|((room, _), member)| shown(room, member));
        let mut rooms: Vec<RoomId> = found.map(|((room, _), _)| *room).collect();
        rooms.sort_unstable();
        rooms.truncate(limit as usize);
        Ok(rooms)
    }

    fn companions(&self, user: &UserName) -> Result<Vec<UserName>, StoreError> {
        let tables = self.tables();
        let shared = |room: &RoomId, member: &Member| {
            member.user != *user && member.is_present() && tables.is_present(room, user)
        };
        let found = tables.members.iter().filter(|((room, _), member)| shared(room, member));
        let mut names: Vec<UserName> = found.map(|(_, member)| member.user.clone()).collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    fn join(&self, room: &RoomId, member: &Member, invite: Option<&Signed<Invite>>) -> Result<Joining, StoreError> {
        let mut tables = self.tables();
        let present_count = tables.members_of(room).filter(|member| member.is_present()).count();
        let kept = tables.members.get(&(*room, member.user.clone()));
        let standing = tables.standings.get(&(*room, member.user.clone())).copied().unwrap_or_default();
        let joining = judge_join(kept, standing, present_count, &member.join)?;
        if matches!(joining, Joining::Entered | Joining::Renewed) {
            tables.members.insert((*room, member.user.clone()), member.clone());
        }
        if let (Joining::Entered, Some(invite)) = (joining, invite) {
            let used = StoredInvite { invite: invite.clone(), is_open: false };
            tables.invites.insert((member.user.clone(), *room), used);
        }
        Ok(joining)
    }

    fn part(&self, room: &RoomId, user: &UserName, part: &WireEvent) -> Result<bool, StoreError> {
        let mut tables = self.tables();
        let member = tables.members.get_mut(&(*room, user.clone())).filter(|member| member.is_present());
        Ok(member.map(|member| member.part = Some(part.clone())).is_some())
    }
}

impl Logs for MemoryStore {
    fn log_head(&self, room: &RoomId) -> Result<(u32, EntryId), StoreError> {
        let tables = self.tables();
        let last = tables.entries.range((*room, 0)..=(*room, u32::MAX)).next_back();
        Ok(last.map_or((0, NO_ENTRY), |((_, index), entry)| (*index, EntryId(entry.id()))))
    }

    fn entries(&self, room: &RoomId, from: u32, limit: u32) -> Result<Vec<Signed<LogEntry>>, StoreError> {
        let tables = self.tables();
        let found = tables.entries.range((*room, from)..=(*room, u32::MAX));
        Ok(found.take(limit as usize).map(|(_, entry)| entry.clone()).collect())
    }

    fn add_entry(
        &self,
        room: &RoomId,
        index: u32,
        entry: &Signed<LogEntry>,
        effect: &Effect,
    ) -> Result<bool, StoreError> {
        let mut tables = self.tables();
        if tables.entries.contains_key(&(*room, index)) {
            return Ok(false);
        }
        tables.entries.insert((*room, index), entry.clone());
        tables.follow(room, index, effect);
        Ok(true)
    }

    fn standing(&self, room: &RoomId, user: &UserName) -> Result<Standing, StoreError> {
        Ok(self.tables().standings.get(&(*room, user.clone())).copied().unwrap_or_default())
    }
}

impl Invites for MemoryStore {
    fn invite(&self, room: &RoomId, user: &UserName) -> Result<Option<StoredInvite>, StoreError> {
        Ok(self.tables().invites.get(&(user.clone(), *room)).cloned())
    }

    fn put_invite(
        &self,
        room: &RoomId,
        user: &UserName,
        invite: &Signed<Invite>,
        invites_max: u32,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let mut tables = self.tables();
        let holds = |kept: &StoredInvite| kept.is_open && kept.invite.claim().is_ok_and(|claim| claim.expires >= now);
        let others = tables.invites.iter().filter(|((who, at), kept)| at == room && who != user && holds(kept));
        if others.count() >= invites_max as usize {
            return Ok(false);
        }
        tables.invites.insert((user.clone(), *room), StoredInvite { invite: invite.clone(), is_open: true });
        Ok(true)
    }

    fn invites_of(
        &self,
        user: &UserName,
        now: UnixMillis,
        limit: u32,
    ) -> Result<Vec<(RoomId, Signed<Invite>)>, StoreError> {
        let tables = self.tables();
        let mut open = Vec::new();
        for ((_, room), kept) in tables.invites.iter().filter(|((who, _), kept)| who == user && kept.is_open) {
            let claim = kept.invite.claim().map_err(|error| StoreError::Damaged(error.to_string()))?;
            open.push((claim.expires, *room, kept.invite.clone()));
        }
        open.retain(|(expires, ..)| *expires >= now);
        open.sort_by_key(|(expires, room, _)| (std::cmp::Reverse(*expires), *room));
        Ok(open.into_iter().take(limit as usize).map(|(_, room, invite)| (room, invite)).collect())
    }

    fn decline(&self, room: &RoomId, user: &UserName) -> Result<bool, StoreError> {
        let mut tables = self.tables();
        let kept = tables.invites.get_mut(&(user.clone(), *room)).filter(|kept| kept.is_open);
        Ok(kept.map(|kept| kept.is_open = false).is_some())
    }
}

impl Mailboxes for MemoryStore {
    fn prekey(&self, user: &UserName) -> Result<Option<Signed<Prekey>>, StoreError> {
        Ok(self.tables().prekeys.get(user).cloned())
    }

    fn put_prekey(&self, user: &UserName, prekey: &Signed<Prekey>) -> Result<(), StoreError> {
        self.tables().prekeys.insert(user.clone(), prekey.clone());
        Ok(())
    }

    fn put_mail(&self, mail: &NewMail, limits: &BoxLimits) -> Result<Posting, StoreError> {
        let mut tables = self.tables();
        tables.mail.retain(|_, kept| kept.at >= limits.since);
        let in_box = || tables.mail.values().filter(|kept| kept.to == mail.to);
        if in_box().count() >= limits.items as usize {
            return Ok(Posting::BoxFull);
        }
        if in_box().filter(|kept| kept.from == mail.from).count() >= limits.items_per_sender as usize {
            return Ok(Posting::ShareFull);
        }
        if tables.mail.values().filter(|kept| kept.from == mail.from).count() >= limits.items_from_sender as usize {
            return Ok(Posting::SenderFull);
        }
        tables.last_mail += 1;
        let id = tables.last_mail;
        tables.mail.insert(id, mail.clone());
        Ok(Posting::Kept)
    }

    fn mail(&self, user: &UserName, after: u64, since: UnixMillis, most: Page) -> Result<Vec<StoredMail>, StoreError> {
        let tables = self.tables();
        let newer = tables.mail.range(after.saturating_add(1)..);
        let mine = newer.filter(|(_, kept)| kept.to == *user && kept.at >= since);
        let mut bytes = 0;
        let fits = |kept: &StoredMail| {
            let is_first = bytes == 0;
            bytes += kept.item.len();
            is_first || bytes <= most.bytes_max
        };
        let items = mine.map(|(id, kept)| StoredMail { id: *id, item: kept.item.clone() });
        Ok(items.take(most.count_max).take_while(fits).collect())
    }

    fn drop_mail(&self, user: &UserName, ids: &[u64]) -> Result<(), StoreError> {
        self.tables().mail.retain(|id, kept| kept.to != *user || !ids.contains(id));
        Ok(())
    }

    fn sweep_mail(&self, since: UnixMillis) -> Result<(), StoreError> {
        self.tables().mail.retain(|_, kept| kept.at >= since);
        Ok(())
    }
}
