//! Requests about rooms, and the news they make for the people in them.

use common::ids::RoomId;
use common::message::registry::{MemberRecord, News, Reply, Request};
use common::names::UserName;
use common::time::Now;
use common::wire::bounded::List;

use super::people::folded;
use super::{Answer, Caller, Notice, Service, signed_in};
use crate::refusal::Failure;
use crate::store::Member;

impl Service {
    pub(super) fn about_rooms(&self, now: Now, caller: &Caller, request: Request) -> Result<Answer, Failure> {
        let user = signed_in(caller)?;
        Ok(match request {
            Request::Rooms { pattern, after } => {
                let (rooms, more) = self.rooms.list(user, &folded(pattern), after.as_ref())?;
                Reply::Rooms { rooms: List::cut(rooms), more }.into()
            }
            Request::FindRoom { name } => {
                let (genesis, invite) = self.rooms.find(user, &name, now.wall)?;
                Reply::Room { genesis: Box::new(genesis), invite }.into()
            }
            Request::Members { room, after } => {
                let (members, more) = self.rooms.members(user, &room, after.as_ref())?;
                let members = members.into_iter().map(|member| self.record(member)).collect();
                Reply::Members { members: List::cut(members), more }.into()
            }
            Request::Memberships { after } => {
                let (rooms, more) = self.rooms.memberships(user, after.as_ref())?;
                Reply::Memberships { rooms: List::cut(rooms), more }.into()
            }
            Request::Log { room, from } => {
                let (entries, more) = self.rooms.log(user, &room, from, now.wall)?;
                Reply::Log { entries: List::cut(entries), more }.into()
            }
            Request::Invites => Reply::Invites { invites: List::cut(self.rooms.invites(user, now.wall)?) }.into(),
            Request::Decline { room } => {
                self.rooms.decline(user, &room)?;
                Reply::Done.into()
            }
            change => self.change_rooms(now, caller, change)?,
        })
    }

    fn change_rooms(&self, now: Now, caller: &Caller, request: Request) -> Result<Answer, Failure> {
        let account = self.accounts.account(signed_in(caller)?)?;
        let news = match request {
            Request::CreateRoom { genesis, join } => {
                self.rooms.create(&account, &genesis, &join)?;
                Vec::new()
            }
            Request::JoinRoom { join } => {
                let (room, entry) = self.rooms.join(&account, &join, now.wall)?;
                if entry.is_news { self.tell_of_member(caller, room.id, entry.member)? } else { Vec::new() }
            }
            Request::PartRoom { part } => match self.rooms.part(&account, &part)? {
                Some((room, member)) => self.tell_of_member(caller, room.id, member)?,
                None => Vec::new(),
            },
            Request::AddEntry { entry } => {
                let told = self.rooms.add_entry(&account, &entry)?;
                self.tell(caller, &told, News::Entry { entry: Box::new(entry) })
            }
            Request::Invite { invite } => {
                // What is no invitation is refused below.
                if let Ok(claim) = invite.claim() {
                    self.accounts.invite(account.user(), claim.invitee, now)?;
                }
                let (invitee, invitation) = self.rooms.invite(&account, &invite, now.wall)?;
                let session = self.online.session_of(&invitee);
                let news = News::Invited(Box::new(invitation));
                session.map(|session| Notice { to: vec![session], news }).into_iter().collect()
            }
            _ => unreachable!("the dispatcher sends other requests elsewhere"),
        };
        Ok(Answer { news, ..Reply::Done.into() })
    }

    fn record(&self, member: Member) -> MemberRecord {
        let online = self.online.is_online(&member.user);
        MemberRecord { user: member.user, online, join: member.join, part: member.part }
    }

    fn tell_of_member(&self, caller: &Caller, room: RoomId, member: Member) -> Result<Vec<Notice>, Failure> {
        let member = Box::new(self.record(member));
        self.tell_room(caller, room, News::Member { room, member })
    }

    // Everybody in the room who is online, but whoever did it.
    fn tell_room(&self, caller: &Caller, room: RoomId, news: News) -> Result<Vec<Notice>, Failure> {
        let present = self.rooms.present(&room)?;
        Ok(self.tell(caller, &present, news))
    }

    fn tell(&self, caller: &Caller, users: &[UserName], news: News) -> Vec<Notice> {
        let mut to = self.online.sessions_of(users);
        to.retain(|&session| session != caller.session);
        vec![Notice { to, news }]
    }
}
