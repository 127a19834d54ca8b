//! How soon everybody is told who came: one person, and many at once.

use std::io;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use common::message::registry::{Reply, Request};
use common::names::UserName;

use super::super::child::files_max;
use super::super::contestant::{Candidate, Values, each};
use super::super::figures::Column;
use super::super::fleet::{self, Fleet, millis, person};
use super::super::limits::connected;
use super::super::plan::Plan;
use crate::wire::RegistryLink;

pub(super) const PRESENCE: &[Column] = &[
    Column::cost("one", "one change, the last told after", "ms"),
    Column::cost("many", "20 changes at once, the last told after", "ms"),
];

pub(super) fn presence(plan: &Plan) -> Vec<Candidate> {
    presence_to(plan, plan.number(10_000, 40))
}

/// The same with so many who watch.
pub(super) fn presence_to(_: &Plan, watchers: usize) -> Vec<Candidate> {
    // A watcher is one open file here, and a bare pair of sockets two.
    let count = watchers.min((files_max() / 3).saturating_sub(100));
    let ours = Candidate::ours("p2p-chat", move |_| {
        let mut stars = Stars::over(count)?;
        Ok(each(move || stars.round()))
    });
    let limit = Candidate::limit("bare writes to all", move |_| {
        let pairs = (0..count).map(|_| connected()).collect::<io::Result<Vec<_>>>()?;
        let (writers, mut readers): (Vec<_>, Vec<_>) = pairs.into_iter().map(|[near, far]| (near, far)).unzip();
        Ok(each(move || {
            let begun = Instant::now();
            tell_bare(&writers, &mut readers)?;
            Ok(vec![("one", millis(begun))])
        }))
    });
    vec![limit, ours]
}

/// A crowd, and some whom all of it watches. Their connections stand: what is measured is the change, not a handshake.
struct Stars {
    crowd: Vec<RegistryLink>,
    stars: Vec<(UserName, RegistryLink)>,
    _fleet: Fleet,
}

impl Stars {
    fn over(count: usize) -> io::Result<Self> {
        let fleet = Fleet::start(count + STARS);
        let mut crowd = fleet.sign_in_all(0..count)?;
        let star = |number| Ok((person(number).name, fleet.connect(number)?));
        let stars = (count..count + STARS).map(star).collect::<io::Result<Vec<_>>>()?;
        let names: Vec<UserName> = stars.iter().map(|(name, _)| name.clone()).collect();
        fleet::watch(&mut crowd, &names)?;
        Ok(Self { crowd, stars, _fleet: fleet })
    }

    fn round(&mut self) -> io::Result<Values> {
        let one = self.come(1)?;
        self.go(1)?;
        let many = self.come(STARS)?;
        self.go(STARS)?;
        Ok(vec![("one", one), ("many", many)])
    }

    /// So many come at once: milliseconds until the last of the crowd knows of all of them.
    fn come(&mut self, count: usize) -> io::Result<f64> {
        // Nobody of the crowd was told anything just now.
        let _ = crossbeam_channel::after(REST).recv();
        let begun = Instant::now();
        for (name, link) in &mut self.stars[..count] {
            link.send(Request::Resume { user: name.clone() });
        }
        let names: Vec<&UserName> = self.stars[..count].iter().map(|(name, _)| name).collect();
        // One change is one frame to each, and what it says is looked at afterwards: those who are told open it on
        // machines of their own. Of many, only what they say tells when the last was told.
        if count == 1 {
            fleet::each(&mut self.crowd, |link| link.sealed.receive())?;
        }
        let received = millis(begun);
        fleet::told(&mut self.crowd, &names, true)?;
        let millis = if count == 1 { received } else { millis(begun) };
        for (_, link) in &mut self.stars[..count] {
            match link.answer()? {
                Ok(Reply::SignedIn { .. }) => {}
                other => return Err(io::Error::other(format!("a sign-in was answered with {other:?}"))),
            }
        }
        Ok(millis)
    }

    fn go(&mut self, count: usize) -> io::Result<()> {
        for (_, link) in &mut self.stars[..count] {
            link.try_ask(Request::SignOut)?.map_err(|refusal| io::Error::other(refusal.text.as_str().to_owned()))?;
        }
        let names: Vec<&UserName> = self.stars[..count].iter().map(|(name, _)| name).collect();
        fleet::told(&mut self.crowd, &names, false)
    }
}

/// One frame to each from two threads, and all of them read by as many as read the others.
fn tell_bare(writers: &[TcpStream], readers: &mut [TcpStream]) -> io::Result<()> {
    let half = writers.len().div_ceil(2).max(1);
    std::thread::scope(|scope| {
        for some in writers.chunks(half) {
            scope.spawn(|| some.iter().try_for_each(|mut writer| io::Write::write_all(&mut writer, &[7; FRAME_BYTES])));
        }
        fleet::each(readers, |reader| io::Read::read_exact(reader, &mut [0; FRAME_BYTES]))
    })
}

/// A padded plaintext with its tag and length.
const FRAME_BYTES: usize = 256 + 16 + 2;
const STARS: usize = 20;
/// Longer than anything is held back to be told with something else.
const REST: Duration = Duration::from_millis(200);
